# %% [markdown]
# # Exercises 06: DropConnect
#
# Four exercises on coins for wires: how many patterns there are, a layer that throws them, an inference that needs none,
# and what one can and cannot see of them. Write your answer into the cell that begins with `# answer:`, run it, then run
# the cell below it: `check` answers with one line when all is well, and with a hint when it is not. Nothing is sent
# anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="count_masks"
# ## 1. How many patterns?
#
# A linear layer has `inputs` inputs and `outputs` outputs. Write `count_masks(inputs, outputs)`. It returns a pair of whole
# numbers: how many masks there are if the **inputs** are dropped (dropout), and how many if single **weights** are
# (DropConnect). The empty and the full mask count too. Both numbers must be exact, however large the layer is.
#
# <details><summary>Hint</summary>
#
# Every coin doubles the number of patterns. How many coins does each of the two throw?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch06-count_masks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_masks(inputs, outputs):
    """Returns (masks of the inputs, masks of the weights), two ints."""
    ### BEGIN SOLUTION
    coins_for_neurons, coins_for_wires = inputs, inputs * outputs
    return 2**coins_for_neurons, 2**coins_for_wires
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-count_masks-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch06.count_masks", count_masks)

# %% nbgrader={"grade": true, "grade_id": "ch06-count_masks-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_layers = inputs("ch06.count_masks")
check("ch06.count_masks", count_masks, generator=unseen_layers)
assert tuple(count_masks(5, 2)) == (32, 1024), "five inputs, two outputs"
### END HIDDEN TESTS

# %% [markdown] exercise="drop_connect"
# ## 2. Coins for the wires
#
# Write `drop_connect(x, weight, bias, p, training=True, generator=None)` from basic tensor operations. `x` has the shape
# `(N, I)`, `weight` `(O, I)` and `bias` `(O,)`.
#
# * In training every **weight** is dropped with probability `p`, for **each example** anew, and the masked product is
#   scaled so that its mean is `x @ weight.T`. The bias is neither dropped nor scaled.
# * With `training=False` the output is that of the plain linear layer.
# * At `p = 1` only the bias is left, and nothing is NaN.
# * All randomness comes from `generator` if there is one.
#
# <details><summary>Hint</summary>
#
# The mask has three axes, `(N, O, I)`. After that, each example has a matrix of its own: multiply by `x[:, None, :]` and
# sum over the last axis, or let `torch.einsum` do both.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch06-drop_connect", "locked": false, "schema_version": 3, "solution": true, "task": false}
def drop_connect(x, weight, bias, p, training=True, generator=None):
    """Returns the output of a linear layer, Tensor[N, O], whose weights are dropped for each example."""
    ### BEGIN SOLUTION
    if not training:
        return x @ weight.T + bias
    coins = torch.empty(len(x), *weight.shape, dtype=x.dtype, device=x.device).bernoulli_(1 - p, generator=generator)
    masked_product = ((coins * weight) @ x.unsqueeze(-1)).squeeze(-1)
    return (masked_product / (1 - p) if p < 1 else masked_product * 0) + bias
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-drop_connect-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch06.drop_connect", drop_connect)

# %% nbgrader={"grade": true, "grade_id": "ch06-drop_connect-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_coins = inputs("ch06.drop_connect")
check("ch06.drop_connect", drop_connect, generator=unseen_coins)
unseen_out = drop_connect(torch.ones(20_000, 3), torch.ones(2, 3), torch.zeros(2), 0.5, generator=unseen_coins).double()
assert float((unseen_out.mean(0) - 3).abs().max()) < 0.1, "the mean output is not that of the plain layer"
assert abs(float(unseen_out.T.cov()[0, 1])) < 0.15, "two outputs share their coins"
### END HIDDEN TESTS

