// Transformers and RNNs, two views: the places of a block where one can drop, with what was measured there; and masks
// over the steps of a sequence, with what the first step left in memory. Masks, rates and effects are the companion's.

import {
  button, change, clamp, count, cross, fixed, label, levels, longest, mount, readout, row, scale, slider, stage, sum, svg, ticks,
  toggle, watch,
} from "./kit.js";

// ---- masks over time: numbers --------------------------------------------------------------------------------------

/** Coins of units (rows) at steps (columns): 1 kept, 0 dropped. A locked unit throws the coin of its first step only. */
export function coins(letters, units, step, kind) {
  const all = levels(letters);
  const steps = all.length / units;
  return Array.from({ length: units }, (_, u) =>
    Array.from({ length: steps }, (_, t) => (all[u * steps + (kind === "locked" ? 0 : t)] >= step ? 1 : 0)));
}

/** Whether each unit still holds the first step's value behind each mask: masks between layers never touch it. */
export const memory = (mask, kind) =>
  mask.map((unit) => unit.map((_, t) => (kind === "between" || unit.slice(0, t + 1).every(Boolean) ? 1 : 0)));

/** Share of units that should remember after t masks. */
export const expected = (p, t, kind) => (kind === "between" ? 1 : (1 - p) ** (kind === "locked" ? 1 : t));

export function timeWords({ mask, alive, kind, p }) {
  const units = mask.length;
  const steps = mask[0].length;
  const kept = sum(mask.map(sum));
  const left = sum(alive.map((unit) => unit.at(-1)));
  const coinsThrown = kind === "locked" ? units : units * steps;
  return `${count(coinsThrown, "coin")} for ${units} units and ${steps} steps; ${kept} of ${units * steps} cells kept. ` +
    `After ${steps} steps ${left} of ${units} units still hold what the first step left; ` +
    `${fixed(units * expected(p, steps, kind))} expected.`;
}

// ---- masks over time: picture --------------------------------------------------------------------------------------

function timePicture({ mask, alive, kind, p }, width) {
  const units = mask.length;
  const steps = mask[0].length;
  const left = 30;
  const cell = Math.min((width - left - 6) / steps, 30);
  const high = 19;
  const top = 52;
  const cells = mask.map((unit, u) => unit.map((kept, t) => {
    const x = left + cell * t;
    const y = top + high * u;
    const box = { x: x + 1, y: y + 1, width: cell - 2, height: high - 3, rx: 2 };
    if (!kept) {
      return [
        svg("rect", { class: "cf-gone", ...box }),
        cross(x + cell / 2, y + high / 2 - 1, 3),
      ];
    }
    // What is kept without being remembered is drawn hollow, with a whole edge.
    return alive[u][t] ? svg("rect", { class: "cf-blue-fill", ...box }) : svg("rect", { class: "cf-axis", ...box });
  }));
  const names = mask.map((_, u) => label(left - 8, top + high * u + 13, `${u + 1}`, { class: "cf-small", "text-anchor": "end" }));
  const floor = top + high * units;
  const axis = [1, ...ticks(5, steps, 4)].map((t) =>
    label(left + cell * (t - 0.5), floor + 15, `${t}`, { class: "cf-small", "text-anchor": "middle" }));
  const base = floor + 150;
  const y = scale([0, units], [base, base - 96]);
  const x = (t) => left + cell * (t - 0.5);
  const counts = alive[0].map((_, t) => sum(alive.map((unit) => unit[t])));
  const line = counts.map((_, t) => `${t ? "L" : "M"}${x(t + 1)},${y(units * expected(p, t + 1, kind))}`).join("");
  return {
    height: base + 40,
    marks: [
      legend(width),
      label(0, 44, "unit", { class: "cf-small" }),
      cells, names, axis,
      label(left + cell * steps, floor + 29, "step", { class: "cf-small", "text-anchor": "end" }),
      label(0, floor + 44, "Units that still hold what step 1 left", { class: "cf-strong" }),
      [0, units / 2, units].map((value) => [
        svg("path", { class: "cf-grid", d: `M${left},${y(value)}H${left + cell * steps}` }),
        label(left - 8, y(value) + 4, `${value}`, { class: "cf-small", "text-anchor": "end" }),
      ]),
      counts.map((n, t) => svg("rect", { class: "cf-blue-fill", x: x(t + 1) - cell * 0.36, y: y(n), width: cell * 0.72, height: base - y(n) })),
      svg("path", { class: "cf-orange-line", d: line, fill: "none" }),
      svg("circle", { class: "cf-orange-fill", cx: x(steps), cy: y(units * expected(p, steps, kind)), r: 4 }),
      svg("path", { class: "cf-orange-line", d: `M${left},${base + 26}h22`, fill: "none" }),
      label(left + 28, base + 30, "expected", { class: "cf-orange-text cf-strong" }),
    ],
  };
}

