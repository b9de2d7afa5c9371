// Stochastic depth: the coins of one training step after the other, and how often each depth came up.
// Uniform numbers, rates, distributions, means and deviations are the companion's.

import {
  button, change, clamp, count, fixed, label, longest, mean, mount, readout, row, scale, slider, stage, sum, svg, ticks, toggle,
  watch,
} from "./kit.js";

// ---- numbers ----------------------------------------------------------------------------------------------------

/** The uniform numbers of one step, two letters of six bits each. */
export const uniforms = (letters) =>
  Array.from({ length: letters.length / 2 }, (_, i) => 64 * (letters.charCodeAt(2 * i) - 63) + letters.charCodeAt(2 * i + 1) - 63);

/** One flag a block, 1 (computed) or 0 (dropped: its number lies below its rate). */
export const gates = (numbers, rates, most) => rates.map((p, i) => (numbers[i] < Math.round(p * most) ? 0 : 1));

/** All that the figure shows of the steps 0, ..., draw: `rule` holds the companion's results for one number of blocks. */
export function situation({ rule, coins, levels: most, steps }, step, draw) {
  const rates = rule.shape.map((share) => (share * step) / steps);
  const passes = coins.slice(0, draw + 1).map((letters) => gates(uniforms(letters), rates, most));
  const [first, ...chances] = rule.chances[step];
  return {
    rates, kept: passes[draw], depths: passes.map(sum), total: coins.length,
    exact: chances.map((chance, i) => [first + i, chance / 1000]),
    expected: rule.mean[step], sd: rule.sd[step],
  };
}

/** How often each depth came up: Map from depth to count. */
export function tally(depths) {
  const counts = new Map();
  depths.forEach((depth) => counts.set(depth, (counts.get(depth) ?? 0) + 1));
  return counts;
}

export function words({ rates, kept, depths, expected, sd }) {
  const here = sum(kept);
  const gone = kept.length - here;
  return `Step ${depths.length}: ${here} of ${count(kept.length, "block")} computed, ${gone || "none"} skipped. ` +
    (depths.length === 1 ? "" : `Mean of the ${depths.length} steps so far: ${fixed(mean(depths))}. `) +
    `Expected ${fixed(expected)}, standard deviation ${fixed(sd)}. ` +
    `The first block survives with probability ${fixed(1 - rates[0])}, the last with ${fixed(1 - rates.at(-1))}.`;
}

// ---- the picture --------------------------------------------------------------------------------------------------

const centred = { "text-anchor": "middle" };

/** The blocks in rows of equal length, each above the shortcut that runs through all of them. */
function stack({ kept }, width) {
  const rows = Math.ceil(kept.length / Math.min(Math.floor(width / 40), 13));
  const columns = Math.ceil(kept.length / rows);
  const cell = Math.min((width - 12) / columns, 58);
  const pitch = 58;
  const box = { width: Math.min(cell - 13, 40), height: 24 };
  const marks = kept.map((computed, i) => {
    const x = cell * (i % columns) + (cell - box.width) / 2;
    const y = 34 + pitch * Math.floor(i / columns);
    const line = y + 36;
    const middle = x + box.width / 2;
    if (!computed) {
      return [
        svg("rect", { class: "cf-gone", x, y, rx: 4, ...box }),
        label(middle, y + 17, `${i + 1}`, { ...centred, class: "cf-small" }),
      ];
    }
    return [
      svg("path", { class: "cf-axis", d: `M${x - 4},${line}V${y + 12}h4M${x + box.width},${y + 12}h4V${line}` }),
      svg("circle", { cx: x + box.width + 4, cy: line, r: 2.5, fill: "var(--cf-ink)" }),
      svg("rect", { class: "cf-blue-fill", x, y, rx: 4, ...box }),
      label(middle, y + 17, `${i + 1}`, { ...centred, class: "cf-on cf-strong" }),
    ];
  });
  const lines = Array.from({ length: rows }, (_, r) => {
    const y = 34 + pitch * r + 36;
    const end = cell * Math.min(columns, kept.length - columns * r) + 4;
    return [
      svg("path", { class: "cf-ink-line", d: `M0,${y}H${end}` }),
      svg("path", { d: `M${end},${y - 4}l7,4l-7,4z`, fill: "var(--cf-ink)" }),
    ];
  });
  return { height: 34 + pitch * rows, marks: [legend(), lines, marks] };
}

function legend() {
  return [
    svg("rect", { class: "cf-blue-fill", x: 0.5, y: 3.5, width: 18, height: 13, rx: 3 }),
    label(24, 14, "computed"),
    svg("rect", { class: "cf-gone", x: 98.5, y: 3.5, width: 18, height: 13, rx: 3 }),
    label(122, 14, "dropped"),
    svg("path", { class: "cf-ink-line", d: "M184,10h22" }),
    label(212, 14, "shortcut"),
  ];
}

