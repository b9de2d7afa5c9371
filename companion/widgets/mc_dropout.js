// Turn a digit: what the network sees, what twenty thinned networks say, and the two parts of their entropy.
// All numbers are Python's: recorded ones, or with a kernel those of a network that answers now.

import {
  animate, button, change, clamp, fixed, hatch, html, label, longest, mount, readout, row, scale, slider, stage, svg, toggle, watch,
} from "./kit.js";

// ---- reading the state ----------------------------------------------------------------------------------------

const LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Numbers in [0, 1] from letters for 64 levels. */
export const fromLetters = (text) => Array.from(text, (letter) => LEVELS.indexOf(letter) / (LEVELS.length - 1));

/** Numbers from pairs of digits to the base 36, in units of `unit`. */
export const fromPairs = (text, unit) => text.match(/../g).map((pair) => parseInt(pair, 36) * unit);

/** What is known at one angle, from the packed texts of a digit. */
export function at(pack, step) {
  const flat = fromLetters(pack.passes[step]);
  const [expected, mutual] = fromPairs(pack.entropy[step], 0.01);
  return {
    image: fromLetters(pack.images[step]),
    passes: Array.from({ length: flat.length / 10 }, (_, t) => flat.slice(10 * t, 10 * t + 10)),
    mean: fromPairs(pack.mean[step], 0.001),
    one: fromPairs(pack.one[step], 0.001),
    expected,
    mutual,
  };
}

const argmax = (values) => values.indexOf(Math.max(...values));
const percent = (share) => `${fixed(100 * share, 0)}%`;

export function words({ truth, angle, now }) {
  const said = argmax(now.mean);
  const single = argmax(now.one);
  const of = now.passes.map((pass) => pass[said]);
  const verdict = said === truth ? "right" : "wrong";
  return `A ${truth}, turned by ${angle}°. The mean of ${of.length} passes says ${said} with ${percent(now.mean[said])} (${verdict}); ` +
    `the passes give it between ${percent(Math.min(...of))} and ${percent(Math.max(...of))}. ` +
    `One pass with dropout off says ${single} with ${percent(now.one[single])}. ` +
    `Entropy ${fixed(now.expected + now.mutual)} nats = ${fixed(now.expected)} (every pass is unsure) + ${fixed(now.mutual)} (passes disagree).`;
}

// ---- the picture ------------------------------------------------------------------------------------------------

const small = { class: "cf-small" };
const centred = { "text-anchor": "middle" };

function pixels(image, left, top, size) {
  const cell = size / 8;
  return [
    svg("rect", { class: "cf-axis", fill: "none", x: left, y: top, width: size, height: size }),
    image.map((ink, i) => ink > 0.02 && svg("rect", {
      x: left + (i % 8) * cell, y: top + Math.floor(i / 8) * cell, width: cell, height: cell, "shape-rendering": "crispEdges",
      fill: "currentColor", "fill-opacity": fixed(ink, 2),
    })),
  ];
}

function spread(now, truth, box) {
  const wide = (box.right - box.left) / 10;
  const y = scale([0, 1], [box.floor, box.top]);
  const x = (c) => box.left + (c + 0.5) * wide;
  const marks = [label(box.left - 30, box.top - 16, "What each pass says (probability)", { class: "cf-strong" })];
  [0, 0.5, 1].forEach((value) => marks.push(
    svg("path", { class: value ? "cf-grid" : "cf-axis", d: `M${box.left},${y(value)}H${box.right}` }),
    label(box.left - 5, y(value) + 4, fixed(value, 1), { "text-anchor": "end", ...small }),
  ));
  const n = now.passes.length;
  for (let c = 0; c < 10; c += 1) {
    if (c === truth) {
      marks.push(svg("rect", { class: "cf-green-line", fill: "none", "stroke-dasharray": "4 3", x: x(c) - wide / 2 + 1, y: box.top - 4, width: wide - 2, height: box.floor - box.top + 26, rx: 3 }));
    }
    now.passes.forEach((pass, t) => marks.push(
      svg("circle", { class: "cf-blue-fill", opacity: 0.55, cx: x(c) + (t / (n - 1) - 0.5) * wide * 0.55, cy: y(pass[c]), r: 2.6 }),
    ));
    marks.push(
      svg("path", { class: "cf-ink-line", "stroke-width": 2.5, d: `M${x(c) - wide * 0.4},${y(now.mean[c])}H${x(c) + wide * 0.4}` }),
      svg("path", { class: "cf-orange-line", fill: "none", "stroke-width": 2, d: `M${x(c)},${y(now.one[c]) - 5}l5,5l-5,5l-5,-5z` }),
      label(x(c), box.floor + 17, `${c}`, { ...centred, class: c === argmax(now.mean) ? "cf-strong" : "cf-small" }),
    );
  }
  return marks;
}

