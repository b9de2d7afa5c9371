// Inverted scaling: what one neuron hands on in training and at test, under three schemes.
// Every value drawn was computed by the companion's dropout functions.

import { clamp, fixed, hatch, label, longest, mount, readout, scale, slider, stage, svg, toggle, watch } from "./kit.js";

// ---- numbers and words --------------------------------------------------------------------------------------------

const MOMENTS = {
  mean: { power: 1, name: "Mean output" },
  second: { power: 2, name: "Second moment (mean of the squared output)" },
};

/** Training and test value of a scheme, and how they compare. */
export function compare(scheme, moment, step, full) {
  const train = scheme[moment].train[step];
  const test = scheme[moment].test[step];
  const ratio = test / train;
  return { train, test, ratio, match: Math.abs(ratio - 1) < 1e-4, strength: test / full };
}

export const fullStrength = (x, moment) => x ** MOMENTS[moment].power;

function verdict({ match, ratio, strength }) {
  if (!match) return `no match, test is ${fixed(ratio)} times training`;
  return Math.abs(strength - 1) < 1e-4 ? "match, full strength" : `match, ${fixed(strength)} of full strength`;
}

/** One decimal, or two where they are needed. */
export const short = (value) => fixed(value, 2).replace(/0$/, "");

const capital = (text) => text[0].toUpperCase() + text.slice(1);

export function words({ schemes, x, moment, step, steps }) {
  const parts = schemes.map((scheme) => {
    const now = compare(scheme, moment, step, fullStrength(x, moment));
    return `${capital(scheme.name)}: ${short(now.train)} in training, ${short(now.test)} at test: ${verdict(now)}.`;
  });
  return `p = ${fixed(step / steps)}, neuron x = ${fixed(x, 1)}. ${MOMENTS[moment].name}. ${parts.join(" ")}`;
}

// ---- the picture --------------------------------------------------------------------------------------------------

function drawing({ schemes, x, moment, step }, width) {
  const full = fullStrength(x, moment);
  const top = Math.max(full, ...schemes.flatMap((scheme) => [...scheme[moment].train, ...scheme[moment].test]));
  const floor = 244;
  const y = scale([0, top], [floor, 64]);
  const group = width / schemes.length;
  const bar = Math.min(group * 0.36, 64);
  const gap = Math.min(group * 0.06, 14);
  const stripes = hatch("cf-orange-line", 8);
  const middle = { "text-anchor": "middle" };
  const marks = [
    stripes.defs,
    label(0, 14, `${MOMENTS[moment].name.replace(/ \(.*/, "")} of a neuron x = ${fixed(x, 1)}`, { class: "cf-strong" }),
    svg("rect", { class: "cf-blue-fill", x: 0.5, y: 25.5, width: 13, height: 13, rx: 2 }),
    label(20, 36, "training"),
    svg("rect", { class: "cf-orange-line", x: 88.5, y: 25.5, width: 13, height: 13, rx: 2, fill: stripes.fill }),
    label(108, 36, "test"),
    svg("path", { class: "cf-axis cf-dashed", d: `M150,32h22` }),
    label(178, 36, moment === "mean" ? "full strength" : `x² = ${fixed(full, 1)}`),
    svg("path", { class: "cf-axis cf-dashed", d: `M0,${y(full)}H${width}` }),
    svg("path", { class: "cf-axis", d: `M0,${floor}H${width}` }),
  ];
  schemes.forEach((scheme, i) => {
    const now = compare(scheme, moment, step, full);
    const centre = group * (i + 0.5);
    const left = centre - gap / 2 - bar;
    const right = centre + gap / 2;
    const power = moment === "mean" ? "" : "²";
    const formulas = scheme.formulas.map((formula) => (power && formula.length > 1 ? `(${formula})${power}` : formula + power));
    const kept = short(scheme.kept[step]);
    const values = (group > 180 ? "training gives " : "") + (step === 0 ? `always ${kept}` : `0 or ${kept}`);
    const look = now.match ? "cf-green" : "cf-red";
    const tall = (value) => Math.max(floor - y(value), 1.5);
    marks.push(
      svg("rect", { class: "cf-blue-fill", x: left, y: floor - tall(now.train), width: bar, height: tall(now.train), rx: 2 }),
      svg("rect", { x: right + 1, y: floor - tall(now.test), width: bar - 2, height: tall(now.test), rx: 2, fill: stripes.fill, class: "cf-orange-line" }),
      label(left + bar / 2, floor - tall(now.train) - 7, short(now.train), { ...middle, class: "cf-blue-text cf-strong cf-halo" }),
      label(right + bar / 2, floor - tall(now.test) - 7, short(now.test), { ...middle, class: "cf-orange-text cf-strong cf-halo" }),
      label(left + bar / 2, floor + 18, formulas[0], { ...middle, class: "cf-small" }),
      label(right + bar / 2, floor + 18, formulas[1], { ...middle, class: "cf-small" }),
      label(centre, floor + 44, scheme.name, { ...middle, class: "cf-strong" }),
      label(centre, floor + 64, values, middle),
      svg("rect", { class: "cf-card", x: centre - Math.min(group * 0.46, 98), y: floor + 76, width: Math.min(group * 0.92, 196), height: 26, rx: 13 }),
      label(centre, floor + 94, now.match ? (group > 180 ? `✓ ${verdict(now)}` : "✓ match") : `✗ test ×${fixed(now.ratio)}`, { ...middle, class: `${look}-text cf-strong` }),
    );
  });
  marks.push(svg("path", { class: "cf-grid", d: `M${group},${floor + 30}v72M${2 * group},${floor + 30}v72` }));
  return { height: floor + 106, marks };
}

export function render({ model, el }) {
  const current = () => ({
    schemes: model.get("schemes"), x: model.get("x"), moment: model.get("moment"), steps: model.get("steps"),
    step: clamp(Math.round(model.get("p") * model.get("steps")), 0, model.get("last")),
  });
  const steps = model.get("steps");
  const all = Object.keys(MOMENTS).flatMap((moment) =>
    Array.from({ length: model.get("last") + 1 }, (_, step) => words({ ...current(), moment, step })));
  const line = readout(longest(all));
  const picture = stage(model.get("alt"), (width) => drawing(current(), width));
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      slider(model, "p", { label: "Drop probability p", min: 0, max: model.get("last") / steps, step: 1 / steps, format: (p) => fixed(p) }),
      toggle(model, "moment", { label: "Compare", options: [["mean", "mean"], ["second", "second moment"]] }),
    ],
  });
  return watch(model, ["p", "moment"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
