import assert from "node:assert/strict";
import { test } from "node:test";

import { mirrored, sizeName, words } from "../../companion/widgets/dropblock.js";

test("an eighth is mirrored into the whole map", () => {
  assert.deepEqual(mirrored([1, 2, 4], 4), [1, 2, 2, 1, 2, 4, 4, 2, 2, 4, 4, 2, 1, 2, 2, 1]);
  const whole = mirrored([11, 12, 13, 22, 23, 33], 6);
  assert.deepEqual(whole.slice(0, 6), [11, 12, 13, 13, 12, 11]);
  assert.deepEqual(whole.slice(12, 18), [13, 23, 33, 33, 23, 13]);
  assert.deepEqual(whole, whole.toReversed());
});

test("the two ends of the sizes are named", () => {
  assert.equal(sizeName(1, 8), "1 × 1 (single cells)");
  assert.equal(sizeName(3, 8), "3 × 3");
  assert.equal(sizeName(8, 8), "8 × 8 (the whole map)");
});

test("the words count the cells, say the scale and the rates", () => {
  const state = { p: 0.3, draw: 0, size: 3, border: "whole", rates: [31, 100, 100, 469] };
  assert.equal(
    words({ ...state, mask: [1, 1, 1, 0] }),
    "Mask 1, p = 0.30, blocks of 3 × 3, kept whole: 1 of 4 cells gone; alone, the map would be multiplied by " +
      "4/3 = 1.33. How often a cell is dropped: corner 3.1%, middle 46.9%, mean 17.5%.",
  );
  assert.match(words({ ...state, mask: [1, 1, 1, 1] }), /: nothing is dropped\. How often/);
  assert.match(words({ ...state, mask: [0, 0, 0, 0] }), /: all 4 cells gone\. How often/);
  assert.match(words({ ...state, draw: 2, border: "cut", mask: [1, 1, 0, 1] }), /^Mask 3, .*, cut at the border: 1 of 4/);
});
