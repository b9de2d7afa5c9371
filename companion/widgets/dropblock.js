// DropBlock: one feature map of a trained network under blocks of any size, and the rate at which each cell is dropped.
// The map, the masks and the rates are the companion's.

import {
  button, change, clamp, featureMap, fixed, label, levels, mapLegend, mount, readout, row, slider, stage, sum, svg, threshold,
  toggle, watch,
} from "./kit.js";

// ---- numbers ----------------------------------------------------------------------------------------------------

/** Rates of all cells of a map of `side` by `side` from those of one eighth of it: the others mirror it. */
export function mirrored(eighth, side) {
  const half = side / 2;
  const near = (i) => Math.min(i, side - 1 - i);
  return Array.from({ length: side * side }, (_, i) => {
    const [low, high] = [near(Math.floor(i / side)), near(i % side)].sort((a, b) => a - b);
    return eighth[low * half - (low * (low - 1)) / 2 + high - low];
  });
}

/** "1 × 1", a single cell, and "8 × 8", the whole map, have names of their own. */
export const sizeName = (size, side) =>
  `${size} × ${size}${size === 1 ? " (single cells)" : size === side ? " (the whole map)" : ""}`;

const percent = (rate) => `${fixed(rate / 10, 1)}%`;

export function words({ p, draw, size, border, mask, rates }) {
  const side = Math.sqrt(mask.length);
  const gone = mask.length - sum(mask);
  const head = `Mask ${draw + 1}, p = ${fixed(p)}, blocks of ${sizeName(size, side)}, ` +
    `${border === "cut" ? "cut at the border" : "kept whole"}: `;
  const scaled = gone === 0 ? "nothing is dropped." : gone === mask.length ? `all ${gone} cells gone.` :
    `${gone} of ${mask.length} cells gone; alone, the map would be multiplied by ` +
    `${mask.length}/${mask.length - gone} = ${fixed(mask.length / (mask.length - gone))}.`;
  const middle = rates[Math.floor(side / 2) * (side + 1)];
  return `${head}${scaled} How often a cell is dropped: corner ${percent(rates[0])}, middle ${percent(middle)}, ` +
    `mean ${percent(sum(rates) / rates.length)}.`;
}

// ---- the picture --------------------------------------------------------------------------------------------------

function rateMap(rates, side, left, top, cell) {
  return rates.flatMap((rate, i) => {
    const [x, y] = [left + cell * (i % side), top + cell * Math.floor(i / side)];
    const box = { x: x + 0.5, y: y + 0.5, width: cell - 1, height: cell - 1 };
    const number = label(x + cell / 2, y + cell / 2 + 4, String(Math.round(rate / 10)), {
      class: "cf-small cf-halo", "text-anchor": "middle",
    });
    return [svg("rect", { class: "cf-orange-fill", opacity: 0.04 + 0.66 * (rate / 1000), ...box }), cell >= 22 && number];
  });
}

export function render({ model, el }) {
  const values = model.get("map").flat();
  const side = model.get("map").length;
  const sizes = model.get("rates").length;
  const draws = model.get("levels").whole[0].length;
  const steps = model.get("steps");
  const current = () => {
    const step = clamp(Math.round(model.get("p") * steps), 0, steps);
    const size = clamp(Math.round(model.get("size")), 1, sizes);
    const draw = clamp(model.get("draw"), 0, draws - 1);
    const border = model.get("border");
    const mask = threshold(levels(model.get("levels")[border][size - 1][draw]), step);
    const even = values.map(() => (1000 * step) / steps);
    const rates = border === "cut" ? even : mirrored(model.get("rates")[size - 1][step], side);
    return { p: step / steps, draw, size, border, mask, rates };
  };
  const longest = { p: 0.55, draw: 99, size: side, border: "whole", rates: values.map(() => 555) };
  const line = readout(words({ ...longest, mask: values.map((_, i) => i % 2) }));
  const picture = stage(model.get("alt"), (width) => {
    const { mask, rates } = current();
    const gap = 28;
    const columns = width >= 520 ? 2 : 1;
    const size = columns === 2 ? Math.min((width - gap) / 2, 300) : Math.min(width, 232); // both maps on a phone's screen
    const [left, top] = columns === 2 ? [size + gap, 50] : [0, 50 + size + 34];
    return {
      height: top + size,
      marks: [
        mapLegend(),
        label(0, 42, "one feature map", { class: "cf-small" }),
        featureMap(values, mask, side, 0, 50, size / side),
        label(left, top - 8, "how often each cell is dropped, in %", { class: "cf-small" }),
        rateMap(rates, side, left, top, size / side),
      ],
    };
  });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      row(button("New mask", () => change(model, { draw: (model.get("draw") + 1) % draws }), { main: true })),
      toggle(model, "border", { label: "Blocks at the border", options: [["whole", "whole"], ["cut", "cut"]] }),
      slider(model, "size", { label: "Block size", min: 1, max: sizes, step: 1, format: (size) => sizeName(size, side) }),
      slider(model, "p", { label: "Drop probability p", min: 0, max: 1, step: 1 / steps, format: (p) => fixed(p) }),
    ],
  });
  return watch(model, ["p", "size", "border", "draw"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
