// Six regularizers of one logistic regression: what each feature says, beside the dropout that comes nearest. All
// weights, losses and nearest rates are the companion's.

import { clamp, count, fixed, hatch, label, longest, mount, readout, scale, slider, stage, svg, ticks, toggle, watch } from "./kit.js";

// ---- words --------------------------------------------------------------------------------------------------------

/** "clear 0.75, small numbers 0.25, ..." */
export const listed = (features, says) => features.map((name, i) => `${name} ${fixed(says[i])}`).join(", ");

/** The feature on which two rows differ most, and by how much. */
export function difference(features, says, others) {
  const gaps = says.map((value, i) => Math.abs(value - others[i]));
  const most = gaps.indexOf(Math.max(...gaps));
  return { name: features[most], gap: gaps[most] };
}

export function words({ features, methods, method, strength }) {
  const { strengths, says, zeros, loss, nearest, relation } = methods[method];
  const none = strength === 0;
  const head = `${method}, ${none ? "strength none" : strengths[strength]}: ${listed(features, says[strength])}. `;
  const zero = zeros[strength] ? `${count(zeros[strength], "weight")} exactly zero. ` : "";
  const fit = `Loss on new points ${fixed(loss[strength], 3)}${none ? "" : `, without ${fixed(loss[0], 3)}`}. `;
  if (method === "dropout" || none) return head + zero + fit + relation;
  const rate = nearest[strength];
  const { name, gap } = difference(features, says[strength], methods.dropout.says[rate]);
  const near = `Nearest dropout: ${methods.dropout.strengths[rate]}; they differ most on ${name}, by ${fixed(gap)}. `;
  return head + zero + fit + near + relation;
}

// ---- the picture --------------------------------------------------------------------------------------------------

function legend(method, compares, stripes, width) {
  const entries = [
    ["without", svg("rect", { class: "cf-gone", width: 13, height: 13 })],
    [method, svg("rect", { class: "cf-blue-fill", width: 13, height: 13 })],
    compares && ["nearest dropout", svg("rect", { class: "cf-orange-line", fill: stripes.fill, width: 13, height: 13 })],
  ].filter(Boolean);
  let [x, y] = [0, 3];
  return entries.flatMap(([text, box]) => {
    const room = 34 + 7.2 * text.length;
    if (x + room > width) [x, y] = [0, y + 21];
    box.setAttribute("x", x + 0.5);
    box.setAttribute("y", y + 0.5);
    const marks = [box, label(x + 20, y + 11.5, text)];
    x += room;
    return marks;
  });
}

function drawing({ features, methods, method, strength }, width) {
  const says = methods[method].says[strength];
  const none = methods[method].says[0];
  const compares = method !== "dropout" && strength > 0;
  const others = methods.dropout.says[methods[method].nearest[strength]];
  const all = Object.values(methods).flatMap((one) => one.says.flat());
  const [low, high] = [Math.min(0, ...all), Math.max(...all)];
  const [left, top, floor] = [30, 58, 268];
  const y = scale([low, high], [floor, top]);
  const group = (width - left) / features.length;
  const bar = Math.min((group - 8) / 3, 26);
  const stripes = hatch("cf-orange-line");
  const rect = (x, value, look) =>
    svg("rect", { x, y: Math.min(y(value), y(0)), width: bar, height: Math.max(Math.abs(y(value) - y(0)), 1), ...look });
  const marks = [
    stripes.defs,
    legend(method, compares, stripes, width),
    ticks(low, high, 5).map((tick) => [
      svg("path", { class: "cf-grid", d: `M${left},${y(tick)}H${width}` }),
      label(left - 5, y(tick) + 4, fixed(tick, 1), { class: "cf-small", "text-anchor": "end" }),
    ]),
  ];
  features.forEach((name, i) => {
    const start = left + group * i + (group - 3 * bar - 4) / 2;
    marks.push(rect(start, none[i], { class: "cf-gone" }), rect(start + bar + 2, says[i], { class: "cf-blue-fill" }));
    if (compares) marks.push(rect(start + 2 * bar + 4, others[i], { class: "cf-orange-line", fill: stripes.fill }));
    const [first, second] = name.split(" ");
    const middle = { class: "cf-small", "text-anchor": "middle" };
    const centre = left + group * (i + 0.5);
    marks.push(label(centre, floor + 18, first, middle), second && label(centre, floor + 33, second, middle));
  });
  marks.push(svg("path", { class: "cf-axis", d: `M${left},${y(0)}H${width}` }));
  return { height: floor + 40, marks };
}

export function render({ model, el }) {
  const methods = model.get("methods");
  const names = model.get("order");
  const last = methods[names[0]].strengths.length - 1;
  const current = () => ({
    features: model.get("features"), methods, method: model.get("method"),
    strength: clamp(Math.round(model.get("strength")), 0, last),
  });
  const all = names.flatMap((method) =>
    methods[method].strengths.map((_, strength) => words({ ...current(), method, strength })));
  const line = readout(longest(all));
  const picture = stage(model.get("alt"), (width) => drawing(current(), width));
  const said = (strength) => methods[model.get("method")].strengths[clamp(Math.round(strength), 0, last)];
  const strengths = slider(model, "strength", { label: "Strength", min: 0, max: last, step: 1, format: said });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      toggle(model, "method", { label: "Regularizer", options: names.map((name) => [name, name]) }),
      strengths,
    ],
  });
  return watch(model, ["method", "strength"], () => {
    picture.redraw();
    line.say(words(current()));
    strengths.querySelector("span").textContent = said(model.get("strength"));
    strengths.querySelector("input").setAttribute("aria-valuetext", said(model.get("strength")));
  });
}

export default { render };
