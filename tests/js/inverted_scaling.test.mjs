import assert from "node:assert/strict";
import { test } from "node:test";

import { compare, fullStrength, short, words } from "../../companion/widgets/inverted_scaling.js";

const at = (train, test) => ({ train: [train], test: [test] });
const naive = { name: "naive", mean: at(2, 4), second: at(8, 16) };
const vanilla = { name: "vanilla", mean: at(2, 2), second: at(8, 4) };
const inverted = { name: "inverted", mean: at(4, 4), second: at(32, 16) };
const about = { schemes: [naive, vanilla, inverted], x: 4, step: 0, steps: 20 };

test("a scheme matches when test equals training", () => {
  assert.equal(compare(naive, "mean", 0, 4).match, false);
  assert.equal(compare(naive, "mean", 0, 4).ratio, 2);
  assert.equal(compare(vanilla, "mean", 0, 4).match, true);
  assert.equal(compare(vanilla, "mean", 0, 4).strength, 0.5);
  assert.equal(compare(inverted, "mean", 0, 4).match, true);
  assert.equal(compare(inverted, "second", 0, 16).match, false);
});

test("full strength is the neuron or its square", () => {
  assert.equal(fullStrength(4, "mean"), 4);
  assert.equal(fullStrength(4, "second"), 16);
});

test("the words say match and mismatch", () => {
  assert.equal(
    words({ ...about, moment: "mean" }),
    "p = 0.00, neuron x = 4.0. Mean output. " +
      "Naive: 2.0 in training, 4.0 at test: no match, test is 2.00 times training. " +
      "Vanilla: 2.0 in training, 2.0 at test: match, 0.50 of full strength. " +
      "Inverted: 4.0 in training, 4.0 at test: match, full strength.",
  );
  const second = words({ ...about, moment: "second" });
  assert.equal(second.match(/no match/g).length, 3);
  assert.match(second, /Inverted: 32\.0 in training, 16\.0 at test: no match, test is 0\.50 times training\.$/);
});

test("one decimal, or two where they are needed", () => {
  assert.deepEqual([0.64, 3.2, 16, 80].map(short), ["0.64", "3.2", "16.0", "80.0"]);
});
