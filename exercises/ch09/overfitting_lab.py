# %% [markdown]
# # Exercises 09: the overfitting lab
#
# Four exercises on reading what a training says: name its regime, put an error bar on a gain, find a rate on a budget
# without touching the test set, and tell too much dropout from too little training. Write your answer into the cell that
# begins with `# answer:`, run it, then run the cell below it: `check` answers with one line when all is well, and with a
# hint when it is not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping**, and accuracies are in percent.

# %%
import torch
from companion.assignments import check
from companion.experiments.protocol import load

# %% [markdown] exercise="diagnose"
# ## 1. Name the regime
#
# Write `diagnose(train, test)`. It gets two lists, the accuracy on the training images and on the test images at 21 looks
# during one training, and returns one of the words `"overfits"`, `"fits"` and `"underfits"`. There are ten classes, and
# one training label in five is wrong. The next cell prints the last look of five recorded runs, without their rates:
# name them first by eye.
#
# <details><summary>Hint</summary>
#
# Begin with the training accuracy: does the network know the images that it was trained on? Only then look at the test.
# The gap alone does not decide. And what would a network score on the training images that has learned all the digits
# and none of the wrong labels?
#
# </details>

# %%
lab = load("lab-runs")
for name, arm, seed in zip("abcde", ("p = 0.95", "p = 0.5", "p = 0", "p = 0.8", "p = 0.05"), (1, 4, 2, 7, 5)):
    train, test = (lab.curve(f"{part} accuracy", arm)[1][seed] for part in ("training", "test"))
    print(f"run {name}: training {train[-1]:.1f}, test {test[-1]:.1f}, best test on the way {test.max():.1f}")


# %% nbgrader={"grade": false, "grade_id": "ch09-diagnose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def diagnose(train, test):
    """Returns "overfits", "fits" or "underfits" for two lists of accuracies in percent."""
    ### BEGIN SOLUTION
    if train[-1] < 70:  # it does not even know what it was trained on
        return "underfits"
    fallen_since_the_best = max(test) - test[-1]
    return "overfits" if train[-1] > 93 or fallen_since_the_best > 7 else "fits"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch09-diagnose-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch09.diagnose", diagnose)

# %% nbgrader={"grade": true, "grade_id": "ch09-diagnose-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_runs = inputs("ch09.diagnose")
check("ch09.diagnose", diagnose, generator=unseen_runs)
### END HIDDEN TESTS

# %% [markdown] exercise="paired_gain"
# ## 2. A gain with its error
#
# Entry `i` of both tensors belongs to seed `i`: the same split, the same wrong labels, the same initial weights. Write
# `paired_gain(with_dropout, without)`: return the mean gain over the seeds and its **standard error**, two numbers.
#
# <details><summary>Hint</summary>
#
# $d_s = a_s(p) - a_s(0)$ for every seed first. The standard error of a mean of $S$ numbers is their standard deviation
# (with $S - 1$) over $\sqrt{S}$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch09-paired_gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paired_gain(with_dropout, without):
    """Returns (mean, standard error) of the paired differences; both arguments are Tensor[seeds]."""
    ### BEGIN SOLUTION
    gain_of_each_seed = with_dropout - without
    return gain_of_each_seed.mean(), gain_of_each_seed.std() / len(gain_of_each_seed) ** 0.5
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch09-paired_gain-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch09.paired_gain", paired_gain)

# %% nbgrader={"grade": true, "grade_id": "ch09-paired_gain-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_seeds = inputs("ch09.paired_gain")
check("ch09.paired_gain", paired_gain, generator=unseen_seeds)
unseen_gain, unseen_error = paired_gain(torch.tensor([81.0, 85.0, 83.0]), torch.tensor([80.0, 82.0, 81.0]))
assert abs(float(unseen_gain) - 2) < 1e-4 and abs(float(unseen_error) - 3**-0.5) < 1e-4, "gains of 1, 3 and 2 points"
### END HIDDEN TESTS

# %% [markdown]
# Now report one. Over ten paired seeds dropout at 0.1 gained −0.2 points of test accuracy over no dropout, with a
# standard error of 0.3 points. Write at most four sentences for a report: what was compared, what came out, with which
# uncertainty, and what a reader may and may not conclude. This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch09-paired_gain_report", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Your report goes here.*

# %% [markdown] exercise="find_rate"
# ## 3. The best rate on a budget
#
# You get a `lab` with a budget of **30 trainings**. `lab.validation(p, seed)` trains one network and returns its
# validation accuracy in percent. Seeds differ by luck: in these labs the split alone makes some 15 points.
# Write `find_rate(lab)`: return a rate `p` that is within 0.12 of the best one. Every lab has its best rate elsewhere,
# between 0.2 and 0.75. There is also `lab.test(p, seed)`. Leave it alone.
#
# The lab only pretends to train (its accuracies are a curve, plus luck, plus noise), so that it answers at once.
#
# <details><summary>Hint</summary>
#
# With 30 trainings you can look at ten rates with three seeds each. Which seeds should the second rate get?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch09-find_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def find_rate(lab):
    """Returns a rate near the best one, found with at most 30 calls of lab.validation."""
    ### BEGIN SOLUTION
    candidate_rates = [0.05 + step / 10 for step in range(10)]
    means = [sum(lab.validation(p, seed) for seed in range(3)) / 3 for p in candidate_rates]
    return candidate_rates[means.index(max(means))]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch09-find_rate-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch09.find_rate", find_rate)

# %% nbgrader={"grade": true, "grade_id": "ch09-find_rate-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_labs = inputs("ch09.find_rate")
check("ch09.find_rate", find_rate, generator=unseen_labs)
### END HIDDEN TESTS

# %% [markdown] exercise="needs_more_steps"
# ## 4. Too much dropout, or too little training?
#
# After 800 steps networks with p = 0.8 are behind those with p = 0.5. Is that too much dropout, or do they only need more
# steps? `train(p, steps)` returns the test accuracies of twelve paired seeds, for p = 0.5 or 0.8 and 800 or 2400 steps.
# Write `needs_more_steps(train)`: return `True` if, with three times the steps, p = 0.8 gains **and** is then no longer
# behind p = 0.5 at the **same** number of steps; else `False`. A difference counts if it is more than two standard errors
# away from zero.
#
# <details><summary>Hint</summary>
#
# There are four arms. Which two comparisons among them does the question ask for? Your answer to exercise 2 makes both.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch09-needs_more_steps", "locked": false, "schema_version": 3, "solution": true, "task": false}
def needs_more_steps(train):
    """Returns whether p = 0.8 was only trained too little."""

    ### BEGIN SOLUTION
    def distance_in_errors(one, other):
        differences = one - other
        return differences.mean() / (differences.std() / len(differences) ** 0.5)

    gains_from_steps = distance_in_errors(train(0.8, 2400), train(0.8, 800)) > 2
    still_behind = distance_in_errors(train(0.8, 2400), train(0.5, 2400)) < -2
    return bool(gains_from_steps and not still_behind)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch09-needs_more_steps-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch09.needs_more_steps", needs_more_steps)

# %% nbgrader={"grade": true, "grade_id": "ch09-needs_more_steps-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_budgets = inputs("ch09.needs_more_steps")
check("ch09.needs_more_steps", needs_more_steps, generator=unseen_budgets)
### END HIDDEN TESTS
