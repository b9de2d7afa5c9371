// Ensembles: thinned subnetworks of trained networks, and what the average of K of them says against one scaled pass.
// Masks, logits of the sampled subnetworks and the means over all masks come from the companion.

import {
  button, change, clamp, cross, fixed, label, longest, mean, mount, readout, scale, slider, stage, svg, ticks, toggle, watch,
} from "./kit.js";

// ---- numbers ----------------------------------------------------------------------------------------------------

export const sigmoid = (d) => 1 / (1 + Math.exp(-d));

/** The two means of the first 1, 2, ... sampled subnetworks: probabilities of class 1 from differences of logits. */
export function runningMeans(logits) {
  const upTo = logits.map((_, i) => logits.slice(0, i + 1));
  return {
    geometric: upTo.map((some) => sigmoid(mean(some))), // the geometric mean averages logits
    arithmetic: upTo.map((some) => mean(some.map(sigmoid))), // the arithmetic mean averages probabilities
  };
}

/** Masks of the two hidden layers: the first n coins of each half of the row; only `both` masks the first layer. */
export function layerMasks(row, n, place) {
  const coins = Array.from(row, Number);
  const most = coins.length / 2;
  return [place === "both" ? coins.slice(0, n) : Array(n).fill(1), coins.slice(most, most + n)];
}

/** All that the figure shows about the network with n units a layer and its first K = draw + 1 sampled subnetworks. */
export function situation({ nets, counts, masks, least, place, n, point, draw }) {
  const net = nets[place][n - least];
  const logits = net.logits[point];
  return {
    layers: layerMasks(masks[draw], n, place),
    count: counts[place][n - least],
    draws: logits.length,
    running: runningMeans(logits),
    all: { geometric: net.geometric[point], arithmetic: net.arithmetic[point] },
    one: net.one[point],
    draw, place, n,
  };
}

export function words({ count, running, all, one, draw, layers }) {
  const kept = layers.flat().filter(Boolean).length;
  return `${count} Subnetwork ${draw + 1} keeps ${kept} of ${layers.flat().length} hidden units. ` +
    `Mean of the ${draw + 1} so far: geometric ${fixed(running.geometric[draw], 3)}, ` +
    `arithmetic ${fixed(running.arithmetic[draw], 3)}. ` +
    `All masks: geometric ${fixed(all.geometric, 3)}, arithmetic ${fixed(all.arithmetic, 3)}. ` +
    `One pass: ${fixed(one, 3)}.`;
}

/** Least and greatest value that the chart must hold, with a little room, inside [0, 1]. */
export function extent({ running, all, one }) {
  const values = [...running.geometric, ...running.arithmetic, all.geometric, all.arithmetic, one];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((high - low) * 0.08, 0.02);
  return [clamp(low - room, 0, 1), clamp(high + room, 0, 1)];
}

// ---- the picture --------------------------------------------------------------------------------------------------

const centred = { "text-anchor": "middle" };

function network({ layers: [first, second], count }, width) {
  const columns = [[1, 1], first, second, [1, 1]];
  const top = 62;
  const room = 190;
  const x = scale([0, 3], [34, width - 44]);
  const y = (units, i) => top + (room * (i + 0.5)) / units;
  const place = (c, i) => (c % 3 === 0 ? top + room * (0.3 + 0.4 * i) : y(columns[c].length, i)); // c: column
  const edges = columns.slice(1).flatMap((column, c) =>
    columns[c].flatMap((from, i) => column.map((to, j) =>
      from && to && `M${x(c)},${place(c, i)}L${x(c + 1)},${place(c + 1, j)}`)));
  const radius = clamp(room / Math.max(first.length, 4) / 2 - 1.5, 6, 11);
  const units = columns.flatMap((column, c) => column.map((kept, i) => {
    const [cx, cy] = [x(c), place(c, i)];
    if (c % 3 === 0) return svg("circle", { class: "cf-card", cx, cy, r: 9, stroke: "var(--cf-ink)", "stroke-width": 1.5 });
    if (kept) return svg("circle", { class: "cf-blue-fill", cx, cy, r: radius });
    const arm = radius * 0.45;
    return [
      svg("circle", { class: "cf-gone", cx, cy, r: radius }),
      cross(cx, cy, arm),
    ];
  }));
  const heads = width < 460 ? ["in", "layer 1", "layer 2", "out"] : ["inputs", "hidden layer 1", "hidden layer 2", "classes"];
  return {
    height: top + room + 8,
    marks: [
      label(0, 14, count, { class: "cf-strong" }),
      heads.map((text, c) => label(x(c), 44, text, { ...centred, class: "cf-small" })),
      svg("path", { class: "cf-axis", opacity: 0.6, d: edges.filter(Boolean).join("") }),
      units,
    ],
  };
}

