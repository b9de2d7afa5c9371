# %% [markdown]
# # Exercises 15: when dropout hurts
#
# Four exercises on deciding: whether a network wants dropout at all, a scheduler that knows what it cannot reach, a control
# whose sign is written down beforehand, and a table under review. Write your answer into the cell that begins with
# `# answer:`, run it, then run the cell below it: `check` answers with one line when all is well, and with a hint when it is
# not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping**, and accuracies are in percent.

# %%
import math

import torch
from companion.assignments import check
from companion.experiments.protocol import load
from companion.experiments.when_dropout_hurts import name
from torch import nn

# %% [markdown] exercise="decide"
# ## 1. Which regime?
#
# Write `decide(training, new, wrong)`. A network was trained **without** dropout; `training` is its accuracy on training
# examples, `new` that on new ones, and `wrong` the share of training labels that are wrong (0 or 0.2; labels of new examples
# are right). Return `True` if dropout (at 0.2) would help it, `False` if it would cost accuracy. The check takes recorded
# networks for which the answer was clear: an effect of a point or more, and an interval without zero. It leaves out one
# network of 8-8 units, which fits its 300 examples, all labels right, and still cannot spare a unit: accuracies alone do not
# tell that.
#
# The next cell shows a few. A network that has learned all the rules and none of the wrong labels would score
# `100 * (1 - wrong)` on its training examples.
#
# <details><summary>Hint</summary>
#
# How much of its training accuracy can a network owe to what it learned by heart? From `new` you can compute what it would
# score on its training examples if it treated them like new ones: a right answer meets a right label with probability
# `1 - wrong`.
#
# </details>

# %%
sweep = load("hurts-sweep")
for student, count, wrong in (("64-64", 1000, 0.2), ("64-64", 30_000, 0.2), ("8-8", 1000, 0.2), ("64-64", 1000, 0.0)):
    arm, control = name(student, count, wrong, 0.2), name(student, count, wrong, 0)
    training, new = (sweep.mean(metric, control).mean for metric in ("training accuracy", "test accuracy"))
    effect = sweep.effect("test accuracy", arm, control)
    print(f"training {training:.1f}, new {new:.1f}, wrong {wrong:g}: p = 0.2 changes {effect:.1f}")


# %% nbgrader={"grade": false, "grade_id": "ch15-decide", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decide(training, new, wrong):
    """Returns whether dropout would help a network that scores so without it."""
    ### BEGIN SOLUTION
    if_nothing_by_heart = new * (1 - wrong)
    return training - if_nothing_by_heart > 10
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch15-decide-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch15.decide", decide)

# %% nbgrader={"grade": true, "grade_id": "ch15-decide-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_networks = inputs("ch15.decide")
check("ch15.decide", decide, generator=unseen_networks)
### END HIDDEN TESTS

# %% [markdown] exercise="scheduler"
# ## 2. A dropout scheduler
#
# Write the class `DropoutScheduler(model, p, stop, mode, x)`:
#
# * it sets the rate of **every** dropout module in `model` (all classes of `torch.nn` with `Dropout` in their name), however
#   deep it sits. Created, it sets the rate of step 0; after each call of `.step()` the rate of the next step holds;
# * `mode` is `"early"` (rate `p` in the steps before `stop`, then 0), `"late"` (0 before `stop`, then `p`) or `"ramp"`
#   (`p * step / stop` before `stop`, then `p`); another word raises a `ValueError`;
# * if something in the model drops that is **no** such module (`F.dropout` in a `forward`, say), or if there is no dropout
#   module at all, it raises a `ValueError`. `x` is an input to try the model with: with all rates at 0 and in training mode, two
#   calls must give the same output;
# * every module stays in the mode (training or evaluation) in which it was found. There is no batch normalization.
#
# <details><summary>Hint</summary>
#
# `model.modules()` yields every module once. Keep `{module: module.training for module in model.modules()}` before you try,
# and put it back afterwards: a part of the model may have been frozen in evaluation mode.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch15-scheduler", "locked": false, "schema_version": 3, "solution": true, "task": false}
class DropoutScheduler:
    """Moves the rate of all dropout modules of a model over training; refuses a model that drops out of its reach."""

    def __init__(self, model, p, stop, mode, x):
        ### BEGIN SOLUTION
        if mode not in ("early", "late", "ramp"):
            raise ValueError(f"mode must be 'early', 'late' or 'ramp', got {mode!r}")
        self.layers = [module for module in model.modules() if "Dropout" in type(module).__name__]
        if not self.layers:
            raise ValueError("model must have a dropout module, got none")
        self.p, self.stop, self.mode, self.done = p, stop, mode, 0
        self._set(0.0)
        found_in = {module: module.training for module in model.modules()}
        model.train()
        with torch.no_grad():
            same = torch.equal(model(x), model(x))
        for module, training in found_in.items():
            module.training = training
        if not same:
            raise ValueError("model drops in a place that is no module: its rate cannot be set")
        self._set(self.rate())

    def rate(self):
        before = self.done < self.stop
        if self.mode == "ramp" and before:
            return self.p * self.done / self.stop
        return self.p if before == (self.mode == "early") else 0.0

    def step(self):
        self.done += 1
        self._set(self.rate())

    def _set(self, rate):
        for layer in self.layers:
            layer.p = rate
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch15-scheduler-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch15.scheduler", DropoutScheduler)

