// The overfitting lab: predict, train at a rate, see both accuracies and their gap, collect the runs.
// In a page without a kernel the trainings are recorded ones of the companion; with one, Python trains and sends curves.

import {
  animate, button, change, clamp, count, fixed, hatch, html, label, longest, mean, mount, readout, row, scale, slider, stage, svg,
  toggle, watch,
} from "./kit.js";

// ---- numbers and words --------------------------------------------------------------------------------------------

/** Accuracies of a curve in per mille, from pairs of digits to the base 36, as the figure's state has them. */
export const unpack = (text) => text.match(/../g).map((pair) => parseInt(pair, 36));

const percent = (perMille) => `${fixed(perMille / 10, 1)}%`;
const points = (perMille) => fixed(perMille / 10, 1);
const last = (values) => values[values.length - 1];

// Less than this many points is "about the same": networks of different seeds differ by more.
export const SAME = 2;

/** How a run compares with the one of the same seed without dropout. */
export function outcome({ test, base }) {
  const gain = (last(test) - base) / 10;
  return Math.abs(gain) < SAME ? "same" : gain > 0 ? "better" : "worse";
}

const SAID = { better: "better", same: "about the same", worse: "worse" };

/** Mean test accuracy of every rate that was trained at, in order of the rates: [p, mean, runs]. */
export function byRate(runs) {
  const rates = [...new Set(runs.map((run) => run.p))].sort((a, b) => a - b);
  return rates.map((p) => {
    const ends = runs.filter((run) => run.p === p).map((run) => last(run.test));
    return [p, mean(ends), ends.length];
  });
}

function result({ p, seed, train, test, base, guess }) {
  const gain = last(test) - base;
  const verdict = outcome({ test, base });
  const compared = verdict === "same" ? `about the same (${gain > 0 ? "+" : ""}${points(gain)} points)` : `${points(Math.abs(gain))} points ${verdict}`;
  const against = p === 0
    ? "This is the network that all others are compared with."
    : `Without dropout this seed reaches ${percent(base)}; this is ${compared}.`;
  const judged = guess && p !== 0 ? ` You said ${SAID[guess]}: ${guess === verdict ? "right" : "not so"}.` : "";
  return `p = ${fixed(p)}, seed ${seed}: training ${percent(last(train))}, test ${percent(last(test))}, ` +
    `gap ${points(last(train) - last(test))} points. ${against}${judged}`;
}

function prompt({ p, guess, live }) {
  if (!guess) return `p = ${fixed(p)}. First predict: against no dropout, will the test accuracy be better, about the same or worse?`;
  const said = guess === "same" ? "about the same as" : `${SAID[guess]} than`;
  return `p = ${fixed(p)}. You say: ${said} without dropout. Press Train to ${live ? "train a network now" : "play a recorded training"}.`;
}

export function words({ p, guess, runs, live = false, busy = null }) {
  const newest = last(runs);
  const told = newest && !newest.swept && newest.p === p && newest.guess === guess;
  const head = busy ? `Training with p = ${fixed(busy.p)}, seed ${busy.seed}.` : told ? result(newest) : prompt({ p, guess, live });
  if (runs.length < 2) return head;
  const best = byRate(runs).reduce((one, other) => (other[1] > one[1] ? other : one));
  return `${head} So far ${count(runs.length, "run")}; best mean test accuracy: ${percent(best[1])} at p = ${fixed(best[0])} ` +
    `(${count(best[2], "run")}).`;
}

/** The seed that a rate is trained with next: each seed once, then from the first one again. */
export const nextSeed = (runs, p, seeds) => runs.filter((run) => run.p === p).length % seeds;

// ---- the picture --------------------------------------------------------------------------------------------------

const small = { class: "cf-small" };
const centred = { "text-anchor": "middle" };
const square = (x, y, r) => svg("rect", { class: "cf-orange-line", fill: "var(--cf-paper)", x: x - r, y: y - r, width: 2 * r, height: 2 * r });
const line = (values, x, y) => values.map((value, i) => `${i ? "L" : "M"}${x(i)},${y(value)}`).join("");

function axes({ left, right, top, floor }, every = 250) {
  const y = scale([0, 1000], [floor, top]);
  const marks = [];
  for (let value = 0; value <= 1000; value += every) {
    marks.push(
      svg("path", { class: value ? "cf-grid" : "cf-axis", d: `M${left},${y(value)}H${right}` }),
      label(left - 6, y(value) + 4, `${value / 10}`, { "text-anchor": "end", ...small }),
    );
  }
  return { y, marks };
}

