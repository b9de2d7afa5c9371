# %% [markdown]
# # Exercises 07: stochastic depth
#
# Four exercises on whole branches that are dropped: how many are left, what a coin decides about, and what is really
# computed. Write your answer into the cell that begins with `# answer:`, run it, then run the cell below it: `check`
# answers with one line when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can try as
# often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="expected_blocks"
# ## 1. How deep?
#
# A network has `blocks` residual blocks, numbered l = 1, ..., L. Each is dropped with a probability of its own, by one of
# three rules, all of them called linear:
#
# | `rule` | rate of block l |
# | --- | --- |
# | `"paper"` | `p_last * l / L` |
# | `"both ends"` | `p_last * (l - 1) / (L - 1)` |
# | `"from zero"` | `p_last * (l - 1) / L` |
#
# Write `expected_blocks(blocks, p_last, rule)`: the expected number of blocks that survive, for two blocks or more.
#
# <details><summary>Hint</summary>
#
# A block that survives counts 1, a dropped one 0. The mean of a sum is the sum of the means, whatever the coins do
# together. A loop over the blocks will do; there is a formula, too.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch07-expected_blocks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def expected_blocks(blocks, p_last, rule):
    """Returns the expected number of surviving blocks, as a number."""
    ### BEGIN SOLUTION
    total = 0.0
    for l in range(1, blocks + 1):
        share = {"paper": l / blocks, "both ends": (l - 1) / (blocks - 1), "from zero": (l - 1) / blocks}
        total += 1 - p_last * share[rule]
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch07-expected_blocks-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch07.expected_blocks", expected_blocks)

# %% nbgrader={"grade": true, "grade_id": "ch07-expected_blocks-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_schedules = inputs("ch07.expected_blocks")
check("ch07.expected_blocks", expected_blocks, generator=unseen_schedules)
assert abs(float(expected_blocks(101, 0.5, "paper")) - 75.5) < 1e-4, "a stack of a hundred and one blocks"
### END HIDDEN TESTS

