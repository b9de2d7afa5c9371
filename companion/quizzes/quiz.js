// A quiz comes alive: choose, check, read why. The explanations are those of the page without scripts.

/** Position of the chosen radio button, or -1. */
export const chosen = (inputs) => inputs.findIndex((input) => input.checked);

/** What the live region shows: the explanation of the choice, or the request to choose. */
export const reply = (explanations, index, request) => (index < 0 ? request : explanations[index]);

function question(form) {
  const inputs = [...form.querySelectorAll("input[type=radio]")];
  const explanations = [...form.querySelectorAll("details")].map((details) => {
    details.remove();
    return details.querySelector("p");
  });
  const request = document.createElement("p");
  request.textContent = "Choose an answer first.";
  const check = document.createElement("button");
  check.type = "submit";
  check.className = "cq-check";
  check.textContent = "Check";
  const answer = document.createElement("div");
  answer.className = "cq-answer";
  answer.setAttribute("role", "status");
  answer.setAttribute("aria-live", "polite");
  form.querySelector("fieldset").append(check, answer);
  form.addEventListener("change", () => answer.replaceChildren());
  form.addEventListener("submit", (event) => {
    event.preventDefault(); // nothing is sent
    answer.replaceChildren(reply(explanations, chosen(inputs), request).cloneNode(true));
  });
}

export function render(section) {
  section.setAttribute("data-alive", "");
  // JupyterLab takes arrows, Enter and Space of whatever has the focus and does not say this.
  section.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  if (document.getElementById(section.id) !== section) section.removeAttribute("id");
  section.querySelectorAll("form").forEach(question);
}
