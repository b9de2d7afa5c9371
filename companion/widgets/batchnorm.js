// Variance shift: the ratio of variances at three BatchNorm layers, predicted and measured, for three orders of layers.
// Every ratio drawn is the companion's: formulas, and networks that it trained.

import {
  clamp, cross, fixed, hatch, label, longest, mount, readout, scale, slider, stage, svg, toggle, watch,
} from "./kit.js";

// ---- numbers and words --------------------------------------------------------------------------------------------

/** What the figure shows at one step of the slider: for each BatchNorm what is predicted and measured. */
export function situation({ nets, curves, activation, order, step, steps, last }) {
  const net = nets[activation][order];
  const curve = curves[activation];
  const at = Math.round((step / steps / last) * (curve.length - 1));
  return {
    p: step / steps,
    norms: net.measured.map((row, i) => ({ measured: row[step], half: net.half[i][step], predicted: net.predicted[i][step] })),
    behind: curve[at],
  };
}

/** Less than this is no shift to speak of: stored variances are means of a few batches, and wander by as much. */
export const NO_SHIFT = 0.05;

/** The layers that matter, in the order in which the signal meets them: "norm" or "drop". */
export const chain = (order) => ({
  "dropout first": ["drop", "norm", "drop", "norm", "drop", "norm"],
  "norm first": ["norm", "drop", "norm", "drop", "norm", "drop"],
  "head only": ["norm", "norm", "norm", "drop"],
}[order]);

export function words({ activationName, orderName, p, norms, behind }) {
  const parts = norms.map(({ measured, predicted }, i) => `BN ${i + 1} ${fixed(predicted)} and ${fixed(measured)}`);
  const shifted = norms.map(({ measured }, i) => [i + 1, measured]).filter(([, value]) => Math.abs(value - 1) > NO_SHIFT).map(([i]) => i);
  const verdict = shifted.length === 0 ? "No BatchNorm is off by more than a twentieth."
    : shifted.length === norms.length ? "All of them are shifted."
      : `Shifted: BN ${shifted.join(" and ")}.`;
  return `${activationName}, ${orderName}, p = ${fixed(p, 1)}. Variance at evaluation over variance in training, predicted and measured: ` +
    `${parts.join("; ")}. ${verdict} Directly behind a dropout the formula gives ${fixed(behind, 3)}.`;
}

// ---- the picture --------------------------------------------------------------------------------------------------

const middle = { "text-anchor": "middle" };
const small = { class: "cf-small" };

/** The network as a chain of dropouts (crossed circles) and BatchNorms (squares). */
function network(order, width) {
  const tokens = chain(order);
  const narrow = width < 420;
  const pitch = Math.min((width - (narrow ? 18 : 62)) / tokens.length, 74);
  const y = 44;
  let norm = 0;
  return [
    label(0, 14, "The network", { class: "cf-strong" }),
    svg("circle", { class: "cf-gone", cx: 118, cy: 10, r: 7 }),
    cross(118, 10, 3),
    label(130, 14, "dropout", small),
    svg("path", { class: "cf-axis", d: `M0,${y}H${pitch * tokens.length + 8}` }),
    svg("path", { d: `M${pitch * tokens.length + 8},${y - 4}l7,4l-7,4z`, fill: "var(--cf-ink)" }),
    !narrow && label(pitch * tokens.length + 20, y + 4, "output", small),
    tokens.map((token, i) => {
      const x = pitch * (i + 0.5);
      if (token === "norm") {
        norm += 1;
        return [
          svg("rect", { class: "cf-blue-fill", x: x - 19, y: y - 13, width: 38, height: 26, rx: 3 }),
          label(x, y + 5, `BN ${norm}`, { ...middle, class: "cf-on cf-strong" }),
        ];
      }
      return [
        svg("circle", { class: "cf-card", cx: x, cy: y, r: 12 }),
        svg("circle", { class: "cf-gone", cx: x, cy: y, r: 12 }),
        cross(x, y, 5),
      ];
    }),
  ];
}

function bars({ norms }, width, top) {
  const floor = top + 190;
  const tallest = Math.max(1.15, ...norms.map(({ measured, half }) => measured + half));
  const y = scale([0, tallest], [floor, top + 50]);
  const stripes = hatch("cf-orange-line", 8);
  const group = width / norms.length;
  const bar = Math.min(group * 0.34, 62);
  const wide = width < 420 ? 1 : 1.25; // pages have wider fonts where there is room
  const marks = [
    stripes.defs,
    label(0, top + 12, "Variance at evaluation / in training", { class: "cf-strong" }),
    svg("rect", { class: "cf-orange-line", x: 0.5, y: top + 21.5, width: 13, height: 13, rx: 2, fill: stripes.fill }),
    label(20, top + 32, "predicted"),
    svg("rect", { class: "cf-blue-fill", x: 88.5 * wide, y: top + 21.5, width: 13, height: 13, rx: 2 }),
    label(88.5 * wide + 19, top + 32, "measured"),
    svg("path", { class: "cf-axis cf-dashed", d: `M${176 * wide},${top + 28}h16` }),
    label(176 * wide + 21, top + 32, "no shift"),
    svg("path", { class: "cf-axis cf-dashed", d: `M0,${y(1)}H${width}` }),
    svg("path", { class: "cf-axis", d: `M0,${floor}H${width}` }),
  ];
  norms.forEach(({ measured, predicted, half }, i) => {
    const centre = group * (i + 0.5);
    const left = centre - bar - 3;
    const right = centre + 3;
    const inside = right + bar * 0.5;
    marks.push(
      svg("rect", { class: "cf-orange-line", fill: stripes.fill, x: left + 1, y: y(predicted), width: bar - 2, height: Math.max(floor - y(predicted), 1), rx: 2 }),
      svg("rect", { class: "cf-blue-fill", x: right, y: y(measured), width: bar, height: Math.max(floor - y(measured), 1), rx: 2 }),
      svg("path", { class: "cf-ink-line", d: `M${inside},${y(measured + half)}V${y(Math.max(measured - half, 0))}` }),
      label(left + bar / 2, y(predicted) - 7, fixed(predicted), { ...middle, class: "cf-orange-text cf-strong cf-halo" }),
      label(right + bar / 2, y(measured + half) - 7, fixed(measured), { ...middle, class: "cf-blue-text cf-strong cf-halo" }),
      label(centre, floor + 18, `BN ${i + 1}`, { ...middle, class: "cf-strong" }),
    );
  });
  return { height: floor + 22, marks };
}

