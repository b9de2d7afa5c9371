import assert from "node:assert/strict";
import { test } from "node:test";

import { gates, situation, tally, uniforms, words } from "../../companion/widgets/stochastic_depth.js";

test("two letters make a uniform number of twelve bits", () => {
  assert.deepEqual(uniforms("???@~~"), [0, 1, 4095]);
});

test("a block is dropped when its number lies below its rate", () => {
  assert.deepEqual(gates([0, 2047, 2048, 4095], [0, 0.5, 0.5, 1], 4096), [1, 0, 1, 0]);
});

test("the rates scale with the last one, and every step so far is counted", () => {
  const rule = { shape: [0.5, 1], chances: [[2, 1000], [0, 500, 500]], mean: [2, 0.5], sd: [0, 0.5] };
  const now = situation({ rule, coins: ["????", "_??~", "~~~~"], levels: 4096, steps: 1 }, 1, 1);
  assert.deepEqual(now.rates, [0.5, 1]);
  assert.deepEqual(now.kept, [1, 0]); // 2048 is not below half of 4096
  assert.deepEqual(now.depths, [0, 1]);
  assert.deepEqual(now.exact, [[0, 0.5], [1, 0.5]]);
  assert.equal(now.total, 3);
  assert.equal(now.expected, 0.5);
  assert.deepEqual(situation({ rule, coins: ["????"], levels: 4096, steps: 1 }, 0, 0).kept, [1, 1]); // p = 0
});

test("depths are tallied", () => {
  assert.deepEqual([...tally([3, 4, 3])], [[3, 2], [4, 1]]);
});

test("the words count blocks and name both ends of the stack", () => {
  const one = { rates: [0.25, 0.5], kept: [1, 0], depths: [1], expected: 1.25, sd: 0.66 };
  assert.equal(
    words(one),
    "Step 1: 1 of 2 blocks computed, 1 skipped. Expected 1.25, standard deviation 0.66. " +
      "The first block survives with probability 0.75, the last with 0.50.",
  );
  assert.match(words({ ...one, kept: [1, 1], depths: [1, 2] }), /^Step 2: 2 of 2 blocks computed, none skipped\. Mean of the 2 steps so far: 1\.50\./);
});
