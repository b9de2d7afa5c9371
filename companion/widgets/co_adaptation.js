// Co-adaptation: the hidden units of two networks that the companion trained, and how much they depend on each other.
// Everything drawn was measured when the record was made; this file counts, sizes and colours.

import {
  button, change, count, cross, fixed, label, longest, mount, readout, row, scale, slider, stage, svg, toggle, watch,
} from "./kit.js";

// ---- numbers and words --------------------------------------------------------------------------------------------

const strongestOf = (values) => values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best), 0);

/** What can be said of one recorded network: load-bearing pairs of both kinds, worst unit, strongest pair. */
export function situation(net, pairs, threshold) {
  const partners = pairs.filter((_, i) => net.synergy[i] < -threshold);
  const standIns = pairs.filter((_, i) => net.synergy[i] > threshold);
  const worst = strongestOf(net.flips);
  const strongest = strongestOf(net.synergy);
  return {
    partners: partners.length, standIns: standIns.length, bearing: partners.length + standIns.length,
    worst, worstFlips: net.flips[worst], pair: pairs[strongest], synergy: net.synergy[strongest],
  };
}

/** Radius of a unit: its area grows with the share of predictions that flip without it. */
export const radius = (flips, largest = 24) => Math.max(4, largest * Math.sqrt(flips / 50));

/** Width of an edge, in pixels, for a synergy in nats. */
export const thickness = (synergy) => Math.min(9, 1 + 28 * Math.abs(synergy));

export function words({ step, dropout, net, pairs, threshold, silenced }) {
  const now = situation(net, pairs, threshold);
  const kind = now.synergy < 0 ? "partners" : "stand-ins";
  const [i, j] = now.pair;
  const strongest = Math.abs(now.synergy) > threshold
    ? `Strongest pair: units ${i + 1} and ${j + 1}, ${kind}, synergy ${fixed(now.synergy)} nats.`
    : `No pair has a synergy beyond ${fixed(threshold)} nats.`;
  const lost = silenced
    ? ` Unit ${silenced} silenced: accuracy ${fixed(net.accuracy, 1)} → ${fixed(net.without[silenced - 1], 1)}%, ` +
      `${fixed(net.flips[silenced - 1], 1)}% of predictions flip.`
    : "";
  return `Dropout ${dropout ? "on" : "off"} in training, ${count(step, "step")}, accuracy ${fixed(net.accuracy, 1)}%. ` +
    `Worst unit: ${now.worst + 1}, without it ${fixed(now.worstFlips, 1)}% of predictions flip. ${strongest} ` +
    `${count(now.bearing, "load-bearing pair")} of ${pairs.length} (beyond ±${fixed(threshold)} nats): ` +
    `${count(now.partners, "partner", "partners")}, ${count(now.standIns, "stand-in")}.${lost}`;
}

// ---- the picture ----------------------------------------------------------------------------------------------------

function legend(width) {
  const rows = width < 310 ? 3 : width < 520 ? 2 : 1;
  const places = {
    1: [[0, 14], [212, 14], [408, 14]],
    2: [[0, 14], [Math.min(190, width * 0.56), 14], [0, 36]],
    3: [[0, 14], [0, 36], [0, 58]],
  };
  const at = (i) => places[rows][i];
  const line = (i, name, text, extra = {}) => {
    const [x, y] = at(i);
    return [svg("path", { class: name, d: `M${x},${y - 4}h30`, ...extra }), label(x + 38, y, text)];
  };
  return {
    height: rows * 22,
    marks: [
      line(0, "cf-orange-line", width < 520 ? "partners (I < 0)" : "partners: synergy < 0", { style: "stroke-width:5px" }),
      line(1, "cf-green-line", width < 520 ? "stand-ins (I > 0)" : "stand-ins: synergy > 0", { style: "stroke-width:4px", "stroke-dasharray": "7 4" }),
      line(2, "cf-axis", "weaker pairs"),
    ],
  };
}

function network({ net, pairs, threshold, silenced }, left, top, side, press) {
  const units = net.flips.length;
  const ring = side / 2 - 30;
  const place = (unit) => {
    const angle = (2 * Math.PI * unit) / units - Math.PI / 2;
    return [left + side / 2 + ring * Math.cos(angle), top + side / 2 + ring * Math.sin(angle)];
  };
  const order = pairs.map((_, i) => i).sort((a, b) => Math.abs(net.synergy[a]) - Math.abs(net.synergy[b]));
  const edges = order.map((n) => {
    const [i, j] = pairs[n];
    const value = net.synergy[n];
    const d = `M${place(i).join()}L${place(j).join()}`;
    if (silenced && (i === silenced - 1 || j === silenced - 1)) return null;
    if (Math.abs(value) <= threshold) return Math.abs(value) > threshold / 5 && svg("path", { class: "cf-grid", d });
    const width = thickness(value);
    return value < 0
      ? svg("path", { class: "cf-orange-line", d, style: `stroke-width:${width.toFixed(1)}px` })
      : svg("path", { class: "cf-green-line", d, style: `stroke-width:${width.toFixed(1)}px`, "stroke-dasharray": "7 4" });
  });
  const nodes = net.flips.map((flips, unit) => {
    const [x, y] = place(unit);
    const gone = silenced === unit + 1;
    const r = gone ? Math.max(radius(flips), 13) : radius(flips);
    const outside = r < 11;
    const angle = (2 * Math.PI * unit) / units - Math.PI / 2;
    const shift = outside ? r + 11 : 0;
    return svg("g", { style: "cursor:pointer", onclick: () => press(gone ? 0 : unit + 1) },
      svg("circle", { cx: x, cy: y, r: Math.max(r, 16), fill: "transparent" }),
      svg("circle", { cx: x, cy: y, r, class: gone ? "cf-gone" : "cf-blue-fill", style: gone ? "fill:var(--cf-paper)" : "stroke:var(--cf-paper);stroke-width:1.5px" }),
      gone && cross(x, y, 7),
      !gone && label(x + shift * Math.cos(angle), y + shift * Math.sin(angle) + 4.5, String(unit + 1),
        { "text-anchor": "middle", class: outside ? "cf-halo" : "cf-on cf-strong" }));
  });
  return [edges, nodes];
}

