import assert from "node:assert/strict";
import { test } from "node:test";

import { byRate, nextSeed, outcome, unpack, words } from "../../companion/widgets/overfitting_lab.js";

const run = (p, seed, train, test, base, guess = "") => ({ p, seed, train: [100, train], test: [100, test], base, guess });

test("curves are read from pairs of digits to the base 36", () => {
  assert.deepEqual(unpack("003frs"), [0, 123, 1000]);
});

test("a run is compared with the same seed without dropout; under two points is about the same", () => {
  assert.equal(outcome(run(0.5, 0, 840, 850, 750)), "better");
  assert.equal(outcome(run(0.5, 0, 840, 850, 869)), "same");
  assert.equal(outcome(run(0.5, 0, 840, 850, 831)), "same");
  assert.equal(outcome(run(0.9, 0, 150, 120, 750)), "worse");
  assert.equal(outcome(run(0.9, 0, 150, 730, 750)), "worse"); // two points count
});

test("rates are averaged over their runs, in order", () => {
  const runs = [run(0.5, 0, 840, 850, 750), run(0, 0, 990, 750, 750), run(0.5, 1, 830, 870, 740)];
  assert.deepEqual(byRate(runs), [[0, 750, 1], [0.5, 860, 2]]);
});

test("every seed of a rate is taken once before any comes again", () => {
  const runs = [run(0.5, 0, 1, 1, 1), run(0.3, 0, 1, 1, 1), run(0.5, 1, 1, 1, 1)];
  assert.equal(nextSeed(runs, 0.5, 10), 2);
  assert.equal(nextSeed(runs, 0.3, 10), 1);
  assert.equal(nextSeed(runs, 0.9, 10), 0);
  assert.equal(nextSeed(runs, 0.5, 2), 0);
});

test("first the reader predicts", () => {
  assert.match(words({ p: 0.5, guess: "", runs: [] }), /^p = 0\.50\. First predict: .* worse\?$/);
  assert.equal(words({ p: 0.5, guess: "same", runs: [] }), "p = 0.50. You say: about the same as without dropout. Press Train to play a recorded training.");
  assert.match(words({ p: 0.5, guess: "worse", runs: [], live: true }), /You say: worse than without dropout\. Press Train to train a network now\.$/);
});

test("then the result stands there, with the prediction judged", () => {
  const one = run(0.5, 3, 843, 854, 750, "better");
  assert.equal(
    words({ p: 0.5, guess: "better", runs: [one] }),
    "p = 0.50, seed 3: training 84.3%, test 85.4%, gap −1.1 points. Without dropout this seed reaches 75.0%; this is 10.4 points better. You said better: right.",
  );
  assert.match(words({ p: 0.5, guess: "worse", runs: [{ ...one, guess: "worse" }] }), /You said worse: not so\.$/);
  assert.match(words({ p: 0.5, guess: "same", runs: [run(0.5, 3, 900, 761, 750, "same")] }), /about the same \(\+1\.1 points\)\. You said about the same: right\.$/);
  assert.match(words({ p: 0, guess: "same", runs: [run(0, 3, 990, 750, 750, "same")] }), /This is the network that all others are compared with\.$/);
});

test("another rate, or another prediction, asks anew; several runs are summed up", () => {
  const runs = [run(0.5, 0, 840, 850, 750, "better"), run(0.5, 1, 840, 870, 750, "better")];
  assert.match(words({ p: 0.6, guess: "", runs }), /^p = 0\.60\. First predict.* So far 2 runs; best mean test accuracy: 86\.0% at p = 0\.50 \(2 runs\)\.$/);
  assert.match(words({ p: 0.5, guess: "worse", runs }), /^p = 0\.50\. You say: worse/);
  assert.match(words({ p: 0.5, guess: "", runs: [{ ...runs[0], guess: "", swept: true }] }), /^p = 0\.50\. First predict/); // a sweep is not the reader's run
  assert.match(words({ p: 0.5, guess: "better", runs, busy: { p: 0.3, seed: 11 } }), /^Training with p = 0\.30, seed 11\./);
});
