import assert from "node:assert/strict";
import { test } from "node:test";

import { often, short, signed, situation, thousands, words } from "../../companion/widgets/when_dropout_hurts.js";

test("numbers of examples are read out in full and shortened for columns", () => {
  assert.deepEqual([100, 1000, 30000, 1234567].map(thousands), ["100", "1,000", "30,000", "1,234,567"]);
  assert.deepEqual([100, 300, 1000, 10000].map(short), ["100", "300", "1k", "10k"]);
});

test("a gain has its sign, and what rounds to zero has none", () => {
  assert.deepEqual([1.25, -2.04, 0.04, -0.04, 0].map((value) => signed(value)), ["+1.3", "−2.0", "0.0", "0.0", "0.0"]);
  assert.equal(signed(12.6, 0), "+13");
});

test("how often an example is drawn", () => {
  assert.equal(often(64000, 1000), "about 64 times");
  assert.equal(often(64000, 30000), "2.1 times");
});

const shipped = {
  students: ["8-8", "64-64"],
  counts: [100, 1000],
  drawn: 64000,
  cells: {
    wrong: {
      "8-8": [{ base: 40, train: 50, gains: { 0.5: [-1, -2, 0.5, 0] } }, { base: 41, train: 51, gains: { 0.5: [-9, -12, -6, -1] } }],
      "64-64": [{ base: 52, train: 100, gains: { 0.5: [0.5, -1, 2, 0] } }, { base: 61.6, train: 99, gains: { 0.5: [13, 11.4, 14.6, 1] } }],
    },
  },
};

test("the chosen cell is found in the map", () => {
  const now = situation(shipped, { labels: "wrong", student: "64-64", p: "0.5", place: 1 });
  assert.equal(now.row, 1);
  assert.deepEqual(now.gain, [13, 11.4, 14.6, 1]);
  assert.deepEqual(now.rows[0][1], [-9, -12, -6, -1]);
  assert.equal(now.base, 61.6);
});

test("the words give setting, effect, interval and verdict", () => {
  const now = (student, place) => words(situation(shipped, { labels: "wrong", student, p: "0.5", place }));
  assert.equal(
    now("64-64", 1),
    "Network 64-64, 1,000 examples, one label in five wrong: without dropout 61.6% on new examples (99.0% on those for " +
      "fitting). With p = 0.5: +13.0 [+11.4, +14.6] points, dropout helps. An example is drawn about 64 times.",
  );
  assert.match(now("8-8", 1), /−9\.0 \[−12\.0, −6\.0\] points, dropout costs accuracy/);
  assert.match(now("64-64", 0), /no effect seen/);
});
