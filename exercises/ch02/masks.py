# %% [markdown]
# # Exercises 02: masks
#
# Four exercises on what a mask is, who shares a coin, and what one number in a paper means. Write your answer into the
# cell that begins with `# answer:`, run it, then run the cell below it: `check` answers with one line when all is well,
# and with a hint when it is not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="dropout_mask"
# ## 1. One coin for every element
#
# Start with the shape. `x` has the shape `shape`; its first axis counts the examples of a batch. A mask multiplies `x`,
# so it must broadcast against it: an axis along which a coin is shared has length 1. Write `mask_shape(shape, kind)` for
# four kinds:
#
# | kind | one coin decides about | works on |
# | --- | --- | --- |
# | `"element"` | one number | any shape |
# | `"example"` | one whole example | any shape |
# | `"batch"` | the same number in all examples of the batch | any shape |
# | `"channel"` | one channel of one example, over all positions | `(N, C, ...)` |
#
# <details><summary>Hint</summary>
#
# Count the coins first. For a batch of 8 images with 3 channels of 5 times 5 cells there are 600, 8, 75 and 24 of them.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch02-mask_shape", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mask_shape(shape, kind):
    """Returns the shape of the mask, as a tuple as long as `shape`."""
    ### BEGIN SOLUTION
    examples, *features = shape
    shared = [1 for _ in features]
    if kind == "element":
        return tuple(shape)
    if kind == "example":
        return (examples, *shared)
    if kind == "batch":
        return (1, *features)
    return (examples, features[0], *shared[1:])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch02-mask_shape-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch02.mask_shape", mask_shape)

# %% nbgrader={"grade": true, "grade_id": "ch02-mask_shape-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_shapes = inputs("ch02.mask_shape")
check("ch02.mask_shape", mask_shape, generator=unseen_shapes)
assert tuple(mask_shape((5, 4, 3, 2, 1), "channel")) == (5, 4, 1, 1, 1), "three spatial axes share one coin"
### END HIDDEN TESTS

# %% [markdown]
# Now draw it. `dropout_mask(x, p, generator=None)` returns a mask for the elements of `x`:
#
# * 1 with probability `1 - p` and 0 with probability `p`, every entry on its own;
# * with the shape, dtype and device of `x`; all ones at `p = 0`, all zeros at `p = 1`;
# * all randomness comes from `generator` if there is one, and from torch's own state otherwise.
#
# It must also be exact for `x` in bfloat16, and for the rare uniform number that is exactly 0.
#
# <details><summary>Hint</summary>
#
# `bernoulli_` fills a tensor with coins and takes the probability of a 1, and a generator. `x.new_empty(x.shape)` gives
# a tensor like `x` to fill.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch02-dropout_mask", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dropout_mask(x, p, generator=None):
    """Returns a mask of zeros and ones for the elements of `x`; `p` is the probability of a zero."""
    ### BEGIN SOLUTION
    coins = x.new_empty(x.shape)
    return coins.bernoulli_(1 - p, generator=generator)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch02-dropout_mask-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch02.dropout_mask", dropout_mask)

# %% nbgrader={"grade": true, "grade_id": "ch02-dropout_mask-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_coins = inputs("ch02.dropout_mask")
check("ch02.dropout_mask", dropout_mask, generator=unseen_coins)
unseen_rate = 0.05 + 0.4 * float(torch.rand((), generator=unseen_coins))
unseen_mask = dropout_mask(torch.zeros(400, 50, 5), unseen_rate, generator=unseen_coins)
unseen_error = (unseen_rate * (1 - unseen_rate) / unseen_mask.numel()) ** 0.5
assert abs(float(unseen_mask.mean()) - (1 - unseen_rate)) < 6 * unseen_error, "the kept fraction is off"
### END HIDDEN TESTS

# %% [markdown] exercise="masked_sum"
# ## 2. What a masked sum does on average
#
# Let `S` be the sum of `m_j * x_j` with independent mask entries, nothing scaled. Compute its mean and its standard
# deviation twice:
#
# * `by_enumeration(x, p)` goes through all `2**n` masks, each with its own probability;
# * `by_formula(x, p)` needs no masks at all, so it also works for a thousand units.
#
# Both return a pair `(mean, deviation)` of numbers.
#
# <details><summary>Hint</summary>
#
# `itertools.product((0, 1), repeat=n)` lists the masks. A mask that keeps `a` of `n` units has the probability
# `(1 - p)**a * p**(n - a)`. For the formula: means add always, variances add for independent terms.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch02-masked_sum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def by_enumeration(x, p):
    """Returns (mean, standard deviation) of the masked sum of the 1-d tensor `x`, mask by mask."""
    ### BEGIN SOLUTION
    from itertools import product

    masks = torch.tensor(list(product((0.0, 1.0), repeat=len(x))), dtype=torch.float64)
    kept = masks.sum(1)
    chance = (1 - p) ** kept * p ** (len(x) - kept)
    sums = masks @ x.double()
    mean = (chance * sums).sum()
    spread = (chance * (sums - mean) ** 2).sum().sqrt()
    return float(mean), float(spread)
    ### END SOLUTION