function entropies(pack, angles, step, box, stripes) {
  const most = Math.log(10);
  const x = scale([0, angles[angles.length - 1]], [box.left, box.right]);
  const y = scale([0, most], [box.floor, box.top]);
  const both = pack.entropy.map((text) => fromPairs(text, 0.01));
  const line = (values, back) => values.map((v, i) => `${i || back ? "L" : "M"}${x(angles[back ? values.length - 1 - i : i])},${y(v)}`).join("");
  const first = both.map(([expected]) => expected);
  const total = both.map(([expected, mutual]) => Math.min(expected + mutual, most));
  const floor = first.map(() => 0);
  const [expected, mutual] = both[step];
  const marks = [
    label(box.left - 30, box.top - 34, "Entropy of the mean (nats), at every angle", { class: "cf-strong" }),
    [0, 1, 2].map((value) => [
      svg("path", { class: value ? "cf-grid" : "cf-axis", d: `M${box.left},${y(value)}H${box.right}` }),
      label(box.left - 5, y(value) + 4, `${value}`, { "text-anchor": "end", ...small }),
    ]),
    svg("path", { class: "cf-axis cf-dotted", d: `M${box.left},${y(most)}H${box.right}` }),
    label(box.right, y(most) - 5, "all ten alike", { "text-anchor": "end", ...small }),
    svg("path", { class: "cf-orange-fill", opacity: 0.55, d: `${line(first)}${line(floor, true)}Z` }),
    svg("path", { class: "cf-purple-line", "stroke-width": 1.5, fill: stripes.fill, d: `${line(total)}${line([...first].reverse(), true)}Z` }),
    [0, 45, 90, 135, 180].map((angle) => label(x(angle), box.floor + 17, `${angle}°`, { ...centred, ...small })),
    svg("path", { class: "cf-ink-line", "stroke-width": 1.5, d: `M${x(angles[step])},${box.floor}V${box.top - 2}` }),
    svg("circle", { class: "cf-ink-line", fill: "var(--cf-paper)", cx: x(angles[step]), cy: y(Math.min(expected + mutual, most)), r: 4.5 }),
  ];
  return marks;
}

