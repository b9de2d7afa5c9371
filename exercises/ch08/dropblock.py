# %% [markdown]
# # Exercises 08: DropBlock
#
# Four exercises on blocks: how often a seed must fire, a rate that grows, the layer itself, and a rate that is kept
# exactly. Write your answer into the cell that begins with `# answer:`, run it, then run the cell below it: `check`
# answers with one line when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can try as
# often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** a cell. (Papers often give `keep_prob`, which is
# `1 - p`.)

# %%
import torch
import torch.nn.functional as F
from companion.assignments import check

# %% [markdown] exercise="seed_gamma"
# ## 1. From cells to seeds
#
# Write `seed_gamma(height, width, p, block_size)`: the probability that a seed fires, by the formula of the paper, for
# maps of any height and width and blocks that lie on the map completely. The number of cells that the seeds cost on
# average, overlaps counted twice, must be `p` times the number of cells of the map.
#
# A block larger than the map is cut to the map's length along that axis.
#
# <details><summary>Hint</summary>
#
# Count: how many places are there for a block, along one axis, along both? How many cells does one seed cost?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch08-seed_gamma", "locked": false, "schema_version": 3, "solution": true, "task": false}
def seed_gamma(height, width, p, block_size):
    """Returns the probability that a seed fires."""
    ### BEGIN SOLUTION
    gamma = p
    for length in (height, width):
        size = min(block_size, length)
        gamma *= length / (size * (length - size + 1))
    return gamma
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-seed_gamma-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch08.seed_gamma", seed_gamma)

# %% nbgrader={"grade": true, "grade_id": "ch08-seed_gamma-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_maps = inputs("ch08.seed_gamma")
check("ch08.seed_gamma", seed_gamma, generator=unseen_maps)
unseen_p = 0.05 + 0.4 * float(torch.rand((), generator=unseen_maps))
assert abs(float(seed_gamma(9, 4, unseen_p, 9)) - unseen_p) < 1e-9, "a block as large as the map has one place"
assert abs(float(seed_gamma(10, 10, unseen_p, 1)) - unseen_p) < 1e-9, "blocks of one cell: every cell has its own coin"
### END HIDDEN TESTS