# %% [markdown] exercise="drop_path"
# ## 2. Drop a path
#
# In a residual block `x + drop_path(f(x), p)`, the branch has been computed already, and `drop_path` decides what of it
# counts. Write `drop_path(y, p, training=True, mode="row", generator=None)` for the branch `y` of shape `(N, ...)` from
# basic tensor operations:
#
# * `mode="row"`: each of the `N` samples throws a coin of its own; `mode="batch"`: one coin for all of them;
# * what survives is scaled so that the mean output is `y`;
# * with `training=False` the output is `y`; at `p = 1` it is zero, without NaN;
# * `y` may have two, three or four axes; dtype and gradient are kept, `y` itself is not touched;
# * all randomness comes from `generator` if there is one.
#
# <details><summary>Hint</summary>
#
# How many coins are thrown, and what shape lets them broadcast against `y`? Chapter 02 had the same question.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch07-drop_path", "locked": false, "schema_version": 3, "solution": true, "task": false}
def drop_path(y, p, training=True, mode="row", generator=None):
    """Returns the branch `y` with whole samples (or the whole batch) dropped at rate `p`; `y` itself at evaluation."""
    ### BEGIN SOLUTION
    if not training:
        return y
    if p == 1:
        return y * 0
    coins = len(y) if mode == "row" else 1
    survivors = torch.empty(coins, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors.view(coins, *[1] * (y.ndim - 1)) / (1 - p)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch07-drop_path-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch07.drop_path", drop_path)

# %% nbgrader={"grade": true, "grade_id": "ch07-drop_path-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_paths = inputs("ch07.drop_path")
check("ch07.drop_path", drop_path, generator=unseen_paths)
unseen_p = 0.1 + 0.5 * float(torch.rand((), generator=unseen_paths))
unseen_out = drop_path(torch.full((40_000, 2), 3.0), unseen_p, generator=unseen_paths).double()
unseen_error = 3 * (unseen_p / (1 - unseen_p) / len(unseen_out)) ** 0.5
assert abs(float(unseen_out.mean()) - 3) < 6 * unseen_error, "the mean output is not the branch"
### END HIDDEN TESTS

# %% [markdown] exercise="skipping_block"
# ## 3. A block that really skips
#
# A mask on a computed branch saves no time. Write `skipping_block(x, f, p, training=True, generator=None)`, a residual
# block with a coin for each sample that calls `f` with the survivors only:
#
# * in training each sample of `x`, shape `(N, ...)`, gets `x + f(x) / (1 - p)` or stays `x`, by a coin of its own;
# * `f` is called once, with the surviving rows and no others, and not at all when nobody survives;
# * with `training=False` the output is `x + f(x)`;
# * `x` is not changed, gradients flow, and all randomness comes from `generator` if there is one.
#
# `check` counts the rows that `f` sees. You may take for granted that `f` works on each row alone.
#
# <details><summary>Hint</summary>
#
# Throw the coins first. `coins.nonzero().squeeze(1)` gives the numbers of the survivors; `x[numbers]` takes these rows out,
# and `x.index_add(0, numbers, rows)` returns a new tensor in which `rows` have been added to them.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch07-skipping_block", "locked": false, "schema_version": 3, "solution": true, "task": false}
def skipping_block(x, f, p, training=True, generator=None):
    """Returns the output of a residual block whose branch `f` is computed for the surviving samples only."""
    ### BEGIN SOLUTION
    if not training:
        return x + f(x)
    coins = torch.empty(len(x)).bernoulli_(1 - p, generator=generator)
    numbers = coins.nonzero().squeeze(1)
    if len(numbers) == 0:
        return x
    return x.index_add(0, numbers, f(x[numbers]) / (1 - p))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch07-skipping_block-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch07.skipping_block", skipping_block)

# %% nbgrader={"grade": true, "grade_id": "ch07-skipping_block-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_steps = inputs("ch07.skipping_block")
check("ch07.skipping_block", skipping_block, generator=unseen_steps)
unseen_rows = []
unseen_y = skipping_block(
    torch.ones(500, 1), lambda rows: unseen_rows.append(len(rows)) or rows, 0.75, generator=unseen_steps
)
assert sum(unseen_rows) == int((unseen_y > 1).sum()) < 250, "at this rate most rows should never reach f"
assert float(unseen_y.max()) == 5.0, "survivors get four times their branch"
### END HIDDEN TESTS

# %% [markdown] exercise="last_rate"
# ## 4. Save a fifth
#
# In a real network blocks differ in cost: early ones work on large maps, late ones on many channels. `costs` lists how many
# operations the branch of each block takes, first block first. Blocks are dropped for the whole batch by the paper's rule,
# `p_last * l / L` for l = 1, ..., L.
#
# Write `last_rate(costs, saving)`: the value of `p_last` with which a share `saving` of all operations is saved on average.
# If no `p_last` up to 1 saves that much, raise a `ValueError`.
#
# <details><summary>Hint</summary>
#
# Write the expected number of operations that are saved, as a sum over the blocks. `p_last` stands in front of it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch07-last_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def last_rate(costs, saving):
    """Returns the rate of the last block; raises ValueError where it would have to be above 1."""
    ### BEGIN SOLUTION
    saved_at_one = sum(cost * l / len(costs) for l, cost in enumerate(costs, start=1))
    p_last = saving * sum(costs) / saved_at_one
    if p_last > 1:
        raise ValueError(f"saving must be at most {saved_at_one / sum(costs):.3f}, got {saving}")
    return p_last
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch07-last_rate-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch07.last_rate", last_rate)

# %% nbgrader={"grade": true, "grade_id": "ch07-last_rate-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_costs = inputs("ch07.last_rate")
check("ch07.last_rate", last_rate, generator=unseen_costs)
assert abs(float(last_rate([3.0, 1.0], 0.25)) - 0.4) < 1e-4, "two blocks, the first three times as costly"
### END HIDDEN TESTS
