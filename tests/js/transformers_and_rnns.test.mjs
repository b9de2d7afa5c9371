import assert from "node:assert/strict";
import { test } from "node:test";

import { coins, expected, intact, memory, siteWords, timeWords } from "../../companion/widgets/transformers_and_rnns.js";

test("fresh coins fall at each step, a locked unit throws that of its first step", () => {
  const letters = "adbcda"; // two units, three steps
  assert.deepEqual(coins(letters, 2, 2, "fresh"), [[0, 1, 0], [1, 1, 0]]);
  assert.deepEqual(coins(letters, 2, 2, "locked"), [[0, 0, 0], [1, 1, 1]]);
  assert.deepEqual(coins(letters, 2, 0, "fresh"), [[1, 1, 1], [1, 1, 1]]);
  assert.deepEqual(coins(letters, 2, 4, "locked"), [[0, 0, 0], [0, 0, 0]]);
});

test("a memory is lost at the first dropped step and never comes back", () => {
  assert.deepEqual(memory([[1, 0, 1], [1, 1, 1], [0, 1, 1]], "fresh"), [[1, 0, 0], [1, 1, 1], [0, 0, 0]]);
  assert.deepEqual(memory([[1, 0, 1]], "between"), [[1, 1, 1]]);
});

test("the expected share falls with every step, once, or never", () => {
  assert.equal(expected(0.5, 3, "fresh"), 0.125);
  assert.equal(expected(0.5, 3, "locked"), 0.5);
  assert.equal(expected(0.5, 3, "between"), 1);
});

test("the words count coins and memories", () => {
  const mask = [[1, 0], [1, 1]];
  assert.equal(
    timeWords({ mask, alive: memory(mask, "fresh"), kind: "fresh", p: 0.5 }),
    "4 coins for 2 units and 2 steps; 3 of 4 cells kept. After 2 steps 1 of 2 units still hold what the first step left; 0.50 expected.",
  );
  assert.match(timeWords({ mask, alive: mask, kind: "locked", p: 0.5 }), /^2 coins for 2 units.*; 1\.00 expected\.$/);
});

test("only behind the sum is the shortcut in danger, the more so the deeper the network", () => {
  assert.equal(intact({ active: ["sum"] }, 0.5, 2), 0.0625);
  assert.equal(intact({ active: ["residual", "head"] }, 0.5, 24), 1);
});

test("a site is described with its effects", () => {
  const head = { what: "Head.", active: ["head"], effects: [["0.1", 0.4, -0.9, 1.7], ["0.5", -2, -3, -1]] };
  assert.equal(
    siteWords(head, 2),
    "Head. Test accuracy against no dropout, p = 0.1: +0.4 points (interval −0.9 to +1.7); " +
      "p = 0.5: −2.0 points (interval −3.0 to −1.0). " +
      "In a network of 2 blocks a feature of the shortcut comes through whole with probability 1 at p = 0.1.",
  );
  assert.match(siteWords({ ...head, active: ["sum"] }, 1), /In a network of 1 block .* probability 0\.810 at p = 0\.1\.$/);
});