function drawing({ pack, truth, angles, step }, width) {
  const now = at(pack, step);
  const stripes = hatch("cf-purple-line", 7);
  const wide = width >= 560;
  const size = wide ? 168 : 112;
  const top = 30;
  const said = argmax(now.mean);
  const marks = [stripes.defs, label(0, 14, "What the network sees", { class: "cf-strong" }), pixels(now.image, 0, top, size)];
  const beside = wide ? null : size + 14;
  const lines = [`says ${said}`, said === truth ? "right" : `it is a ${truth}`];
  marks.push(wide
    ? label(0, top + size + 20, lines.join("; "))
    : lines.map((text, i) => label(beside, top + 20 + 20 * i, text)));
  const key = [
    ["one of the passes", (x, y) => svg("circle", { class: "cf-blue-fill", cx: x, cy: y, r: 3.5 })],
    ["their mean", (x, y) => svg("path", { class: "cf-ink-line", "stroke-width": 2.5, d: `M${x - 7},${y}h14` })],
    ["dropout off", (x, y) => svg("path", { class: "cf-orange-line", fill: "none", "stroke-width": 2, d: `M${x},${y - 5}l5,5l-5,5l-5,-5z` })],
    ["true class", (x, y) => svg("rect", { class: "cf-green-line", fill: "none", "stroke-dasharray": "3 2", x: x - 6, y: y - 6, width: 12, height: 12, rx: 2 })],
  ];
  const dots = wide
    ? { left: size + 72, right: width - 4, top: 34, floor: 34 + 164 }
    : { left: 30, right: width - 2, top: top + size + 50, floor: top + size + 200 };
  marks.push(spread(now, truth, dots));
  // legend under the dots: in a line, or two by two
  const keyTop = dots.floor + 42;
  const apart = wide ? Math.min(width / 4, 180) : width / 2;
  key.forEach(([text, mark], i) => {
    const [column, line] = wide ? [i, 0] : [i % 2, Math.floor(i / 2)];
    const x = column * apart + 8;
    const y = keyTop + 20 * line;
    marks.push(mark(x, y), label(x + 13, y + 4, text, small));
  });
  const chart = keyTop + (wide ? 66 : 86);
  const box = { left: 30, right: width - 18, top: chart + 10, floor: chart + 130 };
  marks.push(entropies(pack, angles, step, box, stripes));
  const legend = [["every pass is unsure", "cf-orange-fill", 0.55, null], ["passes disagree", "cf-purple-line", 1, stripes.fill]];
  legend.forEach(([text, name, opacity, fill], i) => {
    const x = wide ? 30 + 180 * i : 0;
    const y = box.floor + 36 + (wide ? 0 : 20 * i);
    marks.push(
      svg("rect", { class: name, opacity, ...(fill ? { fill, "stroke-width": 1.5 } : {}), x, y: y - 10, width: 16, height: 12 }),
      label(x + 22, y, text, small),
    );
  });
  return { height: box.floor + (wide ? 44 : 64), marks };
}

export function render({ model, el }) {
  const live = model.get("live");
  const angles = model.get("angles");
  const data = () => (live ? model.get("shown") : { truth: Number(model.get("digit")), pack: model.get("digits")[model.get("digit")] });
  const each = angles[1] - angles[0];
  const step = () => clamp(Math.round(model.get("angle") / each), 0, angles.length - 1);
  const said = () => words({ truth: data().truth, angle: angles[step()], now: at(data().pack, step()) });

  const line = readout(longest([
    said(),
    words({ truth: 4, angle: 180, now: { mean: [0, 0, 0, 1], one: [0, 0, 1], passes: Array(20).fill([0, 0, 0, 1]), expected: 0.55, mutual: 0.55 } }),
  ]));
  const picture = stage(model.get("alt"), (width) => drawing({ ...data(), angles, step: step() }, width));

  let turning = false;
  const turn = () => {
    if (turning) return;
    turning = true;
    animate(5000, (t) => {
      turning = t < 1; // the read-out speaks at the end, not at every step
      change(model, { angle: angles[Math.round(t * (angles.length - 1))] });
      if (!turning) line.say(said());
    });
  };
  const ask = (seed) => change(model, { asked: { number: model.get("asked").number + 1, index: model.get("index"), seed } });

  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      slider(model, "angle", { label: "Turn by", min: 0, max: angles[angles.length - 1], step: each, format: (angle) => `${angle}°` }),
      live
        ? slider(model, "index", { label: "Test image", min: 0, max: model.get("images") - 1, step: 1 })
        : toggle(model, "digit", { label: "Digit", options: Object.keys(model.get("digits")).map((digit) => [digit, digit]) }),
      row(
        button("Turn it half round", turn, { main: true }),
        live && button("New masks", () => ask(model.get("asked").seed + 1)),
      ),
      html("p", { class: "cf-description" }, live
        ? "With this kernel the network answers now, for any test image."
        : "This page has no kernel: it shows recorded passes of one network that the companion trained."),
    ],
  });
  const stops = [
    watch(model, ["angle", "digit", "shown"], () => {
      picture.redraw();
      if (!turning) line.say(said());
    }),
  ];
  let asked = model.get("index");
  if (live) {
    stops.push(watch(model, ["index"], () => {
      if (model.get("index") === asked) return;
      asked = model.get("index");
      ask(model.get("asked").seed);
    }));
  }
  return () => stops.forEach((stop) => stop());
}

export default { render };
