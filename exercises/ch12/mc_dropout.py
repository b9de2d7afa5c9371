# %% [markdown]
# # Exercises 12: MC dropout and uncertainty
#
# Four exercises on predictions that differ from pass to pass: what their entropy says, how to draw them without breaking
# the network, whether their confidence can be believed, and why their spread does not shrink. Write your answer into the
# cell that begins with `# answer:`, run it, then run the cell below it: `check` answers with one line when all is well, and
# with a hint when it is not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="split_entropy"
# ## 1. Two parts
#
# `passes` holds the probabilities of several passes with dropout on, shape `(T, n, classes)`. Write `split_entropy(passes)`: for
# each of the `n` examples
#
# * the entropy of the mean over the passes,
# * the mean entropy of the passes (what every pass is unsure of),
# * the difference of the two (what the passes disagree about),
#
# as three tensors of shape `(n,)`, in nats (natural logarithms). Some probabilities are exactly 0 and 1: there `p log p` counts 0.
#
# <details><summary>Hint</summary>
#
# Write a helper for the entropy over the last axis and use it twice: once on a mean, once under a mean. For the zeros, look at
# `torch.special.entr`, or clamp before the logarithm.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch12-split_entropy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def split_entropy(passes):
    """Returns the entropy of the mean, the mean entropy, and their difference."""
    ### BEGIN SOLUTION
    of_the_mean = torch.special.entr(passes.mean(0)).sum(-1)
    mean_entropy = torch.special.entr(passes).sum(-1).mean(0)
    return of_the_mean, mean_entropy, of_the_mean - mean_entropy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch12-split_entropy-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch12.split_entropy", split_entropy)

# %% nbgrader={"grade": true, "grade_id": "ch12-split_entropy-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_passes = inputs("ch12.split_entropy")
check("ch12.split_entropy", split_entropy, generator=unseen_passes)
unseen_parts = split_entropy(torch.eye(4, dtype=torch.float64)[:, None])
assert abs(float(unseen_parts[2]) - 1.3862943611) < 1e-5, "four sure passes, four classes"
### END HIDDEN TESTS

# %% [markdown] exercise="mc_passes"
# ## 2. Only dropout
#
# Write `mc_passes(model, x, samples)`: the probabilities of `samples` passes with dropout on, shape `(samples, n, classes)`, where
# `model(x)` gives logits of shape `(n, classes)`.
#
# * Dropout is on. It may be any dropout module of torch: all of them, and those that people derive from them, are subclasses of
#   `torch.nn.modules.dropout._DropoutNd`.
# * Everything else is as at evaluation, in whatever mode the model is given: batch normalization uses what it learnt.
# * Afterwards the model is as it was: `state_dict` and every module's `training` flag.
# * No gradients; a batch of one image works.
#
# Build it from `model.eval()`, `model.modules()` and their flags, without `companion.uncertainty`.
#
# <details><summary>Hint</summary>
#
# Note the flag of every module before you change any. To set one flag and not those of the children, write
# `module.training = True`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch12-mc_passes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mc_passes(model, x, samples):
    """Returns the probabilities of `samples` passes with nothing but dropout switched on."""
    ### BEGIN SOLUTION
    flags_found = {module: module.training for module in model.modules()}
    for module in flags_found:
        module.training = isinstance(module, torch.nn.modules.dropout._DropoutNd)
    with torch.no_grad():
        drawn_passes = torch.stack([model(x).softmax(-1) for _ in range(samples)])
    for module, flag in flags_found.items():
        module.training = flag
    return drawn_passes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch12-mc_passes-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch12.mc_passes", mc_passes)

# %% nbgrader={"grade": true, "grade_id": "ch12-mc_passes-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_networks = inputs("ch12.mc_passes")
check("ch12.mc_passes", mc_passes, generator=unseen_networks)
unseen_net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Sequential(torch.nn.Dropout(0.5))).train()
unseen_net[0].eval()
assert mc_passes(unseen_net, torch.ones(1, 3), 7).shape == (7, 1, 3), "seven passes over one example"
assert [module.training for module in unseen_net.modules()] == [True, False, True, True], "flags as they were"
### END HIDDEN TESTS

