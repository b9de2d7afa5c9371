import assert from "node:assert/strict";
import { test } from "node:test";

import { cellMask, words } from "../../companion/widgets/spatial_dropout.js";

test("masks of cells have a flag a cell, masks of channels one for all cells of a map", () => {
  assert.deepEqual(cellMask("cells", "atkj", 10, 2), [0, 1, 1, 0]); // levels 0, 19, 10, 9
  assert.deepEqual(cellMask("channels", "at", 10, 3), [0, 0, 0, 1, 1, 1]);
  assert.deepEqual(cellMask("channels", "at", 0, 2), [1, 1, 1, 1]); // p = 0
  assert.deepEqual(cellMask("channels", "at", 20, 2), [0, 0, 0, 0]); // p = 1
});

test("the words count what is gone and say what is told", () => {
  const cells = { kind: "cells", p: 0.5, draw: 0, cells: 4, told: 0.816 };
  assert.equal(
    words({ ...cells, mask: [0, 1, 1, 0, 1, 1, 1, 0] }),
    "Mask 1, p = 0.50, cells: 3 of 8 cells gone. The survivors of the same map tell 82% of their variance.",
  );
  assert.equal(words({ ...cells, mask: Array(8).fill(1) }), "Mask 1, p = 0.50, cells: nothing is dropped.");
  assert.match(words({ ...cells, mask: Array(8).fill(0) }), /all 8 cells gone, and nobody is left to tell\.$/);
  assert.equal(
    words({ ...cells, kind: "channels", draw: 2, mask: [0, 0, 0, 0, 1, 1, 1, 1] }),
    "Mask 3, p = 0.50, channels: 1 of 2 maps gone. Their own maps tell nothing of them.",
  );
});
