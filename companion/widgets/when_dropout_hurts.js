// When dropout hurts: gains and losses that the companion recorded, one cell for each network and number of examples.
// Means, intervals and signs are the companion's; nothing is computed here but how often an example was drawn.

import {
  change, clamp, fixed, hatch, label, longest, mount, readout, scale, slider, stage, svg, ticks, toggle, watch,
} from "./kit.js";

// ---- numbers and words ---------------------------------------------------------------------------------------------

/** 1000 -> "1,000". */
export const thousands = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

/** 30000 -> "30k", for narrow columns. */
export const short = (n) => (n >= 1000 ? `${n / 1000}k` : String(n));

/** A gain with its sign, or 0.0. */
export const signed = (value, digits = 1) => (value > 0 && Number(value.toFixed(digits)) ? "+" : "") + fixed(value, digits);

/** How often an example comes up when `drawn` are drawn in all, in words. */
export function often(drawn, count) {
  const times = drawn / count;
  return times >= 10 ? `about ${Math.round(times)} times` : `${fixed(times, 1)} times`;
}

const VERDICTS = { 1: "dropout helps", 0: "no effect seen", "-1": "dropout costs accuracy" };

/** All that the figure shows: the rows of the map, the chosen cell and its row. */
export function situation({ cells, students, counts, drawn }, { labels, student, p, place }) {
  const rows = students.map((one) => cells[labels][one].map((cell) => cell.gains[p]));
  const row = students.indexOf(student);
  const cell = cells[labels][student][place];
  return { rows, row, place, student, labels, p, counts, drawn, base: cell.base, train: cell.train, gain: rows[row][place] };
}

export function words({ student, counts, place, p, labels, drawn, base, train, gain }) {
  const [mean, low, high, sign] = gain;
  return `Network ${student}, ${thousands(counts[place])} examples, ` +
    `${labels === "wrong" ? "one label in five wrong" : "all labels right"}: without dropout ${fixed(base, 1)}% on new ` +
    `examples (${fixed(train, 1)}% on those for fitting). With p = ${p}: ${signed(mean)} [${signed(low)}, ${signed(high)}] ` +
    `points, ${VERDICTS[sign]}. An example is drawn ${often(drawn, counts[place])}.`;
}

// ---- the picture -----------------------------------------------------------------------------------------------------

const middle = { "text-anchor": "middle" };
const LEFT = 52;

function map(now, students, width, choose) {
  const stripes = hatch("cf-orange-line", 7);
  const step = (width - LEFT) / now.counts.length;
  const heads = now.counts.map((n, j) =>
    label(LEFT + step * (j + 0.5), 38, step < 56 ? short(n) : thousands(n), { ...middle, class: j === now.place ? "cf-strong" : "cf-small" }));
  const cells = now.rows.flatMap((row, i) => row.map(([mean, , , sign], j) => {
    const box = { x: LEFT + step * j + 2, y: 48 + 46 * i, width: step - 4, height: 40, rx: 4 };
    const chosen = i === now.row && j === now.place;
    const fill = { 1: { class: "cf-blue-fill" }, 0: { class: "cf-gone" }, "-1": { fill: stripes.fill, stroke: "var(--cf-orange)", "stroke-width": 1.5 } }[sign];
    return svg("g", { onclick: () => choose(students[i], j), style: "cursor:pointer" },
      svg("rect", { class: "cf-card", ...box }),
      svg("rect", { ...box, ...fill }),
      chosen && svg("rect", { x: box.x - 1, y: box.y - 1, width: box.width + 2, height: 42, rx: 5, fill: "none", stroke: "var(--cf-ink)", "stroke-width": 3.5 }),
      sign === -1 && svg("rect", { class: "cf-card", x: box.x + box.width / 2 - 18, y: box.y + 10, width: 36, height: 20, rx: 4 }),
      label(box.x + box.width / 2, box.y + 25, signed(mean, step < 50 ? 0 : 1), { ...middle, class: sign === 1 ? "cf-on cf-strong" : "cf-strong" }));
  }));
  return [
    stripes.defs,
    label(0, 14, "Gain of dropout, in points", { class: "cf-strong" }),
    heads, cells,
    students.map((one, i) => label(0, 48 + 46 * i + 25, one, { class: i === now.row ? "cf-strong" : "" })),
  ];
}

