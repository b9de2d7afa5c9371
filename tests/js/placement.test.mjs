import assert from "node:assert/strict";
import { test } from "node:test";

import { flow, verdict, words } from "../../companion/widgets/placement.js";

test("an interval is a gain, a loss or undecided", () => {
  assert.equal(verdict(["0.2", 3, 1, 5]), "a gain");
  assert.equal(verdict(["0.2", -3, -5, -1]), "a loss");
  assert.equal(verdict(["0.2", 1, -1, 3]), "undecided");
  assert.equal(verdict(["0.2", 1, 0, 2]), "undecided");
});

test("the words name the site, the habit and every gain with its interval", () => {
  const site = { name: "input", habit: "0", gains: [["0.2", 7.96, 6.73, 9.19], ["0.7", -6.44, -11.7, -1.1]] };
  assert.equal(
    words("MLP", site, { none: 76.9, seeds: 10 }),
    "MLP, input. Tutorials: 0. Measured against 76.9% without dropout, 10 paired seeds: " +
      "0.2: +8.0 points [+6.7, +9.2], a gain; 0.7: −6.4 points [−11.7, −1.1], a loss.",
  );
});

test("a chain is laid out in rows that fit", () => {
  const chain = ["pixels", ["input"], "layer, ReLU", ["hidden 1"], "+", "softmax"];
  for (const width of [280, 400, 700]) {
    const { placed, rows } = flow(chain, width);
    assert.equal(placed.length, chain.length);
    assert.ok(placed.every(({ x, w }) => x >= 0 && x + w <= width));
    assert.equal(rows, placed.at(-1).row + 1);
    for (let i = 1; i < placed.length; i += 1) { // in reading order, without overlap
      const [one, next] = [placed[i - 1], placed[i]];
      assert.ok(next.row === one.row ? next.x > one.x + one.w : next.row === one.row + 1 && next.x === 0);
    }
  }
  assert.ok(flow(chain, 700).rows < flow(chain, 280).rows);
  assert.deepEqual(flow(chain, 700).placed.map(({ site }) => site).filter(Boolean), ["input", "hidden 1"]);
});
