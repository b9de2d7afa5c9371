// Masks: units kept and dropped, and where the surviving sum falls against its expectation.
// Masks come from levels that the companion drew; expectation and standard deviation are the companion's, too.

import {
  button, change, count, cross, fixed, hatch, label, levels, mean, mount, readout, row, scale, slider, stage, sum, svg, threshold,
  ticks, toggle, watch,
} from "./kit.js";

// ---- numbers ----------------------------------------------------------------------------------------------------

export const maskedSum = (x, mask) => sum(x.map((value, i) => value * mask[i]));

/** All that the picture and the words say about the masks 0, ..., draw of one set of units at p = step / steps. */
export function situation({ x, rows, mean: means, sd }, step, draw) {
  const masks = rows.slice(0, draw + 1).map((row) => threshold(levels(row), step));
  const sums = masks.map((mask) => maskedSum(x, mask));
  const mask = masks[draw];
  return {
    mask, sums, kept: sum(mask), survived: sums[draw], full: sum(x), expected: means[step], sd: sd[step], average: mean(sums),
  };
}

/** Counts of the sums in bins of the given width, centred on its multiples: Map from centre to count. */
export function histogram(sums, bin) {
  const counts = new Map();
  sums.forEach((value) => {
    const centre = Math.round(value / bin) * bin;
    counts.set(centre, (counts.get(centre) ?? 0) + 1);
  });
  return counts;
}

export function words({ mask, sums, kept, survived, full, expected, sd, average }, p) {
  const whole = fixed(full, 1);
  const against = survived > full + 1e-9 ? `, more than the full sum ${whole}`
    : survived < -1e-9 ? `, negative, while the full sum is ${whole}`
    : ` of ${whole}`;
  return `Mask ${sums.length}, p = ${fixed(p)}: ${kept} of ${count(mask.length, "unit")} kept. ` +
    `Surviving sum ${fixed(survived, 1)}${against}. ` +
    `Expected ${fixed(expected)} with standard deviation ${fixed(sd)}. ` +
    (sums.length === 1 ? "One mask drawn so far." : `Mean of the ${sums.length} sums so far: ${fixed(average)}.`);
}

// ---- the picture --------------------------------------------------------------------------------------------------

function legend(width) {
  return [
    svg("rect", { class: "cf-blue-fill", x: 0.5, y: 3.5, width: 13, height: 13, rx: 2 }),
    label(20, 14, "kept"),
    svg("rect", { class: "cf-gone", x: 66.5, y: 3.5, width: 13, height: 13, rx: 2 }),
    cross(73, 10, 3.5),
    label(86, 14, "dropped"),
  ];
}

/** A few signed units: bars, and under each its value, its coin and what is left. */
function bars(x, mask, width) {
  const gutter = 44;
  const column = (width - gutter) / x.length;
  const high = Math.max(...x, 0);
  const y = scale([high, Math.min(...x, 0)], [32, 142]);
  const bar = Math.min(column * 0.62, 56);
  const rows = [168, 196, 226];
  const marks = [
    svg("path", { class: "cf-axis", d: `M${gutter},${y(0)}H${width}` }),
    label(0, rows[0], "x"), label(0, rows[1], "mask"), label(0, rows[2], "m · x"),
    svg("path", { class: "cf-grid", d: `M0,${rows[2] - 18}H${width}` }),
  ];
  x.forEach((value, i) => {
    const middle = gutter + column * (i + 0.5);
    const box = { x: middle - bar / 2, y: Math.min(y(0), y(value)), width: bar, height: Math.abs(y(value) - y(0)), rx: 2 };
    const centred = { "text-anchor": "middle" };
    marks.push(label(middle, rows[0], fixed(value, 1), centred));
    if (mask[i]) {
      marks.push(
        svg("rect", { class: "cf-blue-fill", ...box }),
        svg("rect", { class: "cf-blue-fill", x: middle - 11, y: rows[1] - 16, width: 22, height: 22, rx: 11 }),
        label(middle, rows[1], "1", { ...centred, class: "cf-on cf-strong" }),
        label(middle, rows[2], fixed(value, 1), { ...centred, class: "cf-strong" }),
      );
    } else {
      marks.push(
        svg("rect", { class: "cf-gone", ...box }),
        cross(middle, (y(0) + y(value)) / 2, 5, Math.min(5, box.height / 3)),
        svg("rect", { class: "cf-gone", x: middle - 11, y: rows[1] - 16, width: 22, height: 22, rx: 11 }),
        label(middle, rows[1], "0", centred),
        label(middle, rows[2], "0", { ...centred, class: "cf-small" }),
      );
    }
  });
  return { height: 238, marks };
}

/** Many positive units: squares whose area is the activation. */
function squares(x, mask, width) {
  const columns = width >= 520 ? 12 : 8;
  const cell = Math.min(width / columns, 50);
  const left = (width - cell * columns) / 2;
  const largest = Math.max(...x);
  const marks = x.flatMap((value, i) => {
    const side = cell * 0.88 * Math.sqrt(value / largest);
    const middle = [left + cell * ((i % columns) + 0.5), 28 + cell * (Math.floor(i / columns) + 0.5)];
    const box = { x: middle[0] - side / 2, y: middle[1] - side / 2, width: side, height: side, rx: Math.min(3, side / 4) };
    const arm = Math.min(side * 0.5, 12);
    return mask[i]
      ? [svg("rect", { class: "cf-blue-fill", ...box })]
      : [svg("rect", { class: "cf-gone", ...box }), cross(...middle, arm / 2)];
  });
  return { height: 28 + cell * Math.ceil(x.length / columns) + 8, marks };
}