# %% nbgrader={"grade": true, "grade_id": "ch15-scheduler-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_models = inputs("ch15.scheduler")
check("ch15.scheduler", DropoutScheduler, generator=unseen_models)
unseen_model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.9))
unseen_scheduler = DropoutScheduler(unseen_model, 0.25, 1, "early", torch.ones(2, 3))
assert unseen_model[1].p == 0.25, "early: on at step 0"
unseen_scheduler.step()
assert unseen_model[1].p == 0, "early: off from step 1 on"
### END HIDDEN TESTS

# %% [markdown] exercise="control"
# ## 3. The control
#
# Does dropout at 0.1 help in your setting? You get a `lab`: `lab.seeds` are twelve seeds, `lab.train(p, seed)` trains a
# network and returns its test accuracy, and `lab.predict(sign)` takes down what you expect, `"+"`, `"-"` or `"0"`. The lab
# wants your prediction **before** the first training, because afterwards everybody has known it all along. Any prediction will
# do. Then write `control(lab)` so that it returns the verdict: `"+"` if the mean paired difference of p = 0.1 and p = 0 over all
# seeds is more than two standard errors above zero, `"-"` if it is more than two below, else `"0"`.
#
# <details><summary>Hint</summary>
#
# Predict, train, subtract seed by seed, then the mean and its standard error (the standard deviation, with 12 - 1, over the
# root of 12). What you predicted has no place in the verdict.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch15-control", "locked": false, "schema_version": 3, "solution": true, "task": false}
def control(lab):
    """Returns "+", "-" or "0": what p = 0.1 did against p = 0, seed by seed."""
    ### BEGIN SOLUTION
    lab.predict("0")
    gains = torch.tensor([lab.train(0.1, seed) - lab.train(0.0, seed) for seed in lab.seeds], dtype=torch.float64)
    error = gains.std() / len(gains) ** 0.5
    if gains.mean().abs() <= 2 * error:
        return "0"
    return "+" if gains.mean() > 0 else "-"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch15-control-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch15.control", control)

# %% nbgrader={"grade": true, "grade_id": "ch15-control-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_settings = inputs("ch15.control")
check("ch15.control", control, generator=unseen_settings)
### END HIDDEN TESTS

# %% [markdown] exercise="review"
# ## 4. Review a table
#
# A table gives two error rates in percent, `before` and `after`, measured on `n` test examples each. Write
# `review(before, after, n)`: return two numbers,
#
# * the z-score $(e_1 - e_2) / \sqrt{e_1(1-e_1)/n + e_2(1-e_2)/n}$, positive if the error fell, where $e$ are shares and not
#   percentages;
# * the smallest whole number of test examples with which the same two rates would be 1.96 standard errors apart or more.
#
# <details><summary>Hint</summary>
#
# How does z depend on n? Everything else in the formula stays where it is.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch15-review", "locked": false, "schema_version": 3, "solution": true, "task": false}
def review(before, after, n):
    """Returns (z, examples needed) for two error rates in percent on n test examples."""
    ### BEGIN SOLUTION
    first, second = before / 100, after / 100
    spread = first * (1 - first) + second * (1 - second)
    z = (first - second) / math.sqrt(spread / n)
    return z, math.ceil(1.96**2 * spread / (first - second) ** 2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch15-review-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch15.review", review)

# %% nbgrader={"grade": true, "grade_id": "ch15-review-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_tables = inputs("ch15.review")
check("ch15.review", review, generator=unseen_tables)
unseen_z, unseen_needed = review(50.0, 40.0, 49)
assert abs(float(unseen_z) - 1.0) < 1e-4 and float(unseen_needed) == 189, "a spread of 0.49 and a difference of 0.1"
### END HIDDEN TESTS

# %% [markdown]
# Now the review itself. A manuscript says: "On street numbers our method lowers the test error from 1.80% to 1.75% and
# sets a new state of the art. This shows that dropping whole layers regularizes." There are 26,032 test images, and each
# method was trained once. Write at most five sentences to the authors: what the two numbers show and what they do not, and
# what you ask them to add. This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch15-review_report", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Your review goes here.*