/** The depths so far, one square a step, under the numbers that are expected after all steps. */
function histogram({ kept, depths, exact, expected, total }, width, top) {
  const counts = tally(depths);
  const seen = [...counts.keys(), ...exact.filter(([, chance]) => chance >= 0.0005).map(([depth]) => depth)];
  const high = Math.min(Math.max(...seen) + 1, kept.length);
  const low = Math.max(Math.min(...seen, high - 6) - 1, 0);
  const floor = top + 204;
  const x = scale([low - 0.5, high + 0.5], [4, width - 4]);
  const column = Math.min(x(1) - x(0), 44);
  const unit = 132 / Math.max(...counts.values(), ...exact.map(([, chance]) => chance * total), 8);
  const here = sum(kept);
  const average = mean(depths);
  const at = (value, text) => clamp(x(value), text.length * 3.6, width - text.length * 3.6);
  const told = [`expected ${fixed(expected)}`, `mean of ${depths.length}: ${fixed(average)}`];
  const towers = [...counts].map(([depth, n]) =>
    Array.from({ length: n }, (_, i) =>
      svg("rect", { class: "cf-blue-fill", x: x(depth) - column * 0.4, y: floor - unit * (i + 1) + Math.min(unit / 5, 1), width: column * 0.8, height: unit - Math.min(unit / 4, 1.5) })));
  const tower = floor - unit * counts.get(here) - 5;
  return {
    height: floor + 62,
    marks: [
      label(0, top + 14, "Blocks computed in the steps so far", { class: "cf-strong" }),
      svg("circle", { cx: 6, cy: top + 30, r: 4, class: "cf-orange-fill" }),
      label(16, top + 34, `expected among ${total} steps (exact)`, { class: "cf-small" }),
      svg("path", { class: "cf-axis", d: `M0,${floor}H${width}` }),
      svg("path", { class: "cf-orange-line cf-dashed", d: `M${x(expected)},${top + 60}V${floor}` }),
      label(at(expected, told[0]), top + 54, told[0], { ...centred, class: "cf-orange-text cf-strong" }),
      towers,
      exact.filter(([depth]) => depth >= low && depth <= high).map(([depth, chance]) =>
        svg("circle", { class: "cf-orange-fill", cx: x(depth), cy: floor - unit * chance * total, r: Math.min(4, column / 3), stroke: "var(--cf-paper)", "stroke-width": 1 })),
      svg("path", { d: `M${x(here)},${tower - 10}l5,5l-5,5l-5,-5z`, fill: "var(--cf-ink)", stroke: "var(--cf-paper)", "stroke-width": 1 }),
      ticks(low, high, Math.min(width < 420 ? 6 : 12, high - low)).map((value) => [
        svg("path", { class: "cf-axis", d: `M${x(value)},${floor}v5` }),
        label(x(value), floor + 19, fixed(value, 0), { ...centred, class: "cf-small" }),
      ]),
      svg("path", { class: "cf-green-fill", d: `M${x(average)},${floor + 25}l8,13h-16z` }),
      label(at(average, told[1]), floor + 54, told[1], { ...centred, class: "cf-green-text cf-strong" }),
    ],
  };
}

export function render({ model, el }) {
  const draws = model.get("coins").length;
  const at = (blocks, name) => {
    const step = clamp(Math.round(model.get("p") * model.get("steps")), 0, model.get("steps"));
    const set = { rule: model.get("rules")[name][blocks], ...Object.fromEntries(["coins", "levels", "steps"].map((key) => [key, model.get(key)])) };
    return situation(set, step, clamp(model.get("draw"), 0, draws - 1));
  };
  const current = () => at(model.get("blocks"), model.get("rule"));
  const sizes = Object.keys(model.get("rules").linear);
  const most = at(sizes.at(-1), "linear");
  const line = readout(longest([words({ ...most, depths: Array(draws).fill(37.25), expected: 37.25, sd: 12.25 })]));
  const picture = stage(model.get("alt"), (width) => {
    const now = current();
    const above = stack(now, width);
    const below = histogram(now, width, above.height + 14);
    return { height: below.height, marks: [above.marks, below.marks] };
  });
  const more = (n) => () =>
    change(model, { draw: model.get("draw") + 1 >= draws ? 0 : Math.min(model.get("draw") + n, draws - 1) });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      row(
        button("Step", more(1), { main: true }),
        button("Ten steps", more(10)),
        button("Start over", () => change(model, { draw: 0 })),
      ),
      toggle(model, "blocks", { label: "Blocks", options: sizes.map((size) => [size, size]) }),
      slider(model, "p", {
        label: "Drop probability of the last block", min: 0, max: 1, step: 1 / model.get("steps"),
        format: (p) => `${fixed(p, 1)} (survives: ${fixed(1 - p, 1)})`,
      }),
      toggle(model, "rule", { label: "Rates over depth", options: model.get("names") }),
    ],
  });
  return watch(model, ["p", "draw", "blocks", "rule"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
