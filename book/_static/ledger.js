// The claims ledger: a form that filters its rows. Without scripts all rows stand there.
addEventListener("DOMContentLoaded", () => {
  const tables = [...document.querySelectorAll(".companion-table.claims:has(tr[data-verdict])")];
  if (!tables.length) return;
  const rows = tables.flatMap(table => [...table.querySelectorAll("tbody tr")]);

  const form = document.createElement("form");
  form.className = "ledger-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Filter the claims");
  const field = (words, control) => {
    const label = document.createElement("label");
    label.append(words, control);
    form.append(label);
    return control;
  };
  const select = (words, choices) => {
    const control = document.createElement("select");
    control.append(...choices.map(([value, text]) => new Option(text, value)));
    return field(words, control);
  };
  const input = document.createElement("input");
  input.type = "search";
  const text = field("Words ", input);
  const verdict = select("Verdict ", [["", "all"], ...[...new Set(rows.map(row => row.dataset.verdict))].map(name => [name, name])]);
  const chapter = select("Chapter ", [["", "all"], ...tables.map(table =>
    [table.getAttribute("aria-label"), table.closest("section").querySelector("h2").firstChild.textContent])]);
  const reset = document.createElement("button");
  reset.type = "reset";
  reset.textContent = "Show all";
  const count = document.createElement("output");
  count.setAttribute("aria-live", "polite");
  form.append(reset, count);
  tables[0].closest("section").before(form);

  const show = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const table of tables) {
      let left = 0;
      for (const row of table.querySelectorAll("tbody tr")) {
        const told = row.textContent.toLowerCase();
        row.hidden = !(words.every(word => told.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value) &&
          (!chapter.value || table.getAttribute("aria-label") === chapter.value));
        left += !row.hidden;
      }
      table.closest("section").hidden = !left;
      shown += left;
    }
    count.textContent = `${shown} of ${rows.length} claims`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  show();
});