const MARKS = [
  (x, y) => svg("circle", { class: "cf-blue-fill", cx: x, cy: y, r: 4.5 }),
  (x, y) => svg("rect", { class: "cf-green-fill", x: x - 4, y: y - 4, width: 8, height: 8 }),
  (x, y) => svg("path", { class: "cf-purple-fill", d: `M${x},${y - 5.5}l5.5,10h-11z` }),
];

function rates({ p }, { net, curve, steps, last }, width, top) {
  const box = { left: 30, right: width - 10, top: top + 52, floor: top + 200 };
  const x = scale([0, last], [box.left + 14, box.right - 10]); // room for the markers at both ends
  const y = scale([0, 1.1], [box.floor, box.top]);
  const shift = Math.min((box.right - box.left) / steps / 4, 7);
  const legend = ["BN 1", "BN 2", "BN 3"].map((name, i) => [MARKS[i](6 + 56 * i, top + 28), label(16 + 56 * i, top + 32, name, small)]);
  return {
    height: box.floor + 40,
    marks: [
      label(0, top + 12, "The same at every rate", { class: "cf-strong" }),
      legend,
      svg("path", { class: "cf-orange-line", fill: "none", d: `M172,${top + 28}h20` }),
      label(197, top + 32, "formula", small),
      [0, 0.5, 1].map((value) => [
        svg("path", { class: value === 1 ? "cf-axis cf-dashed" : value ? "cf-grid" : "cf-axis", d: `M${box.left},${y(value)}H${box.right}` }),
        label(box.left - 6, y(value) + 4, fixed(value, value === 0.5 ? 1 : 0), { "text-anchor": "end", ...small }),
      ]),
      svg("path", { class: "cf-ink-line cf-dashed", d: `M${x(p)},${box.top}V${box.floor}` }),
      svg("path", { class: "cf-orange-line", fill: "none", d: curve.map((value, i) => `${i ? "L" : "M"}${x((last * i) / (curve.length - 1))},${y(value)}`).join("") }),
      net.measured.map((row, i) => row.map((value, step) => MARKS[i](x(step / steps) + shift * (i - 1), y(Math.min(value, 1.1))))),
      Array.from({ length: Math.round(last * steps) + 1 }, (_, step) => step).filter((step) => width > 420 || step % 3 === 0).map((step) =>
        label(x(step / steps), box.floor + 17, fixed(step / steps, 1), { ...middle, ...small })),
      label((box.left + box.right) / 2, box.floor + 35, "drop probability p", { ...middle, ...small }),
    ],
  };
}

export function render({ model, el }) {
  const get = (...names) => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const fixedParts = get("nets", "curves", "steps", "last");
  const most = Math.round(fixedParts.last * fixedParts.steps);
  const named = (name, options) => options.find(([value]) => value === name)[1];
  const at = (activation, order, step) => ({
    ...situation({ ...fixedParts, activation, order, step }),
    activationName: named(activation, model.get("activations")), orderName: named(order, model.get("orders")),
  });
  const step = () => clamp(Math.round(model.get("p") * fixedParts.steps), 0, most);
  const current = () => at(model.get("activation"), model.get("order"), step());
  const all = model.get("orders").flatMap(([order]) => Array.from({ length: most + 1 }, (_, i) => words(at("relu", order, i))));
  const line = readout(longest(all));
  const picture = stage(model.get("alt"), (width) => {
    const now = current();
    const order = model.get("order");
    const activation = model.get("activation");
    const above = bars(now, width, 78);
    const parts = { net: fixedParts.nets[activation][order], curve: fixedParts.curves[activation], ...fixedParts };
    const below = rates(now, parts, width, above.height + 18);
    return { height: below.height, marks: [network(order, width), above.marks, below.marks] };
  });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      slider(model, "p", { label: "Drop probability p", min: 0, max: fixedParts.last, step: 1 / fixedParts.steps, format: (p) => fixed(p, 1) }),
      toggle(model, "order", { label: "Order", options: model.get("orders") }),
      toggle(model, "activation", { label: "Activation", options: model.get("activations") }),
    ],
  });
  return watch(model, ["p", "order", "activation"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
