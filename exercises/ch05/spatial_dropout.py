# %% [markdown]
# # Exercises 05: spatial dropout
#
# Four exercises on coins that decide about whole channels, and on what the rest of a map still tells. Write your answer
# into the cell that begins with `# answer:`, run it, then run the cell below it: `check` answers with one line when all is
# well, and with a hint when it is not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="channel_mask_shape"
# ## 1. Four layouts
#
# Libraries disagree about where the channels stand. Write `channel_mask_shape(shape, layout)`: the shape of a mask that
# throws one coin for each channel of each example and broadcasts against `x`.
#
# | layout | axes of `x` |
# | --- | --- |
# | `"NCHW"` | example, channel, row, column |
# | `"NHWC"` | example, row, column, channel |
# | `"NCL"` | example, channel, step |
# | `"NLC"` | example, step, channel |
#
# <details><summary>Hint</summary>
#
# Two letters of each layout have a coin of their own. All other axes share it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch05-channel_mask_shape", "locked": false, "schema_version": 3, "solution": true, "task": false}
def channel_mask_shape(shape, layout):
    """Returns the shape of the mask, as a tuple as long as `shape`."""
    ### BEGIN SOLUTION
    has_its_own_coin = {"N", "C"}
    return tuple(length if letter in has_its_own_coin else 1 for letter, length in zip(layout, shape))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch05-channel_mask_shape-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch05.channel_mask_shape", channel_mask_shape)

# %% nbgrader={"grade": true, "grade_id": "ch05-channel_mask_shape-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_layouts = inputs("ch05.channel_mask_shape")
check("ch05.channel_mask_shape", channel_mask_shape, generator=unseen_layouts)
### END HIDDEN TESTS

# %% [markdown] exercise="channel_dropout"
# ## 2. Build it
#
# Write `channel_dropout(x, p, training=True, generator=None)` for `x` of the shape `(N, C, ...)` with one spatial axis or
# more:
#
# * each channel of each example is zeroed as a whole with probability `p`, on its own coin;
# * what survives is scaled so that the expected value is `x`;
# * with `training=False` the result is `x`; at `p = 1` it is zero, without a NaN;
# * shape, dtype and device are those of `x`, and all randomness comes from `generator` if there is one.
#
# <details><summary>Hint</summary>
#
# Draw `N * C` coins, and give them as many axes of length 1 as `x` has spatial axes.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch05-channel_dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
def channel_dropout(x, p, training=True, generator=None):
    """Returns x with whole channels dropped and the others scaled."""
    ### BEGIN SOLUTION
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    one_coin_a_channel = (*x.shape[:2], *(1 for _ in x.shape[2:]))
    coins = x.new_empty(one_coin_a_channel).bernoulli_(1 - p, generator=generator)
    return x * coins / (1 - p)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch05-channel_dropout-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch05.channel_dropout", channel_dropout)

# %% nbgrader={"grade": true, "grade_id": "ch05-channel_dropout-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_maps = inputs("ch05.channel_dropout")
check("ch05.channel_dropout", channel_dropout, generator=unseen_maps)
unseen_volume = channel_dropout(torch.ones(40, 30, 2, 3, 4), 0.25, generator=unseen_maps)
assert bool((unseen_volume == unseen_volume[:, :, :1, :1, :1]).all()), "volumes have three spatial axes"
### END HIDDEN TESTS

# %% [markdown] exercise="told"
# ## 3. What is told
#
# How much of a dropped cell do the cells that survive tell? Write `told(seen, unseen, kept, cell)`:
#
# * `seen` and `unseen` are feature maps of two sets of images, flattened: `Tensor[images, cells]`;
# * `kept` is a `Tensor[cells]` of zeros and ones, the mask, and `cell` the index of a dropped cell;
# * fit a linear function (with a constant) from the kept cells to the dropped one by least squares **on `seen`**;
# * return its R² **on `unseen`**: `1 - (mean squared error) / (variance of the cell)`, both over the images of `unseen`.
#
# `seen` has many more images than cells. Nothing here is random.
#
# <details><summary>Hint</summary>
#
# `torch.linalg.lstsq(a, b).solution` fits. A column of ones in `a` is the constant. Which cells may be in `a`?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch05-told", "locked": false, "schema_version": 3, "solution": true, "task": false}
def told(seen, unseen, kept, cell):
    """Returns the share of the variance of a dropped cell that the kept cells explain on unseen images."""

    ### BEGIN SOLUTION
    def survivors(maps):
        constant = torch.ones(len(maps), 1, dtype=maps.dtype)
        return torch.cat([maps[:, kept.bool()], constant], dim=1)

    weights = torch.linalg.lstsq(survivors(seen), seen[:, [cell]]).solution
    guess = (survivors(unseen) @ weights).squeeze(1)
    truth = unseen[:, cell]
    return float(1 - (truth - guess).square().mean() / truth.var(correction=0))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch05-told-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch05.told", told)

# %% nbgrader={"grade": true, "grade_id": "ch05-told-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_images = inputs("ch05.told")
check("ch05.told", told, generator=unseen_images)
### END HIDDEN TESTS

# %% [markdown] exercise="erases_examples"
# ## 4. The trap
#
# A batch of feature vectors has the shape `(N, F)`. Some layers take it for something else and erase whole examples. Write
# `erases_examples(layer)`: feed the layer a matrix of your choice in training mode, look at the rows, and return `True` if
# it drops **whole rows together**, and `False` otherwise. A layer that refuses a matrix with an error erases nothing. Leave
# the layer in the mode in which you got it.
#
# <details><summary>Hint</summary>
#
# One row of zeros proves nothing if rows are short: ordinary dropout makes them too. Choose the number of features so that
# luck is out of the question. And look at what happens to the rows that are not erased.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch05-erases_examples", "locked": false, "schema_version": 3, "solution": true, "task": false}
def erases_examples(layer):
    """Returns whether the layer drops whole rows of a matrix of examples."""
    ### BEGIN SOLUTION
    mode_before = layer.training
    layer.train()
    try:
        zeros = layer(torch.ones(200, 300)) == 0
    except (TypeError, ValueError, RuntimeError):
        return False
    finally:
        layer.train(mode_before)
    rows, columns = zeros.all(dim=1), zeros.all(dim=0)
    return bool(rows.any() and not columns.all() and not zeros[~rows].any())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch05-erases_examples-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch05.erases_examples", erases_examples)

# %% nbgrader={"grade": true, "grade_id": "ch05-erases_examples-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_layers = inputs("ch05.erases_examples")
check("ch05.erases_examples", erases_examples, generator=unseen_layers)
### END HIDDEN TESTS

# %% [markdown]
# Now explain it to a colleague who put `nn.Dropout1d` behind a linear layer: what does the layer take the two axes for, why
# does training still seem to work, and what should stand there instead? This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch05-erases_examples_why", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Your explanation goes here.*
