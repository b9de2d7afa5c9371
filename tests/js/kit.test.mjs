import assert from "node:assert/strict";
import { test } from "node:test";

import {
  change, clamp, count, fixed, levels, longest, mean, scale, staticModel, sum, threshold, ticks, watch,
} from "../../companion/widgets/kit.js";

test("fixed writes a true minus sign and no negative zero", () => {
  assert.equal(fixed(2.194, 2), "2.19");
  assert.equal(fixed(-2, 1), "−2.0");
  assert.equal(fixed(-0.001, 1), "0.0");
  assert.equal(fixed(0.05), "0.05");
});

test("small helpers", () => {
  assert.equal(clamp(7, 0, 5), 5);
  assert.equal(clamp(-7, 0, 5), 0);
  assert.equal(sum([1, 2, 3.5]), 6.5);
  assert.equal(mean([1, 2]), 1.5);
  assert.equal(count(1, "unit"), "1 unit");
  assert.equal(count(0, "unit"), "0 units");
  assert.equal(count(2, "mask", "masks"), "2 masks");
  assert.equal(longest(["a", "abc", "ab"]), "abc");
  assert.equal(scale([0, 10], [100, 0])(2.5), 75);
});

test("ticks are round, inside and few", () => {
  assert.deepEqual(ticks(-3, 6.5, 10), [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(ticks(0, 41.4, 5), [0, 10, 20, 30, 40]);
  assert.deepEqual(ticks(0, 1, 5).map((value) => value.toFixed(1)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
});

test("thresholding: a unit is dropped exactly when its level lies below the step", () => {
  const row = levels("ajt");
  assert.deepEqual(row, [0, 9, 19]);
  assert.deepEqual(threshold(row, 0), [1, 1, 1]); // p = 0 keeps all
  assert.deepEqual(threshold(row, 1), [0, 1, 1]);
  assert.deepEqual(threshold(row, 9), [0, 1, 1]);
  assert.deepEqual(threshold(row, 10), [0, 0, 1]);
  assert.deepEqual(threshold(row, 20), [0, 0, 0]); // p = 1 drops all
});

test("a static model tells listeners of changes, and only of changes", () => {
  const model = staticModel({ p: 0.5, draw: 0 });
  const heard = [];
  const stop = watch(model, ["p"], () => heard.push(model.get("p")));
  change(model, { p: 0.5 });
  change(model, { draw: 3 });
  change(model, { p: 0.2 });
  stop();
  change(model, { p: 0.9 });
  assert.deepEqual(heard, [0.5, 0.2]);
  assert.equal(model.get("draw"), 3);
});

test("two static models share nothing", () => {
  const state = { p: 0.5 };
  const [one, other] = [staticModel(state), staticModel(state)];
  one.set("p", 0.1);
  assert.equal(other.get("p"), 0.5);
  assert.equal(state.p, 0.5);
});
