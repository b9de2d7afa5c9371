import assert from "node:assert/strict";
import { test } from "node:test";

import { chosen, reply } from "../../companion/quizzes/quiz.js";

test("the explanation belongs to the chosen answer", () => {
  const buttons = (which) => [0, 1, 2].map((i) => ({ checked: i === which }));
  const why = ["because of a", "because of b", "because of c"];
  assert.equal(chosen(buttons(-1)), -1);
  assert.equal(reply(why, chosen(buttons(-1)), "choose"), "choose");
  [0, 1, 2].forEach((i) => assert.equal(reply(why, chosen(buttons(i)), "choose"), why[i]));
});
