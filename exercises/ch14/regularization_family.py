# %% [markdown]
# # Exercises 14: the rest of the family
#
# Four exercises on penalties and decays: where they stand in a step, whom they concern, and where a weight comes to rest.
# Write your answer into the cell that begins with `# answer:`, run it, then run the cell below it: `check` answers with one
# line when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can try as often as you like.

# %%
import torch
from companion.assignments import check
from torch import nn

# %% [markdown] exercise="one_step"
# ## 1. One step
#
# A weight tensor `w`, the gradient `g` of the loss *without* any penalty, the learning rate `lr` and a `strength`. Write
# `one_step(w, g, lr, strength, how)`: the weights after one step of plain gradient descent, for
#
# | `how` | what is done |
# | --- | --- |
# | `"l2"` | the penalty `strength / 2 * (w ** 2).sum()` stands in the loss |
# | `"decay"` | decoupled decay: a share `lr * strength` of the weights is taken off, beside the step |
# | `"l1"` | the proximal step for the penalty `strength * w.abs().sum()`, behind the step on the loss |
#
# `w` itself is not changed.
#
# <details><summary>Hint</summary>
#
# What is the gradient of half a square? For `"l1"`, first take the step that the loss asks for; then bring every weight closer
# to zero by `lr * strength`, and let none go past it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch14-one_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def one_step(w, g, lr, strength, how):
    """Returns the weights after one step, a tensor like `w`."""
    ### BEGIN SOLUTION
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    moved = w - lr * g
    return moved.sign() * (moved.abs() - lr * strength).clamp(min=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch14-one_step-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch14.one_step", one_step)

# %% nbgrader={"grade": true, "grade_id": "ch14-one_step-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_steps = inputs("ch14.one_step")
check("ch14.one_step", one_step, generator=unseen_steps)
unseen_w, unseen_g = torch.tensor([2.0, -2.0, 0.004]), torch.tensor([0.5, 0.5, 0.0])
unseen_moved = one_step(unseen_w, unseen_g, 0.1, 0.1, "l1").double()
assert torch.allclose(unseen_moved, torch.tensor([1.94, -2.04, 0.0], dtype=torch.float64)), "three weights"
### END HIDDEN TESTS

# %% [markdown] exercise="adamw_step"
# ## 2. AdamW
#
# Write `adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay)`: one step of AdamW. `g` is the gradient of the loss, `m` and
# `v` are the moving averages so far (zeros before the first step), and `t` counts the steps from 1. Return the new weights,
# the new `m` and the new `v`, three new tensors:
#
# * `m` and `v` move by the shares `1 - beta1` and `1 - beta2` towards the gradient and its square;
# * both are corrected for their start at zero: divided by `1 - beta1 ** t` and `1 - beta2 ** t`;
# * the step is `lr` times the corrected `m` over the root of the corrected `v`, plus `eps`;
# * beside the step, the decay takes the share `lr * decay` off the weights that it was given.
#
# `check` takes ten steps with torch's optimizer and compares.
#
# <details><summary>Hint</summary>
#
# The gradient must not know of the decay, or Adam divides the decay, too. The corrected averages are used and forgotten; what
# you return are the uncorrected ones.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch14-adamw_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    """Returns the weights after step `t`, and both moving averages."""
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    mean, square = m / (1 - beta1**t), v / (1 - beta2**t)
    return (1 - lr * decay) * w - lr * mean / (square.sqrt() + eps), m, v
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch14-adamw_step-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch14.adamw_step", adamw_step)

# %% nbgrader={"grade": true, "grade_id": "ch14-adamw_step-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_gradients = inputs("ch14.adamw_step")
check("ch14.adamw_step", adamw_step, generator=unseen_gradients)
unseen_first = adamw_step(
    torch.tensor([2.0]), torch.tensor([0.5]), torch.zeros(1), torch.zeros(1), 1, 0.1, 0.9, 0.99, 1e-9, 0.5
)
assert abs(float(unseen_first[0]) - 1.8) < 1e-4, "one weight, one step"
### END HIDDEN TESTS

# %% [markdown] exercise="parameter_groups"
# ## 3. Who decays?
#
# Write `parameter_groups(model, decay)`: a list of two groups for an optimizer of torch, each a dict with the keys `"params"`
# (a list) and `"weight_decay"`. The first holds what decays with `decay`, the second what does not, with 0:
#
# * matrices, kernels and embeddings decay, whatever layer they belong to;
# * biases do not, and nothing does that belongs to a normalisation layer (`nn.LayerNorm`, `nn.GroupNorm`, `nn.RMSNorm`, or any
#   layer with "Norm" in the name of its class);
# * every trainable parameter stands in exactly one group, once, even if two layers share it;
# * frozen parameters (`requires_grad` is False) stand in none.
#
# <details><summary>Hint</summary>
#
# `model.modules()` goes through all layers; `layer.named_parameters(recurse=False)` gives what belongs to one of them
# directly. Not every bias is called `bias`: look at `nn.GRU`. Not every scale has one axis: look at `nn.LayerNorm((4, 3))`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch14-parameter_groups", "locked": false, "schema_version": 3, "solution": true, "task": false}
def parameter_groups(model, decay):
    """Returns two groups: what decays, and what does not."""
    ### BEGIN SOLUTION
    seen, yes, no = set(), [], []
    for layer in model.modules():
        norm = "Norm" in type(layer).__name__
        for _, parameter in layer.named_parameters(recurse=False):
            if id(parameter) in seen or not parameter.requires_grad:
                continue
            seen.add(id(parameter))
            (no if norm or parameter.ndim < 2 else yes).append(parameter)
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch14-parameter_groups-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch14.parameter_groups", parameter_groups)

# %% nbgrader={"grade": true, "grade_id": "ch14-parameter_groups-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_models = inputs("ch14.parameter_groups")
check("ch14.parameter_groups", parameter_groups, generator=unseen_models)
unseen_net = nn.Sequential(nn.Conv1d(2, 3, 5), nn.BatchNorm1d(3), nn.Bilinear(3, 3, 2))
assert [len(list(group["params"])) for group in parameter_groups(unseen_net, 0.1)] == [2, 4], (
    "a kernel and a bilinear form"
)
### END HIDDEN TESTS

# %% [markdown] exercise="same_rest"
# ## 4. The same rest
#
# Gradient descent with momentum (`v = momentum * v + gradient`, then `w = w - lr * v`) settles on a loss with L2 of strength
# `strength` in the gradient. Somebody moves the training to a library whose decay is decoupled
# (`w = (1 - lr * decay) * w - lr * v`).
#
# Write `same_rest(strength, momentum)`: the `decay` with which the weights come to rest at the same place.
#
# <details><summary>Hint</summary>
#
# At rest nothing moves. With L2 this means that the gradient with its penalty is zero. With decoupled decay the velocity is
# not zero at rest: `v = momentum * v + g` gives it, and then `w = (1 - lr * decay) * w - lr * v` must give `w` back.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch14-same_rest", "locked": false, "schema_version": 3, "solution": true, "task": false}
def same_rest(strength, momentum):
    """Returns the decoupled decay that settles where L2 of this strength does."""
    ### BEGIN SOLUTION
    return strength / (1 - momentum)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch14-same_rest-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch14.same_rest", same_rest)

# %% nbgrader={"grade": true, "grade_id": "ch14-same_rest-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_rests = inputs("ch14.same_rest")
check("ch14.same_rest", same_rest, generator=unseen_rests)
assert abs(float(same_rest(0.02, 0.75)) - 0.08) < 1e-4, "a slow and a fast optimizer"
### END HIDDEN TESTS