function curves(box, { run, frame, steps }) {
  const { y, marks } = axes(box);
  const x = scale([0, last(steps)], [box.left, box.right]);
  const middle = (box.left + box.right) / 2;
  marks.push(
    label(box.left - 34, box.top - 14, "Accuracy (%) while it trains", { class: "cf-strong" }),
    [0, last(steps) / 2, last(steps)].map((step) => label(x(step), box.floor + 17, `${step}`, { ...centred, ...small })),
    label(middle, box.floor + 34, "optimizer steps", { ...centred, ...small }),
  );
  if (!run) return [...marks, label(middle, (box.top + box.floor) / 2, "no training yet", { ...centred, class: "cf-small cf-halo" })];
  const at = (i) => x(steps[i]);
  const [train, test] = [run.train, run.test].map((values) => values.slice(0, frame + 1));
  return [
    ...marks,
    svg("path", { class: "cf-orange-line", fill: "none", "stroke-dasharray": "6 3", d: line(train, at, y) }),
    svg("path", { class: "cf-blue-line", fill: "none", d: line(test, at, y) }),
    square(at(train.length - 1), y(last(train)), 4.5),
    svg("circle", { class: "cf-blue-fill", cx: at(test.length - 1), cy: y(last(test)), r: 5 }),
  ];
}

function bars(box, { run, frame, stripes }) {
  const { y, marks } = axes(box);
  const wide = Math.min((box.right - box.left) * 0.27, 64);
  const places = { train: box.left + wide * 0.2, test: box.left + wide * 1.4 };
  marks.push(
    label(box.left - 34, box.top - 14, "Now", { class: "cf-strong" }),
    label(places.train + wide / 2, box.floor + 17, "training", { ...centred, ...small }),
    label(places.test + wide / 2, box.floor + 17, "test", { ...centred, ...small }),
  );
  if (!run) return marks;
  const [train, test] = [run.train, run.test].map((values) => values[Math.min(frame, values.length - 1)]);
  const beside = places.test + wide + 8;
  const tall = (value) => Math.max(box.floor - y(value), 1);
  const middle = (y(train) + y(test)) / 2;
  return [
    ...marks,
    svg("rect", { class: "cf-orange-line", fill: stripes.fill, x: places.train, y: box.floor - tall(train), width: wide, height: tall(train), rx: 2 }),
    svg("rect", { class: "cf-blue-fill", x: places.test, y: box.floor - tall(test), width: wide, height: tall(test), rx: 2 }),
    label(places.train + wide / 2, y(train) - 6, points(train), { ...centred, class: "cf-orange-text cf-strong cf-halo" }),
    label(places.test + wide / 2, y(test) - 6, points(test), { ...centred, class: "cf-blue-text cf-strong cf-halo" }),
    svg("path", { class: "cf-ink-line", "stroke-width": 1.5, d: `M${beside - 4},${y(train)}h8M${beside},${y(train)}V${y(test)}M${beside - 4},${y(test)}h8` }),
    label(beside + 8, clamp(middle, box.top + 14, box.floor - 22) - 2, "gap", { class: "cf-small cf-halo" }),
    label(beside + 8, clamp(middle, box.top + 14, box.floor - 22) + 14, points(train - test), { class: "cf-strong cf-halo" }),
  ];
}

function strip(box, { runs, p, playing }) {
  const { y, marks } = axes(box);
  const x = scale([0, 1], [box.left + 8, box.right - 8]);
  const done = playing ? runs.slice(0, -1) : runs;
  marks.push(
    label(box.left - 34, box.top - 14, "All runs so far: accuracy at the end (%)", { class: "cf-strong" }),
    [0, 0.2, 0.4, 0.6, 0.8, 1].map((rate) => label(x(rate), box.floor + 17, fixed(rate, 1), { ...centred, ...small })),
    label((box.left + box.right) / 2, box.floor + 34, "drop probability p", { ...centred, ...small }),
    svg("path", { class: "cf-axis cf-dotted", d: `M${x(p)},${box.floor}V${box.top}` }),
    done.map((run) => svg("g", { opacity: 0.75 }, square(x(run.p) - 4, y(last(run.train)), 2.75))),
    done.map((run) => svg("circle", { class: "cf-blue-fill", opacity: 0.75, cx: x(run.p) + 3, cy: y(last(run.test)), r: 3.25 })),
    byRate(done).filter(([, , n]) => n > 1).map(([rate, value]) =>
      svg("path", { class: "cf-ink-line", d: `M${x(rate) - 7},${y(value)}h20` })),
  );
  return marks;
}

function drawing(now, width) {
  const stripes = hatch("cf-orange-line", 8);
  const roomy = width >= 420;
  const [second, third] = roomy ? [137, 234] : [96, 158];
  const legend = [
    square(7, 9, 5), label(18, 14, roomy ? "training images" : "training"),
    svg("circle", { class: "cf-blue-fill", cx: second, cy: 9, r: 5 }), label(second + 11, 14, roomy ? "test images" : "test"),
    svg("path", { class: "cf-ink-line", d: `M${third},9h20` }), label(third + 26, 14, width < 300 ? "mean" : "mean of a rate"),
  ];
  const wide = width >= 560;
  const top = 64;
  const one = { left: 34, right: wide ? width * 0.6 : width - 14, top, floor: top + (wide ? 168 : 140) };
  const two = wide
    ? { left: width * 0.6 + 62, right: width - 4, top, floor: one.floor }
    : { left: 34, right: Math.min(width - 8, 300), top: one.floor + 84, floor: one.floor + 214 };
  const below = { left: 34, right: width - 8, top: two.floor + (wide ? 84 : 68), floor: two.floor + (wide ? 230 : 208) };
  return {
    height: below.floor + 42,
    marks: [stripes.defs, legend, curves(one, now), bars(two, { ...now, stripes }), strip(below, now)],
  };
}