function legend(top, stripes, width) {
  const items = [["cf-blue-fill", "helps"], ["stripes", "costs"], ["cf-gone", "interval holds 0"]];
  const at = [0, 78, 156];
  return items.map(([look, text], i) => [
    svg("rect", { x: at[i] + 1, y: top, width: 18, height: 13, rx: 3, ...(look === "stripes" ? { fill: stripes.fill, stroke: "var(--cf-orange)" } : { class: look }) }),
    label(at[i] + 25, top + 11, text, { class: "cf-small" }),
  ]);
}

/** The chosen row as a chart: gain with its interval against the number of examples. */
function chart(now, width, top) {
  const row = now.rows[now.row];
  const low = Math.min(-2, ...row.map((gain) => gain[1]));
  const high = Math.max(2, ...row.map((gain) => gain[2]));
  const step = (width - LEFT) / now.counts.length;
  const x = (j) => LEFT + step * (j + 0.5);
  const y = scale([low, high], [top + 168, top + 34]);
  const path = row.map(([mean], j) => `${j ? "L" : "M"}${x(j)},${y(mean)}`).join("");
  return [
    label(0, top + 14, `Network ${now.student}, p = ${now.p}`, { class: "cf-strong" }),
    ticks(low, high, 4).map((value) => [
      svg("path", { class: value ? "cf-grid" : "cf-axis", d: `M${LEFT},${y(value)}H${width}` }),
      label(LEFT - 6, y(value) + 4, signed(value, 0), { "text-anchor": "end", class: "cf-small" }),
    ]),
    svg("path", { class: "cf-ink-line", d: `M${LEFT},${y(0)}H${width}`, "stroke-width": 1 }),
    svg("path", { class: "cf-blue-line", d: path, fill: "none" }),
    row.map(([mean, under, over], j) => [
      svg("path", { class: "cf-blue-line", d: `M${x(j)},${y(under)}V${y(over)}M${x(j) - 5},${y(under)}h10M${x(j) - 5},${y(over)}h10` }),
      svg("circle", { class: "cf-blue-fill", cx: x(j), cy: y(mean), r: j === now.place ? 7 : 4.5, stroke: j === now.place ? "var(--cf-ink)" : "none", "stroke-width": 2.5 }),
      label(x(j), top + 190, step < 56 ? short(now.counts[j]) : thousands(now.counts[j]), { ...middle, class: j === now.place ? "cf-strong" : "cf-small" }),
    ]),
    label((LEFT + width) / 2, top + 208, "training examples", { ...middle, class: "cf-small" }),
  ];
}

export function render({ model, el }) {
  const names = ["cells", "students", "counts", "drawn"];
  const shipped = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const { students, counts } = shipped;
  const current = () => situation(shipped, {
    labels: model.get("labels"), student: model.get("student"), p: model.get("p"),
    place: clamp(Math.round(model.get("place")), 0, counts.length - 1),
  });
  const every = model.get("kinds").flatMap(([labels]) => students.flatMap((student) =>
    model.get("rates").flatMap((p) => counts.map((_, place) => words(situation(shipped, { labels, student, p, place }))))));
  const line = readout(longest(every));
  const picture = stage(model.get("alt"), (width) => {
    const now = current();
    const stripes = hatch("cf-orange-line", 7);
    const bottom = 48 + 46 * students.length;
    return {
      height: bottom + 262,
      marks: [
        stripes.defs,
        map(now, students, width, (student, place) => change(model, { student, place })),
        legend(bottom + 6, stripes, width),
        chart(now, width, bottom + 44),
      ],
    };
  });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      slider(model, "place", {
        label: "Training examples", min: 0, max: counts.length - 1, step: 1, format: (place) => thousands(counts[place]),
      }),
      toggle(model, "student", { label: "Units in the two hidden layers", options: students.map((one) => [one, one]) }),
      toggle(model, "p", { label: "Drop probability p", options: model.get("rates").map((p) => [p, p]) }),
      toggle(model, "labels", { label: "Labels for fitting", options: model.get("kinds") }),
    ],
  });
  return watch(model, ["place", "student", "p", "labels"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
