import assert from "node:assert/strict";
import { test } from "node:test";

import { histogram, maskedSum, situation, words } from "../../companion/widgets/masks.js";

// The worked example: "t" is kept up to p = 0.95, "a" is dropped from p = 0.05 on.
const x = [2.0, -1.0, 3.0, 0.5, -2.0, 1.0];
const means = Array.from({ length: 21 }, (_, j) => (1 - j / 20) * 3.5);
const sd = Array.from({ length: 21 }, (_, j) => Math.sqrt((j / 20) * (1 - j / 20) * 19.25));
const set = { x, bin: 0.5, rows: ["tatata", "tatatt", "atataa"], mean: means, sd };

test("masked sum of the worked example is 3.0 of 3.5", () => {
  assert.equal(maskedSum(x, [1, 0, 1, 0, 1, 0]), 3);
  const now = situation(set, 10, 0);
  assert.deepEqual(now.mask, [1, 0, 1, 0, 1, 0]);
  assert.equal(now.kept, 3);
  assert.equal(now.survived, 3);
  assert.equal(now.full, 3.5);
  assert.equal(now.expected, 1.75);
});

test("all masks so far count, and only those", () => {
  const now = situation(set, 10, 2);
  assert.deepEqual(now.sums, [3, 4, -0.5]);
  assert.equal(now.average, 6.5 / 3);
  assert.equal(situation(set, 0, 2).average, 3.5); // p = 0: every sum is the full one
  assert.equal(situation(set, 20, 2).average, 0); // p = 1: nothing is left
});

test("the words name the surprising cases", () => {
  assert.equal(
    words(situation(set, 10, 0), 0.5),
    "Mask 1, p = 0.50: 3 of 6 units kept. Surviving sum 3.0 of 3.5. " +
      "Expected 1.75 with standard deviation 2.19. One mask drawn so far.",
  );
  assert.match(words(situation(set, 10, 1), 0.5), /Surviving sum 4\.0, more than the full sum 3\.5\./);
  assert.match(words(situation(set, 10, 2), 0.5), /Surviving sum −0\.5, negative, while the full sum is 3\.5\./);
  assert.match(words(situation(set, 10, 2), 0.5), /Mean of the 3 sums so far: 2\.17\.$/);
});

test("sums fall into the nearest bin", () => {
  assert.deepEqual([...histogram([3, 4, 3.1, -0.5], 0.5)], [[3, 2], [4, 1], [-0.5, 1]]);
  assert.equal([...histogram([0.2, 0.7, 41.4], 1).values()].reduce((a, b) => a + b), 3);
});