# %% [markdown] exercise="growing_rate"
# ## 2. A rate that grows
#
# Write `growing_rate(step, steps, p)`: the drop rate at a step of the training. It is 0 at step 0, grows linearly, is
# `p` at step `steps`, and stays `p` afterwards, because trainings are sometimes continued.
#
# <details><summary>Hint</summary>
#
# What share of the way has been gone? It is never more than all of it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch08-growing_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def growing_rate(step, steps, p):
    """Returns the drop rate at `step`."""
    ### BEGIN SOLUTION
    return p * min(step / steps, 1.0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-growing_rate-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch08.growing_rate", growing_rate)

# %% nbgrader={"grade": true, "grade_id": "ch08-growing_rate-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_steps = inputs("ch08.growing_rate")
check("ch08.growing_rate", growing_rate, generator=unseen_steps)
unseen_rates = [float(growing_rate(step, 7, 0.35)) for step in (0, 7, 8, 7000)]
assert max(abs(rate - want) for rate, want in zip(unseen_rates, (0, 0.35, 0.35, 0.35))) < 1e-6, "the ends are off"
### END HIDDEN TESTS

# %% [markdown] exercise="drop_block2d"
# ## 3. DropBlock
#
# Write `drop_block2d(x, p, block_size, training=True, generator=None)` for `x` of shape `(N, C, H, W)`:
#
# * in training, whole blocks of `block_size` times `block_size` cells are zeroed, in every channel of every example on
#   its own; none hangs over the border; odd and even sizes work, and a block larger than the map is cut to the map;
# * seeds fire with the probability of exercise 1 (at most 1);
# * what is kept is multiplied by the number of all cells over the number of kept cells, both counted over the whole
#   `x`; where nothing is kept the output is zero;
# * with `training=False` the output is `x`, unchanged;
# * shape and dtype of `x` are kept, `x` itself is not touched, and all randomness comes from `generator` if there is
#   one.
#
# <details><summary>Hint</summary>
#
# Draw the seeds for the places only, `(N, C, H - k + 1, W - k + 1)`. Pad them with zeros by `k - 1` on all sides, and
# let `F.max_pool2d` with a window of `k` and `stride=1` spread them. No size needs a special case then.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch08-drop_block2d", "locked": false, "schema_version": 3, "solution": true, "task": false}
def drop_block2d(x, p, block_size, training=True, generator=None):
    """Returns `x` with whole blocks of cells zeroed and the others scaled; `x` itself at evaluation."""
    ### BEGIN SOLUTION
    if not training:
        return x
    n, c, height, width = x.shape
    high, wide = min(block_size, height), min(block_size, width)
    gamma = min(1.0, p * height * width / (high * wide * (height - high + 1) * (width - wide + 1)))
    places = torch.empty(n, c, height - high + 1, width - wide + 1)
    seeds = places.bernoulli_(gamma, generator=generator)
    padded = F.pad(seeds, [wide - 1, wide - 1, high - 1, high - 1])
    kept = 1 - F.max_pool2d(padded, (high, wide), stride=1)
    scale = kept.numel() / max(1, int(kept.sum(dtype=torch.float64)))
    return x * kept.to(x) * scale
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-drop_block2d-visible", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("ch08.drop_block2d", drop_block2d)

# %% nbgrader={"grade": true, "grade_id": "ch08-drop_block2d-hidden", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_blocks = inputs("ch08.drop_block2d")
check("ch08.drop_block2d", drop_block2d, generator=unseen_blocks)
unseen_y = drop_block2d(torch.full((40, 30, 11, 9), 2.0), 0.25, 4, generator=unseen_blocks).double()
assert abs(float(unseen_y.mean()) - 2) < 1e-4, "the mean of equal cells must stay what it was"
assert 0.17 < float((unseen_y == 0).double().mean()) < 0.25, "the share of dropped cells is off"
### END HIDDEN TESTS

# %% [markdown] exercise="exact_gamma"
# ## 4. No more, no less
#
# The formula of exercise 1 drops less than `p`, because it counts overlapping blocks twice. Write
# `exact_gamma(height, width, p, block_size)`: the probability at which a seed must fire so that the **mean** over all
# cells of the probability of being dropped is `p`, to within a millionth. Blocks lie on the map completely and are not
# larger than it; `p` is at least 0 and below 1.
#
# <details><summary>Hint</summary>
#
# First write down, for each cell, how many places would cover it; along one axis that is a small count, and the two axes
# multiply. Then the mean rate is a function of gamma alone, and it only ever rises. Halve an interval until it is short
# enough.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch08-exact_gamma", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exact_gamma(height, width, p, block_size):
    """Returns the probability that a seed fires, for which the mean rate of the cells is `p`."""
    ### BEGIN SOLUTION
    places = torch.ones(1, 1, height - block_size + 1, width - block_size + 1, dtype=torch.float64)
    padded = F.pad(places, [block_size - 1] * 4)
    over = F.avg_pool2d(padded, block_size, stride=1) * block_size**2
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if float((1 - (1 - middle) ** over).mean()) < p:
            low = middle
        else:
            high = middle
    return high
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-exact_gamma-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch08.exact_gamma", exact_gamma)

# %% nbgrader={"grade": true, "grade_id": "ch08-exact_gamma-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_rate_maps = inputs("ch08.exact_gamma")
check("ch08.exact_gamma", exact_gamma, generator=unseen_rate_maps)
unseen_gamma = float(exact_gamma(3, 3, 0.2, 2))  # 4 corners under 1 seed, 4 edges under 2, the middle under 4
unseen_kept = 1 - unseen_gamma
assert abs((4 * unseen_kept + 4 * unseen_kept**2 + unseen_kept**4) / 9 - 0.8) < 1e-5, "the mean rate is not p"
### END HIDDEN TESTS