# %% [markdown] exercise="calibration_error"
# ## 3. Calibration error
#
# For `n` answers of a network, `confidence` holds how sure it was of each (numbers from 0 to 1) and `right` whether it was right (0
# or 1), both of shape `(n,)`. Write `calibration_error(confidence, right, bins)`: cut [0, 1] into `bins` equal bins, and return
#
# $$\sum_b \frac{n_b}{n}\,\big|\mathrm{acc}_b - \mathrm{conf}_b\big|,$$
#
# where `acc` is the share of right answers in a bin and `conf` the *mean* confidence in it. A bin holds its lower edge; the last one
# holds 1 as well. Many bins are empty: they count 0.
#
# <details><summary>Hint</summary>
#
# The number of an answer's bin is the whole part of `confidence * bins`. What is it for a confidence of exactly 1?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch12-calibration_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def calibration_error(confidence, right, bins):
    """Returns the expected calibration error, as a number between 0 and 1."""
    ### BEGIN SOLUTION
    bin_numbers = (confidence * bins).long().clamp(max=bins - 1)
    total_gap = 0.0
    for number in range(bins):
        inside = bin_numbers == number
        total_gap += abs(float((right[inside].double() - confidence[inside].double()).sum()))
    return total_gap / len(confidence)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch12-calibration_error-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch12.calibration_error", calibration_error)

# %% nbgrader={"grade": true, "grade_id": "ch12-calibration_error-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_answers = inputs("ch12.calibration_error")
check("ch12.calibration_error", calibration_error, generator=unseen_answers)
unseen_sure = calibration_error(torch.ones(10), torch.tensor([1.0] * 7 + [0.0] * 3), 15)
assert abs(float(unseen_sure) - 0.3) < 1e-5, "always sure, seven times of ten right"
### END HIDDEN TESTS

# %% [markdown] exercise="linear_spread"
# ## 4. More data
#
# A linear model without a constant is trained with dropout at rate `p` on its inputs, on `n` examples `X` of shape `(n, d)` with
# targets `y` of shape `(n,)`, until it has converged. Chapter 12 gives its weights,
#
# $$\hat w = \Big(X^\top X + \tfrac pk\,\mathrm{diag}(X^\top X)\Big)^{-1} X^\top y .$$
#
# Now predict at the point `x` of shape `(d,)` with dropout still on. Write `linear_spread(X, y, x, p)`: the *variance* of the prediction
# over all masks, exactly.
#
# <details><summary>Hint</summary>
#
# The prediction is a sum of independent terms, one for each input: `m_j / k * w_j * x_j`. What is the variance of `m_j / k`?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch12-linear_spread", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_spread(X, y, x, p):
    """Returns the variance over the masks of the prediction at x, as a number."""
    ### BEGIN SOLUTION
    ratio = p / (1 - p)
    gram_matrix = X.T @ X
    fitted_weights = torch.linalg.solve(gram_matrix + ratio * gram_matrix.diag().diag(), X.T @ y)
    return float(ratio * (fitted_weights * x).square().sum())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch12-linear_spread-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch12.linear_spread", linear_spread)

# %% nbgrader={"grade": true, "grade_id": "ch12-linear_spread-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_tables = inputs("ch12.linear_spread")
check("ch12.linear_spread", linear_spread, generator=unseen_tables)
unseen_value = linear_spread(torch.eye(2).double(), torch.tensor([2.0, 0.0]).double(), torch.ones(2).double(), 0.5)
assert abs(float(unseen_value) - 1.0) < 1e-5, "two examples, one of them zero"
### END HIDDEN TESTS

# %% [markdown]
# Now let the number of examples grow: draw `X` and `y` from one linear law with 100, 10 000 and 1 000 000 examples, and print the
# variance at a point of your choice. Then write a report of four to six sentences: what does the variance do, *why* (a proof, with
# the formula), what would the variance of a Bayesian posterior do, and how could one repair MC dropout?

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch12-linear_spread_report", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Your report goes here.*