# %% [markdown] exercise="moment_match_relu"
# ## 3. Two moments
#
# Write `moment_match_relu(v, weight, p)`: for each output of `u = (M * weight) @ v`, with a mask `M` of independent entries
# that are 1 with probability `1 - p`, guess the mean of `ReLU(u)` over all masks. Take `u` as normal with its exact mean and
# variance:
#
# $$\mathbb{E}\,\mathrm{ReLU}(u) = \mu\,\Phi(\mu/\sigma) + \sigma\,\varphi(\mu/\sigma).$$
#
# Nothing is divided by `k` here, as in the original paper. `v` has the shape `(I,)`, `weight` `(O, I)`; return a tensor of the
# shape `(O,)`. Where nothing varies (an input of zeros, or `p = 0`), the answer is the ReLU of the mean, not NaN.
#
# <details><summary>Hint</summary>
#
# A term `M * w * v` takes the value `w * v` with probability `k`, else 0. What are its mean and its variance? Variances of
# independent terms add up. `torch.special.ndtr` is the distribution function of a standard normal variable.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch06-moment_match_relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
def moment_match_relu(v, weight, p):
    """Returns guesses of the means of the ReLUs, Tensor[O], from Tensor[I] and Tensor[O, I]."""
    ### BEGIN SOLUTION
    mean_of_outputs = (1 - p) * (weight @ v)
    spread_of_outputs = (p * (1 - p) * (weight**2 @ v**2)).sqrt()
    ratio = mean_of_outputs / spread_of_outputs.clamp(min=1e-30)
    density = torch.exp(-(ratio**2) / 2) / (2 * torch.pi) ** 0.5
    return mean_of_outputs * torch.special.ndtr(ratio) + spread_of_outputs * density
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-moment_match_relu-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch06.moment_match_relu", moment_match_relu)

# %% nbgrader={"grade": true, "grade_id": "ch06-moment_match_relu-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_units = inputs("ch06.moment_match_relu")
check("ch06.moment_match_relu", moment_match_relu, generator=unseen_units)
unseen_matrix = torch.tensor([[1.0, 2.0, -1.0], [2.0, -1.0, 1.0]], dtype=torch.float64)
unseen_guess = moment_match_relu(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), unseen_matrix, 0.5)
assert abs(float(unseen_guess[0]) - 1.594) < 1e-3 and abs(float(unseen_guess[1]) - 1.781) < 1e-3, "the worked example"
### END HIDDEN TESTS

# %% [markdown] exercise="tell_apart"
# ## 4. Tell them apart
#
# Somebody shows you the outputs of a layer, many draws of them, and you are to say whether inputs or weights were dropped. No
# single output will tell. Write `tell_apart(u)`: `u` has the shape `(draws, 2)`, two outputs of the layer for each draw, and
# you return one number **for each draw**, shape `(draws,)`, whose mean over all masks is different under the two schemes.
# `check` goes through all masks of some small layers and compares the two means.
#
# <details><summary>Hint</summary>
#
# Two random variables with the same laws, one pair of which is independent and the other is not: which mean do you compute to
# find out?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch06-tell_apart", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tell_apart(u):
    """Returns one number a draw, Tensor[draws], from two outputs, Tensor[draws, 2]."""
    ### BEGIN SOLUTION
    product_of_both_outputs = u[:, 0] * u[:, 1]
    return product_of_both_outputs
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-tell_apart-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch06.tell_apart", tell_apart)

# %% nbgrader={"grade": true, "grade_id": "ch06-tell_apart-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_pairs = inputs("ch06.tell_apart")
check("ch06.tell_apart", tell_apart, generator=unseen_pairs)
### END HIDDEN TESTS

# %% [markdown]
# Now prove the other half: a single output of the layer has the same law under dropout of the inputs and under DropConnect, for
# every rate. Say where your proof breaks for two outputs, and why no sum of a function of the first output and a function of
# the second one can tell the schemes apart. This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch06-tell_apart_proof", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# *Your proof goes here.*