function legend(width) {
  const last = width >= 480 ? [250, 3] : [182, 21]; // on a phone, a second line
  return [
    svg("rect", { class: "cf-blue-fill", x: 0.5, y: 2.5, width: 16, height: 14, rx: 2 }),
    label(22, 14, "remembers step 1"),
    svg("rect", { class: "cf-axis", x: 182.5, y: 2.5, width: 16, height: 14, rx: 2 }),
    label(204, 14, "kept"),
    svg("rect", { class: "cf-gone", x: last[0] + 0.5, y: last[1] - 0.5, width: 16, height: 14, rx: 2 }),
    label(last[0] + 22, last[1] + 11, "dropped"),
  ];
}

// ---- a transformer's sites -----------------------------------------------------------------------------------------

const signed = (value) => `${value > 0 ? "+" : ""}${fixed(value, 1)}`;

/** Chance that a feature of the shortcut meets no coin that drops it, in so many blocks with two additions each. */
export const intact = ({ active }, p, blocks) => (active.includes("sum") ? (1 - p) ** (2 * blocks) : 1);

export function siteWords(site, blocks) {
  const told = site.effects.map(([p, mean, low, high]) =>
    `p = ${p}: ${signed(mean)} points (interval ${signed(low)} to ${signed(high)})`);
  const chance = intact(site, 0.1, blocks);
  return `${site.what} Test accuracy against no dropout, ${told.join("; ")}. ` +
    `In a network of ${count(blocks, "block")} a feature of the shortcut comes through whole with probability ` +
    `${chance < 1 ? fixed(chance, 3) : "1"} at p = 0.1.`;
}

/** Where the sites lie: height, and whether on the shortcut or on a branch. */
const DOTS = {
  embedding: [[42, "trunk"]],
  attention: [[122, "branch"]],
  residual: [[182, "branch"], [328, "branch"]],
  ff: [[268, "branch"]],
  sum: [[226, "trunk"], [372, "trunk"]],
  head: [[410, "trunk"]],
};

function block(active, width) {
  const middle = Math.min(width / 2, 230);
  const branch = middle + 44;
  const trunk = middle - 84;
  const box = (x, y, wide, words) => [
    svg("rect", { class: "cf-card", x: x - wide / 2, y, width: wide, height: 24, rx: 5, stroke: "var(--cf-line)" }),
    label(x, y + 16.5, words, { "text-anchor": "middle" }),
  ];
  const plus = (y) => [
    svg("circle", { cx: trunk, cy: y, r: 10, fill: "var(--cf-paper)", stroke: "var(--cf-ink)", "stroke-width": 2 }),
    svg("path", { class: "cf-ink-line", d: `M${trunk - 5},${y}h10M${trunk},${y - 5}v10` }),
  ];
  const way = (d) => svg("path", { class: "cf-ink-line", d });
  const dots = Object.entries(DOTS).flatMap(([site, places]) => places.map(([y, side]) => {
    const x = side === "trunk" ? trunk : branch;
    if (!active.includes(site)) return svg("circle", { cx: x, cy: y, r: 4, fill: "var(--cf-paper)", stroke: "var(--cf-ink)", "stroke-width": 1.5 });
    return [
      svg("circle", { class: "cf-orange-fill", cx: x, cy: y, r: 11, stroke: "var(--cf-paper)", "stroke-width": 2 }),
      svg("path", { d: `M${x - 4.5},${y - 4.5}l9,9m0,-9l-9,9`, stroke: "var(--cf-on)", "stroke-width": 2.5, fill: "none" }),
      label(x + 17, y + 4.5, "drop", { class: "cf-orange-text cf-strong cf-halo" }),
    ];
  }));
  return {
    height: 464,
    marks: [
      svg("rect", { x: trunk - 26, y: 58, width: branch - trunk + 112, height: 334, rx: 10, class: "cf-gone" }),
      label(branch + 80, 384, "passed twice", { class: "cf-small", "text-anchor": "end" }),
      way(`M${trunk},24V424`),
      way(`M${trunk},70H${branch}V204H${trunk}`), way(`M${trunk},242H${branch}V350H${trunk}`),
      plus(204), plus(350),
      box(trunk + 40, 2, 160, "tokens + positions"),
      box(branch, 80, 150, "norm, softmax(QKᵀ)"), box(branch, 140, 150, "× V, output layer"),
      box(branch, 232, 150, "norm, ReLU layer"), box(branch, 286, 150, "output layer"),
      label(trunk - 9, 138, "shortcut", { class: "cf-small", "text-anchor": "middle", transform: `rotate(-90 ${trunk - 9} 138)` }),
      box(trunk + 40, 424, 160, "norm, mean, head"),
      dots,
    ],
  };
}