/** The sums so far on the line of all possible sums, with the expectation and one standard deviation around it. */
function sums(set, now, width, top) {
  const range = [sum(set.x.filter((value) => value < 0)), sum(set.x.filter((value) => value > 0))];
  const pad = set.bin;
  const x = scale([range[0] - pad, range[1] + pad], [2, width - 2]);
  const floor = top + 168;
  const counts = histogram(now.sums, set.bin);
  const tallest = Math.max(10, ...counts.values());
  const unit = 92 / tallest;
  const binWidth = x(set.bin) - x(0);
  const band = hatch("cf-orange-line", 7);
  const place = (value, text) => {
    const half = text.length * 3.6;
    return { x: Math.min(Math.max(x(value), half), width - half), text };
  };
  const centred = (value, y, text, name) => {
    const { x: at } = place(value, text);
    return label(at, y, text, { "text-anchor": "middle", class: name });
  };
  const low = Math.max(x(now.expected - now.sd), 2);
  const high = Math.min(x(now.expected + now.sd), width - 2);
  const towers = [...counts].map(([centre, n]) =>
    unit >= 4
      ? Array.from({ length: n }, (_, i) =>
          svg("rect", { class: "cf-blue-fill", x: x(centre) - binWidth * 0.42, y: floor - unit * (i + 1) + 1, width: binWidth * 0.84, height: unit - 1.5, rx: 1 }))
      : svg("rect", { class: "cf-blue-fill", x: x(centre) - binWidth * 0.42, y: floor - unit * n, width: binWidth * 0.84, height: unit * n }));
  const here = x(now.survived);
  const tower = floor - unit * counts.get(Math.round(now.survived / set.bin) * set.bin) - 8;
  return {
    height: top + 232,
    marks: [
      band.defs,
      label(0, top + 14, "Surviving sums so far", { class: "cf-strong" }),
      centred(now.full, top + 34, `all kept: ${fixed(now.full, 1)}`, "cf-small"),
      svg("path", { class: "cf-axis cf-dashed", d: `M${x(now.full)},${top + 40}V${floor}` }),
      centred(now.expected, top + 52, `expected: ${fixed(now.expected)} ± ${fixed(now.sd)}`, "cf-orange-text cf-strong"),
      svg("rect", { x: low, y: top + 60, width: Math.max(high - low, 0), height: floor - top - 60, fill: band.fill, opacity: 0.35 }),
      towers,
      svg("path", { class: "cf-orange-line", d: `M${x(now.expected)},${top + 58}V${floor}`, "stroke-width": 2.5 }),
      svg("path", { class: "cf-axis", d: `M0,${floor}H${width}` }),
      ticks(...range, width < 420 ? 5 : 10).map((value) => [
        svg("path", { class: "cf-axis", d: `M${x(value)},${floor}v5` }),
        label(x(value), floor + 19, fixed(value, 0), { "text-anchor": "middle", class: "cf-small" }),
      ]),
      svg("path", { d: `M${here},${tower - 7}l7,7l-7,7l-7,-7z`, fill: "var(--cf-ink)", stroke: "var(--cf-paper)", "stroke-width": 1.5 }),
      svg("path", { class: "cf-green-fill", d: `M${x(now.average)},${floor + 26}l8,14h-16z` }),
      centred(now.average, floor + 57, `mean of ${now.sums.length}: ${fixed(now.average)}`, "cf-green-text cf-strong"),
    ],
  };
}

export function render({ model, el }) {
  const current = () => {
    const set = model.get("sets")[model.get("units")];
    const step = Math.min(Math.max(Math.round(model.get("p") * model.get("steps")), 0), model.get("steps"));
    const draw = Math.min(Math.max(model.get("draw"), 0), set.rows.length - 1);
    return { set, p: step / model.get("steps"), draw, now: situation(set, step, draw) };
  };
  const roomiest = { mask: Array(48), sums: Array(100), kept: 48, survived: -10, full: 35.5, expected: 17.75, sd: 10.25, average: 17.75 };
  const line = readout(words(roomiest, 1));
  const picture = stage(model.get("alt"), (width) => {
    const { set, now } = current();
    const units = (set.x.length > 12 ? squares : bars)(set.x, now.mask, width);
    const below = sums(set, now, width, units.height + 12);
    return { height: below.height, marks: [legend(width), units.marks, below.marks] };
  });
  const draws = Math.min(...Object.values(model.get("sets")).map((set) => set.rows.length));
  const more = (n) => () => change(model, { draw: model.get("draw") + 1 >= draws ? 0 : Math.min(model.get("draw") + n, draws - 1) });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      row(
        button("New mask", more(1), { main: true }),
        button("Ten more", more(10)),
        button("Start over", () => change(model, { draw: 0 })),
      ),
      toggle(model, "units", { label: "Units", options: model.get("choices") }),
      slider(model, "p", { label: "Drop probability p", min: 0, max: 1, step: 1 / model.get("steps"), format: (p) => fixed(p) }),
    ],
  });
  return watch(model, ["p", "units", "draw"], () => {
    const { p, now } = current();
    picture.redraw();
    line.say(words(now, p));
  });
}

export default { render };
