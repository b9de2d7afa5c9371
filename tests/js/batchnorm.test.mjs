import assert from "node:assert/strict";
import { test } from "node:test";

import { chain, situation, words } from "../../companion/widgets/batchnorm.js";

const net = { measured: [[1, 0.42], [1.01, 0.4], [0.99, 0.36]], half: [[0, 0.01], [0.02, 0.03], [0, 0.01]], predicted: [[1, 0.41], [1, 0.4], [1, 0.39]] };
const set = { nets: { relu: { "dropout first": net } }, curves: { relu: [1, 0.7, 0.4054] }, activation: "relu", order: "dropout first", steps: 10, last: 0.1 };

test("a step picks the ratios of every BatchNorm and the point of the curve", () => {
  const now = situation({ ...set, step: 1 });
  assert.equal(now.p, 0.1);
  assert.deepEqual(now.norms[1], { measured: 0.4, half: 0.03, predicted: 0.4 });
  assert.equal(now.behind, 0.4054);
  assert.equal(situation({ ...set, step: 0 }).behind, 1);
});

test("every dropout but that of the head stands in front of a BatchNorm", () => {
  const before = (order) => chain(order).filter((token, i, all) => token === "drop" && all.slice(i).includes("norm")).length;
  assert.deepEqual(["dropout first", "norm first", "head only"].map(before), [3, 2, 0]);
  assert.equal(chain("head only").filter((token) => token === "norm").length, 3);
});

test("the words name both numbers of every BatchNorm and say which are shifted", () => {
  const names = { activationName: "ReLU", orderName: "dropout, then BN" };
  assert.equal(
    words({ ...names, ...situation({ ...set, step: 1 }) }),
    "ReLU, dropout, then BN, p = 0.1. Variance at evaluation over variance in training, predicted and measured: " +
      "BN 1 0.41 and 0.42; BN 2 0.40 and 0.40; BN 3 0.39 and 0.36. All of them are shifted. Directly behind a dropout the formula gives 0.405.",
  );
  assert.match(words({ ...names, ...situation({ ...set, step: 0 }) }), /No BatchNorm is off by more than a twentieth\./);
  const one = { p: 0.5, behind: 0.4, norms: [{ measured: 1, predicted: 1 }, { measured: 0.8, predicted: 0.8 }, { measured: 0.7, predicted: 0.8 }] };
  assert.match(words({ ...names, ...one }), /Shifted: BN 2 and 3\./);
});
