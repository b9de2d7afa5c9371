import assert from "node:assert/strict";
import { test } from "node:test";

import { apart, extent, layerMasks, runningMeans, sigmoid, situation, words } from "../../companion/widgets/ensembles.js";

const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

test("the geometric mean averages logits, the arithmetic mean probabilities", () => {
  const { geometric, arithmetic } = runningMeans([0, 1, 2, 3]); // the chapter's worked example: 2 m1 + m2
  near(geometric[3], sigmoid(1.5));
  near(arithmetic[3], (0.5 + sigmoid(1) + sigmoid(2) + sigmoid(3)) / 4);
  near(geometric[0], arithmetic[0]);
  assert.equal(geometric.length, 4);
});

test("masks: the first n coins of each half, the first layer only where it is masked", () => {
  assert.deepEqual(layerMasks("010110", 2, "both"), [[0, 1], [1, 1]]);
  assert.deepEqual(layerMasks("010010", 2, "last"), [[1, 1], [0, 1]]);
  assert.deepEqual(layerMasks("010010", 3, "both"), [[0, 1, 0], [0, 1, 0]]);
});

const net = { one: { A: 0.2 }, geometric: { A: 0.2 }, arithmetic: { A: 0.3 }, logits: { A: [0, -2] } };
const state = {
  nets: { last: [net], both: [net] }, counts: { last: ["2² = 4 subnetworks."], both: ["2⁴ = 16 subnetworks."] },
  masks: ["0110", "1101"], least: 2, place: "last", n: 2, point: "A", draw: 1,
};

test("the words give the count, the subnetwork, and all predictions", () => {
  assert.equal(
    words(situation(state)),
    "2² = 4 subnetworks. Subnetwork 2 keeps 3 of 4 hidden units. Mean of the 2 so far: geometric 0.269, " +
      "arithmetic 0.310. All masks: geometric 0.200, arithmetic 0.300. One pass: 0.200.",
  );
  assert.match(words(situation({ ...state, place: "both", draw: 0 })), /^2⁴ = 16 subnetworks\. Subnetwork 1 keeps 2 of 4/);
});

test("the chart holds every value", () => {
  const [low, high] = extent(situation(state));
  assert.ok(low < sigmoid(-2) + 0.1 && low >= 0 && low < 0.2 && high > 0.5 && high <= 1);
});

test("labels that would overlap move apart and keep their order", () => {
  const moved = apart([50, 52, 90], 16);
  assert.ok(moved[1] - moved[0] >= 16 && moved[2] - moved[1] >= 16);
  assert.deepEqual(apart([0, 100, 50], 16), [0, 100, 50]);
});
