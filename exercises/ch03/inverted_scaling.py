# %% [markdown]
# # Exercises 03: inverted scaling
#
# Four exercises on one factor: where it stands, what it keeps, and what happens to old weights that were trained without
# it. Write your answer into the cell that begins with `# answer:`, run it, then run the cell below it: `check` answers
# with one line when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can try as often as
# you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="inverted_dropout"
# ## 1. Inverted dropout
#
# Write `inverted_dropout(x, p, training=True, generator=None)` from basic tensor operations:
#
# * in training every element is dropped with probability `p`, on its own, and the survivors are scaled so that the mean
#   output is `x`;
# * with `training=False` the output is `x`, unchanged;
# * at `p = 1` the output is zero, and neither it nor the gradient is NaN;
# * shape, dtype and device of `x` are kept, `x` itself is not touched, and the gradient arrives at `x`;
# * all randomness comes from `generator` if there is one.
#
# <details><summary>Hint</summary>
#
# Two early returns make the rest easy: one for evaluation, one for `p = 1`. For zeros through which a gradient can flow,
# `x * 0` will do.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch03-inverted_dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inverted_dropout(x, p, training=True, generator=None):
    """Returns `x` with elements dropped at rate `p` and the survivors scaled; `x` itself at evaluation."""
    ### BEGIN SOLUTION
    if not training:
        return x
    if p == 1:
        return x * 0.0
    survivors = torch.empty_like(x).bernoulli_(1 - p, generator=generator)
    return x * survivors / (1 - p)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch03-inverted_dropout-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch03.inverted_dropout", inverted_dropout)

# %% nbgrader={"grade": true, "grade_id": "ch03-inverted_dropout-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_draws = inputs("ch03.inverted_dropout")
check("ch03.inverted_dropout", inverted_dropout, generator=unseen_draws)
unseen_p = 0.1 + 0.6 * float(torch.rand((), generator=unseen_draws))
unseen_y = inverted_dropout(torch.full((500, 400), 2.0), unseen_p, generator=unseen_draws).double()
unseen_width = 6 * 2 * (unseen_p / (1 - unseen_p) / unseen_y.numel()) ** 0.5
assert abs(float(unseen_y.mean()) - 2) < unseen_width, "the mean output is not the input"
### END HIDDEN TESTS

# %% [markdown] exercise="scheme_table"
# ## 2. Three schemes, two modes
#
# One activation has the value `x`. Write `scheme_table(x, p)`: for each scheme a pair of numbers, the **expected** output
# in training and the output at evaluation, for `p` from 0 up to, but not including, 1:
#
# * `"naive"`: drops in training and never scales;
# * `"vanilla"`: the scheme of 2012, drops in training and multiplies by `1 - p` at evaluation;
# * `"inverted"`: drops in training and divides by `1 - p` there.
#
# <details><summary>Hint</summary>
#
# An expected value is the sum of outcomes times probabilities. A coin has two outcomes.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch03-scheme_table", "locked": false, "schema_version": 3, "solution": true, "task": false}
def scheme_table(x, p):
    """Returns a dict: for each scheme (expected output in training, output at evaluation)."""
    ### BEGIN SOLUTION
    shrunk = (1 - p) * x
    return {"naive": (shrunk, x), "vanilla": (shrunk, shrunk), "inverted": (x, x)}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch03-scheme_table-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch03.scheme_table", scheme_table)

# %% nbgrader={"grade": true, "grade_id": "ch03-scheme_table-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_values = inputs("ch03.scheme_table")
check("ch03.scheme_table", scheme_table, generator=unseen_values)
### END HIDDEN TESTS

# %% [markdown] exercise="convert_checkpoint"
# ## 3. A network from 2012
#
# You are given the weights of a network that was trained with the scheme of 2012: a stack of linear layers with ReLUs
# between them. `layers` is a list of pairs `(weight, bias)` with `weight` of shape `(outputs, inputs)`. `rates[i]` is the
# rate at which the **input** of layer `i` was dropped in training. At evaluation the old program multiplies that input by
# `1 - rates[i]`.
#
# Write `convert_checkpoint(layers, rates)`. It returns new pairs for a program that does nothing at evaluation, as PyTorch
# does, so that the outputs stay the same. Leave `layers` as it is.
#
# <details><summary>Hint</summary>
#
# Write one layer as `weight @ (k * h) + bias` and move the `k`. Through what does it pass, and what does it never touch?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch03-convert_checkpoint", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convert_checkpoint(layers, rates):
    """Returns a new list of pairs (weight, bias) that needs no scaling at evaluation."""
    ### BEGIN SOLUTION
    return [(weight * (1 - rate), bias.clone()) for (weight, bias), rate in zip(layers, rates)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch03-convert_checkpoint-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch03.convert_checkpoint", convert_checkpoint)

# %% nbgrader={"grade": true, "grade_id": "ch03-convert_checkpoint-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_networks = inputs("ch03.convert_checkpoint")
check("ch03.convert_checkpoint", convert_checkpoint, generator=unseen_networks)
unseen_pair = [(torch.ones(1, 2), torch.ones(1))]
assert float(convert_checkpoint(unseen_pair, [0.75])[0][0].sum()) == 0.5, "one layer, one factor"
assert float(convert_checkpoint(unseen_pair, [0.75])[0][1]) == 1.0, "the bias changed"
### END HIDDEN TESTS

# %% [markdown] exercise="second_moment"
# ## 4. Keep the square instead
#
# Inverted dropout keeps the mean of an activation, not the mean of its square. Suppose that you wanted the opposite: find
# the constant `c` for which `c * m * x` has the second moment `x**2`, where `m` is 1 with probability `1 - p` and 0
# otherwise. What does this do to the mean?
#
# Write `second_moment(p)`. It returns the pair `(c, factor)`: by `factor` the mean of `x` is multiplied. At
# `p = 1` there is no such constant: raise a `ValueError`.
#
# <details><summary>Hint</summary>
#
# A mask entry is 0 or 1, so its square is itself. That makes both expectations short.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch03-second_moment", "locked": false, "schema_version": 3, "solution": true, "task": false}
def second_moment(p):
    """Returns (c, factor on the mean); raises ValueError at p = 1."""
    ### BEGIN SOLUTION
    if p >= 1:
        raise ValueError(f"p must be below 1, got {p}")
    root = (1 - p) ** 0.5
    return 1 / root, root
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch03-second_moment-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch03.second_moment", second_moment)

# %% nbgrader={"grade": true, "grade_id": "ch03-second_moment-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_moments = inputs("ch03.second_moment")
check("ch03.second_moment", second_moment, generator=unseen_moments)
unseen_entries = torch.empty(100_000).bernoulli_(0.6, generator=unseen_moments).double()
unseen_c, unseen_factor = second_moment(0.4)
assert abs(float((unseen_c * unseen_entries).square().mean()) - 1) < 0.02, "sampled second moment"
assert abs(float((unseen_c * unseen_entries).mean()) - float(unseen_factor)) < 0.02, "sampled mean"
### END HIDDEN TESTS