def by_formula(x, p):
    """Returns (mean, standard deviation) of the masked sum of the 1-d tensor `x`, without any mask."""
    ### BEGIN SOLUTION
    x = x.double()
    return float((1 - p) * x.sum()), float((p * (1 - p) * (x * x).sum()).sqrt())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch02-masked_sum-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch02.masked_sum", {"enumeration": by_enumeration, "formula": by_formula})

# %% nbgrader={"grade": true, "grade_id": "ch02-masked_sum-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_sums = inputs("ch02.masked_sum")
check("ch02.masked_sum", {"enumeration": by_enumeration, "formula": by_formula}, generator=unseen_sums)
unseen_x = torch.randn(7, generator=unseen_sums)
for one, other in zip(by_enumeration(unseen_x, 0.35), by_formula(unseen_x, 0.35)):
    assert abs(float(one) - float(other)) < 1e-4, "enumeration and formula disagree"
### END HIDDEN TESTS

# %% [markdown] exercise="keep_or_drop"
# ## 3. Keep or drop?
#
# You port a model from a paper. It masks with `box(x, number)`, and nobody wrote down whether `number` is the
# probability of keeping or of dropping. Some such boxes also scale what they keep, others do not.
#
# Write `keep_or_drop(box)`. It may call the box as often as it likes, with any tensor and any number from 0 to 1, and
# returns `"keep"` or `"drop"`. Your function will meet boxes of every kind, and it must not be right by luck.
#
# <details><summary>Hint</summary>
#
# What does a box do to a thousand ones if its number is 0.2? Look at the zeros, not at the mean: scaling hides in the
# mean.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch02-keep_or_drop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def keep_or_drop(box):
    """Returns "keep" or "drop": the meaning of the number in `box(x, number)`."""
    ### BEGIN SOLUTION
    outcome = box(torch.ones(2000), 0.2)
    survivors = (outcome != 0).double().mean()
    return "keep" if survivors < 0.5 else "drop"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch02-keep_or_drop-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch02.keep_or_drop", keep_or_drop)

# %% nbgrader={"grade": true, "grade_id": "ch02-keep_or_drop-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_boxes = inputs("ch02.keep_or_drop")
check("ch02.keep_or_drop", keep_or_drop, generator=unseen_boxes)
### END HIDDEN TESTS

# %% [markdown] exercise="exact_mask"
# ## 4. Exactly so many
#
# Independent coins keep a fraction `k` on average. Suppose that exactly `kept` of `n` units must stay every time. Write
# `exact_mask(n, kept, generator=None)`: a mask of shape `(n,)` with exactly `kept` ones, every choice equally likely.
#
# The entries are then no longer independent. Find the covariance of two different entries and write it as
# `exact_covariance(n, kept)`, for `n` of at least 2.
#
# <details><summary>Hint</summary>
#
# `torch.randperm(n, generator=generator)` shuffles. For the covariance: the sum of all entries is `kept`, always, so its
# variance is 0. Write that variance as a sum of variances and covariances.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch02-exact_mask", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exact_mask(n, kept, generator=None):
    """Returns a mask of shape (n,) with exactly `kept` ones."""
    ### BEGIN SOLUTION
    ones_first = torch.arange(n) < kept
    return ones_first.float()[torch.randperm(n, generator=generator)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch02-exact_mask-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch02.exact_mask", exact_mask)

# %% nbgrader={"grade": true, "grade_id": "ch02-exact_mask-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_choices = inputs("ch02.exact_mask")
check("ch02.exact_mask", exact_mask, generator=unseen_choices)
### END HIDDEN TESTS


# %% nbgrader={"grade": false, "grade_id": "ch02-exact_covariance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exact_covariance(n, kept):
    """Returns the covariance of two different entries of the exact mask, as a number."""
    ### BEGIN SOLUTION
    share = kept / n
    return -share * (1 - share) / (n - 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch02-exact_covariance-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch02.exact_covariance", exact_covariance)

# %% nbgrader={"grade": true, "grade_id": "ch02-exact_covariance-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_pairs = inputs("ch02.exact_covariance")
check("ch02.exact_covariance", exact_covariance, generator=unseen_pairs)
unseen_tally = torch.stack([exact_mask(5, 2, generator=unseen_pairs).double() for _ in range(4000)])
unseen_measured = float(torch.cov(unseen_tally.T)[0, 1])
assert abs(unseen_measured - float(exact_covariance(5, 2))) < 0.025, "the covariance is not the one of your own masks"
### END HIDDEN TESTS
