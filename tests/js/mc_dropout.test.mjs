import assert from "node:assert/strict";
import { test } from "node:test";

import { at, fromLetters, fromPairs, words } from "../../companion/widgets/mc_dropout.js";

test("letters are 64 levels of [0, 1]", () => {
  assert.deepEqual(fromLetters("A_"), [0, 1]);
  assert.ok(Math.abs(fromLetters("g")[0] - 32 / 63) < 1e-12);
});

test("pairs are digits to the base 36", () => {
  assert.deepEqual(fromPairs("003frs", 1), [0, 123, 1000]);
});

const pack = {
  images: ["A".repeat(63) + "_", "_" + "A".repeat(63)],
  passes: ["A_AAAAAAAA" + "AA_AAAAAAA", "_AAAAAAAAA" + "_AAAAAAAAA"],
  mean: ["00" + "dw" + "dw" + "00".repeat(7), "rs" + "00".repeat(9)],
  one: ["00" + "rs" + "00".repeat(8), "rs" + "00".repeat(9)],
  entropy: ["001x", "0000"],
};

test("a digit is read angle by angle, its passes in tens", () => {
  const now = at(pack, 0);
  assert.equal(now.image[63], 1);
  assert.deepEqual(now.passes.map((pass) => pass.indexOf(1)), [1, 2]);
  assert.deepEqual(now.mean.slice(0, 3).map((value) => Math.round(1000 * value)), [0, 500, 500]);
  assert.deepEqual([now.expected, now.mutual].map((value) => value.toFixed(2)), ["0.00", "0.69"]);
  assert.equal(at(pack, 1).image[0], 1);
});

test("the state is read out: the mean, the spread, one pass, both parts of the entropy", () => {
  assert.equal(
    words({ truth: 1, angle: 0, now: at(pack, 0) }),
    "A 1, turned by 0°. The mean of 2 passes says 1 with 50% (right); the passes give it between 0% and 100%. " +
      "One pass with dropout off says 1 with 100%. Entropy 0.69 nats = 0.00 (every pass is unsure) + 0.69 (passes disagree).",
  );
  assert.match(words({ truth: 1, angle: 10, now: at(pack, 1) }), /turned by 10°\. The mean of 2 passes says 0 with 100% \(wrong\)/);
});
