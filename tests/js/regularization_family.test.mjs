import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, listed, words } from "../../companion/widgets/regularization_family.js";

const features = ["clear", "copy 1"];
const methods = {
  dropout: {
    strengths: ["none", "p = 0.05", "p = 0.10"], says: [[2, -1], [1.5, 0.25], [1, 0.5]], zeros: [0, 0, 0],
    loss: [0.5, 0.45, 0.44], nearest: [0, 1, 2], relation: "Dropout shares.",
  },
  L1: {
    strengths: ["none", "λ = 0.1", "λ = 1"], says: [[2, -1], [1.2, 0], [0, 0]], zeros: [0, 1, 2],
    loss: [0.5, 0.46, 0.693], nearest: [0, 2, 2], relation: "L1 chooses.",
  },
};

test("features and what they say are listed, with a true minus sign", () => {
  assert.equal(listed(features, [2, -1]), "clear 2.00, copy 1 −1.00");
});

test("the largest difference is found, whatever its sign", () => {
  assert.deepEqual(difference(features, [1, 0], [1.25, -2]), { name: "copy 1", gap: 2 });
});

test("the words name strength, weights, zeros, loss and the nearest dropout", () => {
  assert.equal(
    words({ features, methods, method: "L1", strength: 1 }),
    "L1, λ = 0.1: clear 1.20, copy 1 0.00. 1 weight exactly zero. Loss on new points 0.460, without 0.500. " +
      "Nearest dropout: p = 0.10; they differ most on copy 1, by 0.50. L1 chooses.",
  );
  assert.match(words({ features, methods, method: "L1", strength: 2 }), / 2 weights exactly zero\. /);
});

test("without strength, and for dropout itself, nothing is compared", () => {
  assert.equal(
    words({ features, methods, method: "L1", strength: 0 }),
    "L1, strength none: clear 2.00, copy 1 −1.00. Loss on new points 0.500. L1 chooses.",
  );
  assert.doesNotMatch(words({ features, methods, method: "dropout", strength: 2 }), /Nearest|exactly/);
});