/** Load-bearing pairs of both networks at every recorded step; the reader's own place is marked. */
function history({ nets, steps, pairs, threshold, index, dropout }, left, top, width, height) {
  const counts = ["off", "on"].map((arm) => nets[arm].map((net) => situation(net, pairs, threshold).bearing));
  const x = scale([0, steps.length - 1], [left + 26, left + width - 26]);
  const y = scale([0, Math.max(10, ...counts.flat())], [top + height - 44, top + 50]);
  const shapes = [
    (cx, cy) => svg("circle", { cx, cy, r: 4.5, class: "cf-purple-fill" }),
    (cx, cy) => svg("rect", { x: cx - 4.5, y: cy - 4.5, width: 9, height: 9, class: "cf-blue-fill" }),
  ];
  const styles = [{ class: "cf-purple-line" }, { class: "cf-blue-line", "stroke-dasharray": "6 4" }];
  const colours = ["cf-purple-text", "cf-blue-text"];
  const marks = [
    label(left, top + 16, "Load-bearing pairs", { class: "cf-strong" }),
    svg("path", { class: "cf-axis", d: `M${left + 12},${y(0) + 8}H${left + width}` }),
    steps.map((step, i) => label(x(i), y(0) + 26, String(step), { "text-anchor": "middle", class: "cf-small" })),
    label(left + width, y(0) + 42, "training steps", { "text-anchor": "end", class: "cf-small" }),
  ];
  counts.forEach((line, arm) => {
    marks.push(svg("path", { ...styles[arm], fill: "none", d: line.map((n, i) => `${i ? "L" : "M"}${x(i)},${y(n)}`).join("") }));
    marks.push(line.map((n, i) => shapes[arm](x(i), y(n))));
    const last = line.length - 1;
    marks.push(label(x(last) + 4, y(line[last]) - 12, `dropout ${arm ? "on" : "off"}: ${line[last]}`, { "text-anchor": "end", class: `cf-halo ${colours[arm]}` }));
  });
  const here = counts[dropout ? 1 : 0][index];
  marks.push(svg("circle", { cx: x(index), cy: y(here), r: 10, fill: "none", style: "stroke:var(--cf-ink);stroke-width:2px" }));
  return marks;
}

export function render({ model, el }) {
  const steps = model.get("steps");
  const current = () => {
    const index = Math.min(Math.max(Math.round(model.get("index")), 0), steps.length - 1);
    const dropout = model.get("dropout") === "on";
    return {
      index, dropout, steps, step: steps[index], nets: model.get("nets"), net: model.get("nets")[dropout ? "on" : "off"][index],
      pairs: model.get("pairs"), threshold: model.get("threshold"), silenced: model.get("silenced"),
    };
  };
  const units = model.get("nets").off[0].flips.length;
  const said = ["off", "on"].flatMap((arm) => steps.map((step, index) => words({
    ...current(), step, dropout: arm === "on", net: model.get("nets")[arm][index], silenced: units,
  })));
  const line = readout(longest(said));
  const picture = stage(model.get("alt"), (width) => {
    const now = current();
    const key = legend(width);
    const wide = width >= 560;
    const side = Math.min(wide ? width * 0.58 : width, 400);
    const left = wide ? 0 : (width - side) / 2;
    const press = (unit) => change(model, { silenced: unit });
    const chart = wide
      ? [side + 24, key.height + 20, width - side - 24, Math.min(side - 40, 260)]
      : [0, key.height + side + 8, width, 190];
    return {
      height: wide ? key.height + side + 4 : chart[1] + chart[3],
      marks: [key.marks, network(now, left, key.height + 4, side, press), history(now, ...chart)],
    };
  });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      toggle(model, "dropout", { label: "Dropout in training", options: [["off", "off (p = 0)"], ["on", `on (p = ${model.get("p")})`]] }),
      row(button("Next step", () => change(model, { index: (model.get("index") + 1) % steps.length }), { main: true })),
      slider(model, "index", { label: "Trained for", min: 0, max: steps.length - 1, step: 1, format: (i) => count(steps[i], "step") }),
      toggle(model, "silenced", {
        label: "Silence a unit",
        options: [[0, "none"], ...Array.from({ length: units }, (_, i) => [i + 1, String(i + 1)])],
      }),
    ],
  });
  return watch(model, ["dropout", "index", "silenced"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