export function render({ model, el }) {
  const { seeds, steps } = { seeds: model.get("train")[0].length, steps: model.get("steps") };
  const grid = model.get("train").length;
  const live = model.get("live");
  const end = steps.length - 1;
  let frame = end; // the look up to which the newest run is drawn
  let busy = null; // what Python is training
  let guessedAt = model.get("p");

  const recorded = (j, seed, more) => ({
    p: j / grid, seed,
    train: unpack(model.get("train")[j][seed]),
    test: unpack(model.get("test")[j][seed]),
    base: last(unpack(model.get("test")[0][seed])), ...more,
  });
  const state = () => ({ p: model.get("p"), guess: model.get("guess"), runs: model.get("runs"), live, busy });

  const sample = Array(end + 1).fill(1000);
  const run = { p: 0.55, seed: 10, train: sample, test: sample, base: 0, guess: "same" };
  const line = readout(longest([
    words({ p: 0.55, guess: "", runs: Array(99).fill(run), live }),
    words({ p: 0.55, guess: "same", runs: Array(99).fill({ ...run, base: 1000 }), live }),
  ]));
  const picture = stage(model.get("alt"), (width) => {
    const { runs, p } = state();
    const partial = busy?.train?.length ? busy : null;
    const shown = partial ?? last(runs.filter((one) => !one.swept));
    return drawing({ runs, p, run: shown, frame: partial ? partial.train.length - 1 : frame, steps, playing: frame < end }, width);
  });

  const play = (added) => {
    const runs = [...model.get("runs"), added];
    frame = 0;
    change(model, { runs });
    animate(1600, (t) => {
      if (model.get("runs").length !== runs.length) return; // cleared, or another run came
      frame = Math.max(frame, Math.round(t * end));
      picture.redraw();
      if (frame === end) line.say(words(state()));
    });
  };
  const train = (again) => {
    const { p, guess, runs } = state();
    const newest = last(runs);
    const rate = again && newest && !newest.swept ? newest.p : p;
    if (busy || (!again && !guess)) return line.say(words(state()));
    const said = rate === p ? guess : "";
    if (rate !== p) change(model, { p: rate });
    if (live) {
      busy = { p: rate, seed: seeds + nextSeed(runs, rate, 1000), guess: said, number: model.get("asked").number + 1 };
      change(model, { asked: { number: busy.number, p: rate, seed: busy.seed } });
      picture.redraw();
      return line.say(words(state()));
    }
    return play(recorded(Math.round(rate * grid), nextSeed(runs, rate, seeds), { guess: said }));
  };
  const sweep = () => {
    const runs = model.get("runs");
    const rates = Array.from({ length: grid }, (_, j) => j);
    frame = end;
    change(model, { runs: [...runs, ...rates.map((j) => recorded(j, nextSeed(runs, j / grid, seeds), { guess: "", swept: true }))] });
  };

  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      slider(model, "p", { label: "Drop probability p", min: 0, max: (grid - 1) / grid, step: live ? 0.01 : 1 / grid, format: (p) => fixed(p) }),
      toggle(model, "guess", {
        label: "My prediction: against no dropout, the test accuracy will be",
        options: [["better", "better"], ["same", "about the same"], ["worse", "worse"]],
      }),
      row(
        button("Train", () => train(false), { main: true }),
        button("Again, another seed", () => train(true)),
        !live && button("Every rate once", sweep),
        button("Clear", () => { frame = end; change(model, { runs: [] }); }),
      ),
      html("p", { class: "cf-description" }, live
        ? "With this kernel every run is trained now, by the same code, with a seed that no record has seen."
        : `This page has no kernel: it plays recorded runs of the very same code, ${grid} rates with ${seeds} seeds each.`),
    ],
  });
  const stops = [
    watch(model, ["p", "guess", "runs"], () => {
      if (model.get("p") !== guessedAt) { // another rate wants another prediction
        guessedAt = model.get("p");
        if (model.get("guess")) change(model, { guess: "" });
      }
      picture.redraw();
      if (frame === end) line.say(words(state()));
      else line.say(`Training with p = ${fixed(model.get("p"))}.`);
    }),
    watch(model, ["trained"], () => {
      const news = model.get("trained");
      if (!busy || news.number !== busy.number) return;
      busy = { ...busy, ...news };
      if (!news.done) return picture.redraw();
      const { p, seed, guess, base } = busy;
      busy = null;
      frame = end;
      change(model, { runs: [...model.get("runs"), { p, seed, guess, base, train: news.train, test: news.test }] });
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