/** Moves labels down or up until neighbours are `gap` apart. */
export function apart(places, gap) {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  order.slice(1).forEach((index, i) => (moved[index] = Math.max(moved[index], moved[order[i]] + gap)));
  const over = mean(moved) - mean(places);
  return moved.map((place) => place - over);
}

function chart(now, width, top) {
  const { running, all, one, draw, draws } = now;
  const right = width - (width < 460 ? 104 : 128);
  const floor = top + 196;
  const [low, high] = extent(now);
  const y = scale([high, low], [top + 34, floor]);
  const x = scale([1, draws], [44, right - 34]);
  const line = (values) => values.slice(0, draw + 1).map((value, i) => `${i ? "L" : "M"}${x(i + 1)},${y(value)}`).join("");
  const last = { geometric: running.geometric[draw], arithmetic: running.arithmetic[draw] };
  const at = x(draw + 1);
  const end = right - 12;
  const texts = [
    [one, `one pass ${fixed(one, 3)}`, "cf-strong"],
    [all.geometric, `geom. ${fixed(all.geometric, 3)}`, "cf-blue-text cf-strong"],
    [all.arithmetic, `arith. ${fixed(all.arithmetic, 3)}`, "cf-orange-text cf-strong"],
  ];
  const heights = apart(texts.map(([value]) => y(value)), 16);
  const diamond = (cx, cy, r) => `M${cx},${cy - r}l${r},${r}l${-r},${r}l${-r},${-r}z`;
  return {
    height: floor + 44,
    marks: [
      label(0, top + 14, "Probability of class 1", { class: "cf-strong" }),
      ticks(low, high, 5).map((value) => [
        svg("path", { class: "cf-grid", d: `M40,${y(value)}H${end}` }),
        label(36, y(value) + 4, fixed(value, high - low < 0.15 ? 2 : 1), { "text-anchor": "end", class: "cf-small" }),
      ]),
      svg("path", { class: "cf-axis", d: `M40,${floor}H${end}` }),
      [1, ...ticks(1, draws, 4).filter((value) => value > 1)].map((value) =>
        label(x(value), floor + 18, fixed(value, 0), { ...centred, class: "cf-small" })),
      label(end, floor + 18, "all", { ...centred, class: "cf-small" }),
      label((44 + right) / 2, floor + 36, "subnetworks averaged", { ...centred, class: "cf-small" }),
      svg("path", { class: "cf-ink-line", d: `M40,${y(one)}H${end + 8}`, "stroke-width": 1.5, "stroke-dasharray": "2 4" }),
      svg("path", { class: "cf-blue-line", fill: "none", d: line(running.geometric) }),
      svg("path", { class: "cf-orange-line", fill: "none", "stroke-dasharray": "6 3", d: line(running.arithmetic) }),
      svg("rect", { class: "cf-orange-fill", x: at - 5, y: y(last.arithmetic) - 5, width: 10, height: 10 }),
      svg("path", { class: "cf-blue-fill", d: diamond(at, y(last.geometric), 5) }),
      svg("path", { class: "cf-blue-fill", d: diamond(end, y(all.geometric), 7) }),
      svg("rect", { class: "cf-orange-fill", x: end - 5, y: y(all.arithmetic) - 5, width: 10, height: 10 }),
      texts.map(([, text, name], i) => label(right + 2, heights[i] + 4, text, { class: name })),
    ],
  };
}

export function render({ model, el }) {
  const values = () => Object.fromEntries(
    ["nets", "counts", "masks", "least", "place", "n", "point", "draw"].map((name) => [name, model.get(name)]));
  const current = () => {
    const now = values();
    const most = now.least + now.nets.last.length - 1;
    return situation({ ...now, n: clamp(Math.round(now.n), now.least, most), draw: clamp(now.draw, 0, now.masks.length - 1) });
  };
  const { nets, counts, least, masks, points } = { ...values(), points: model.get("points") };
  const most = least + nets.last.length - 1;
  const line = readout(longest(counts.both.map((count) => words({ ...current(), count }))));
  const picture = stage(model.get("alt"), (width) => {
    const now = current();
    const above = network(now, width);
    const below = chart(now, width, above.height + 10);
    return { height: below.height, marks: [above.marks, below.marks] };
  });
  const more = (k) => () => change(model, { draw: model.get("draw") + 1 >= masks.length ? 0 : Math.min(model.get("draw") + k, masks.length - 1) });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      button("Sample a subnetwork", more(1), { main: true }),
      button("Ten more", more(10)),
      button("Start over", () => change(model, { draw: 0 })),
      slider(model, "n", { label: "Units in each hidden layer, n", min: least, max: most, step: 1, format: (n) => `${n}` }),
      toggle(model, "place", { label: "Dropout in", options: [["last", "layer 2 only"], ["both", "both layers"]] }),
      toggle(model, "point", { label: "Point of the plane", options: points }),
    ],
  });
  return watch(model, ["n", "place", "point", "draw"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
