import assert from "node:assert/strict";
import { test } from "node:test";

import { listed, patterns, power, raised, wireMask, words, wrapped } from "../../companion/widgets/dropconnect.js";

const counts = { 2: "4", 4: "16", 6: "64", 12: "4,096", 400: "1,000,000,000,000,000,000" };

test("a mask of neurons is the same for every output, a mask of wires is not", () => {
  assert.deepEqual(wireMask("neurons", "atkj", 10, 3, 2, 4), [[0, 1, 1], [0, 1, 1]]); // levels 0, 19, 10, 9
  assert.deepEqual(wireMask("wires", "atkjtaja", 10, 3, 2, 4), [[0, 1, 1], [1, 0, 0]]);
  assert.deepEqual(wireMask("wires", "atkj", 0, 2, 2, 2), [[1, 1], [1, 1]]); // p = 0
  assert.deepEqual(wireMask("neurons", "atkj", 20, 2, 1, 4), [[0, 0]]); // p = 1
});

test("patterns are counted exactly, and a number too long to be read out by its digits", () => {
  assert.equal(power("neurons", 4, 3), 4);
  assert.equal(power("wires", 4, 3), 12);
  assert.equal(raised(400), "⁴⁰⁰");
  assert.equal(patterns(12, "4,096"), "2¹² = 4,096 patterns");
  assert.equal(patterns(400, counts[400]), "2⁴⁰⁰ patterns, a number of 19 digits");
});

test("the words say what is gone and what every output keeps", () => {
  const now = { p: 0.5, draw: 1, inputs: 2, counts };
  assert.equal(
    words({ ...now, kind: "neurons", outputs: 3, mask: [[1, 0], [1, 0], [1, 0]] }),
    "Mask 2, p = 0.50, neurons: 1 of 2 inputs silent; every output keeps the same 1 of its 2 wires. 2² = 4 patterns.",
  );
  assert.equal(
    words({ ...now, kind: "wires", outputs: 3, mask: [[1, 0], [1, 1], [0, 0]] }),
    "Mask 2, p = 0.50, wires: 3 of 6 wires cut; the outputs keep 1, 2 and 0 of their 2 wires. 2⁶ = 64 patterns.",
  );
  assert.match(words({ ...now, kind: "wires", outputs: 1, mask: [[1, 0]] }), /the output keeps 1 of its 2 wires\. 2² = 4/);
  const wide = { ...now, inputs: 20, outputs: 20, mask: Array.from({ length: 20 }, (_, o) => Array.from({ length: 20 }, (_, i) => Number(i < 5 + o % 8))) };
  assert.match(words({ ...wide, kind: "wires" }), /the outputs keep from 5 to 12 of their 20 wires\. 2⁴⁰⁰ patterns, a number of/);
});

test("at the ends only one pattern can occur", () => {
  const now = { kind: "wires", draw: 0, inputs: 2, outputs: 1, counts };
  assert.match(words({ ...now, p: 0, mask: [[1, 1]] }), /0 of 2 wires cut.* At this p only one of them can occur\.$/);
  assert.match(words({ ...now, p: 1, mask: [[0, 0]] }), /2 of 2 wires cut.* At this p only one of them can occur\.$/);
});

test("lists and long numbers are cut where a reader expects it", () => {
  assert.equal(listed([3]), "3");
  assert.equal(listed([1, 3, 2]), "1, 3 and 2");
  assert.deepEqual(wrapped("wires: 1,234,567", 12), ["wires: 1,", "234,567"]);
  assert.deepEqual(wrapped("16", 12), ["16"]);
});
