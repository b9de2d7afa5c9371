import assert from "node:assert/strict";
import { test } from "node:test";

import { radius, situation, thickness, words } from "../../companion/widgets/co_adaptation.js";

const pairs = [[0, 1], [0, 2], [1, 2]];
const net = { accuracy: 80, flips: [10, 40, 2], without: [75, 50, 79.5], synergy: [-0.3, 0.05, 0.02] };

test("pairs beyond the threshold are load-bearing: partners below zero, stand-ins above", () => {
  const now = situation(net, pairs, 0.02);
  assert.deepEqual([now.partners, now.standIns, now.bearing], [1, 1, 2]); // exactly at the threshold is not beyond it
  assert.equal(now.worst, 1);
  assert.equal(now.worstFlips, 40);
  assert.deepEqual(now.pair, [0, 1]);
  assert.equal(situation(net, pairs, 0.01).bearing, 3);
  assert.equal(situation(net, pairs, 1).bearing, 0);
});

test("the area of a disc is proportional to its flips", () => {
  assert.ok(Math.abs(radius(40) ** 2 / radius(20) ** 2 - 2) < 1e-9);
  assert.equal(radius(0), 4);
});

test("lines grow with the size of the synergy, whatever its sign, and stay drawable", () => {
  assert.equal(thickness(-0.1), thickness(0.1));
  assert.ok(thickness(0.2) > thickness(0.1));
  assert.equal(thickness(5), 9);
});

test("the words say the state", () => {
  const about = { step: 800, dropout: false, net, pairs, threshold: 0.02, silenced: 0 };
  assert.equal(
    words(about),
    "Dropout off in training, 800 steps, accuracy 80.0%. Worst unit: 2, without it 40.0% of predictions flip. " +
      "Strongest pair: units 1 and 2, partners, synergy −0.30 nats. 2 load-bearing pairs of 3 (beyond ±0.02 nats): 1 partner, 1 stand-in.",
  );
  assert.match(words({ ...about, dropout: true, threshold: 0.5 }), /^Dropout on .*No pair has a synergy beyond 0\.50 nats\. 0 load-bearing/);
  assert.match(words({ ...about, silenced: 2 }), /Unit 2 silenced: accuracy 80\.0 → 50\.0%, 40\.0% of predictions flip\.$/);
  const kind = { ...net, synergy: [0.1, 0.3, 0] };
  assert.match(words({ ...about, net: kind }), /units 1 and 3, stand-ins, synergy 0\.30 nats\. 2 load-bearing pairs of 3 \(beyond ±0\.02 nats\): 0 partners, 2 stand-ins\./);
});