function through(site, blocks, width, top) {
  const x = scale([0, 1], [86, width - 44]);
  const lines = [0.1, 0.5].map((p, i) => {
    const y = top + 24 + 24 * i;
    const chance = intact(site, p, blocks);
    return [
      label(0, y + 12, `p = ${p}`, { class: "cf-strong" }),
      svg("rect", { class: "cf-card", x: x(0), y, width: x(1) - x(0), height: 16, stroke: "var(--cf-line)" }),
      svg("rect", { class: "cf-blue-fill", x: x(0), y, width: x(chance) - x(0), height: 16 }),
      label(width - 38, y + 12, chance < 0.0005 ? "0.000" : fixed(chance, chance < 1 ? 3 : 0)),
    ];
  });
  const title = width < 420 ? "Shortcut intact, probability" : `Shortcut intact after ${count(blocks, "block")}, probability`;
  return { height: top + 24 + 24 * 2, marks: [label(0, top + 12, title, { class: "cf-strong" }), lines] };
}

function effects(site, width, top) {
  const x = scale([-20, 10], [86, width - 8]);
  const lines = site.effects.map(([p, mean, low, high], i) => {
    const y = top + 48 + 34 * i;
    const look = high < 0 ? "orange" : low > 0 ? "blue" : "purple";
    return [
      label(0, y + 4, `p = ${p}`, { class: "cf-strong" }),
      svg("path", { class: `cf-${look}-line`, d: `M${x(low)},${y}H${x(high)}M${x(low)},${y - 5}v10M${x(high)},${y - 5}v10`, fill: "none" }),
      svg("circle", { class: `cf-${look}-fill`, cx: x(mean), cy: y, r: 5 }),
      label(clamp(x(mean), 110, width - 24), y - 9, signed(mean), { class: `cf-${look}-text cf-strong cf-halo`, "text-anchor": "middle" }),
    ];
  });
  const floor = top + 34 + 34 * 3;
  return {
    height: floor + 24,
    marks: [
      label(0, top + 12, "Test accuracy against no dropout, points", { class: "cf-strong" }),
      ticks(-20, 10, 6).map((value) => [
        svg("path", { class: value ? "cf-grid" : "cf-ink-line", d: `M${x(value)},${top + 22}V${floor}` }),
        label(x(value), floor + 16, fixed(value, 0), { class: "cf-small", "text-anchor": "middle" }),
      ]),
      lines,
    ],
  };
}

// ---- both views ----------------------------------------------------------------------------------------------------

function renderSites(model, el) {
  const sites = model.get("sites");
  const current = () => sites[model.get("site")];
  const words = () => siteWords(current(), model.get("blocks"));
  const line = readout(longest(Object.values(sites).map((site) => siteWords(site, 24))) + " 0.000");
  const picture = stage(model.get("alt"), (width) => {
    const above = block(current().active, width);
    const middle = effects(current(), width, above.height + 8);
    const below = through(current(), model.get("blocks"), width, middle.height + 16);
    return { height: below.height, marks: [above.marks, middle.marks, below.marks] };
  });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      toggle(model, "site", { label: "Drop where?", options: model.get("names") }),
      slider(model, "blocks", { label: "Blocks, for the shortcut", min: 1, max: 24, step: 1, format: (n) => count(n, "block") }),
    ],
  });
  return watch(model, ["site", "blocks"], () => {
    picture.redraw();
    line.say(words());
  });
}

function renderTime(model, el) {
  const draws = model.get("masks").length;
  const current = () => {
    const [kind, p] = [model.get("kind"), model.get("p")];
    const letters = model.get("masks")[clamp(model.get("draw"), 0, draws - 1)];
    const mask = coins(letters, model.get("units"), Math.round(p * model.get("steps")), kind);
    return { mask, alive: memory(mask, kind), kind, p };
  };
  const line = readout(timeWords({ ...current(), kind: "fresh" }) + " ");
  const picture = stage(model.get("alt"), (width) => timePicture(current(), width));
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      row(button("New masks", () => change(model, { draw: (model.get("draw") + 1) % draws }), { main: true })),
      toggle(model, "kind", { label: "Masks", options: model.get("kinds") }),
      slider(model, "p", { label: "Drop rate p", min: 0, max: 1, step: 1 / model.get("steps"), format: (p) => fixed(p) }),
    ],
  });
  return watch(model, ["kind", "p", "draw"], () => {
    picture.redraw();
    line.say(timeWords(current()));
  });
}

export function render({ model, el }) {
  return model.get("view") === "sites" ? renderSites(model, el) : renderTime(model, el);
}

export default { render };
