# %% [markdown]
# # Exercises 10: placement
#
# Four exercises on where dropout goes: find it where it must not be, build a network with a rate for each site, find out
# which activations may change places with it, and judge a site by an experiment whose outcome you said beforehand. Write
# your answer into the cell that begins with `# answer:`, run it, then run the cell below it: `check` answers with one line
# when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping**.

# %%
import torch
from companion.assignments import check
from torch import nn

# %% [markdown] exercise="misplaced"
# ## 1. Misplaced dropout
#
# A network is written down as a list of layers in order: `"linear"`, `"conv"`, `"relu"`, `"pool"`, `"batchnorm"`, `"add"`
# (the shortcut comes back), `"softmax"`, `"attend"` (the attention weights meet the values) and `"dropout"`. Write
# `misplaced(layers)`: return the list of positions, counted from 0, of every dropout that breaks one of four rules.
#
# 1. Not on the logits: some `"linear"`, `"conv"` or `"attend"` must come later.
# 2. Not on the sum: it must not stand directly behind `"add"`.
# 3. Not on attention scores: it must not stand directly before `"softmax"`.
# 4. Not before batch normalization: no `"batchnorm"` may come anywhere later.
#
# The next cell shows four networks. Find the misplaced dropouts by eye first.
#
# <details><summary>Hint</summary>
#
# Two of the rules ask for a direct neighbour, two for all that comes later: `layers[i + 1:]`.
#
# </details>

# %%
networks = {
    "a": ["linear", "relu", "dropout", "linear", "dropout"],
    "b": ["conv", "relu", "conv", "add", "dropout", "pool", "linear"],
    "c": ["linear", "dropout", "softmax", "dropout", "attend", "linear"],
    "d": ["conv", "dropout", "batchnorm", "relu", "dropout", "pool", "linear"],
}
for name, layers in networks.items():
    print(name, " ".join(layers))


# %% nbgrader={"grade": false, "grade_id": "ch10-misplaced", "locked": false, "schema_version": 3, "solution": true, "task": false}
def misplaced(layers):
    """Returns the positions of the dropouts in layers, a list of names, that break one of the four rules."""
    ### BEGIN SOLUTION
    wrong_places = []
    for i, name in enumerate(layers):
        later = layers[i + 1 :]
        on_logits = not {"linear", "conv", "attend"} & set(later)
        on_sum = i > 0 and layers[i - 1] == "add"
        if name == "dropout" and (on_logits or on_sum or later[:1] == ["softmax"] or "batchnorm" in later):
            wrong_places.append(i)
    return wrong_places
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch10-misplaced-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch10.misplaced", misplaced)

# %% nbgrader={"grade": true, "grade_id": "ch10-misplaced-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_networks = inputs("ch10.misplaced")
check("ch10.misplaced", misplaced, generator=unseen_networks)
### END HIDDEN TESTS

# %% [markdown] exercise="build_mlp"
# ## 2. A rate for every site
#
# Write `build_mlp(widths, rates)`: return a network of `nn.Linear` layers with the given widths, inputs first and outputs
# last, and ReLU between them. `rates` has one probability of dropping for the input and one for each hidden layer, so
# `len(rates) == len(widths) - 1`. The logits have none. You may use `nn.Dropout`.
#
# <details><summary>Hint</summary>
#
# `nn.Sequential(*modules)` with a list that you fill in a loop. Which rate stands in front of the i-th linear layer?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch10-build_mlp", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_mlp(widths, rates):
    """Returns an nn.Module; widths: inputs, hidden layers, outputs; rates: one for the input and each hidden layer."""
    ### BEGIN SOLUTION
    in_order = []
    for i, p in enumerate(rates):
        if i > 0:
            in_order.append(nn.ReLU())
        in_order += [nn.Dropout(p), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*in_order)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch10-build_mlp-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch10.build_mlp", build_mlp)

# %% nbgrader={"grade": true, "grade_id": "ch10-build_mlp-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_widths = inputs("ch10.build_mlp")
check("ch10.build_mlp", build_mlp, generator=unseen_widths)
### END HIDDEN TESTS

# %% [markdown] exercise="agrees"
# ## 3. Before or behind the activation?
#
# Write `agrees(f, p)` for an activation `f` that works element by element on tensors. Return two truths:
#
# * for a **dropped** unit: is the output the same whether it is dropped before `f` or behind it?
# * for a **kept** unit: is the output the same, whatever its value `h`? It is divided by `k = 1 - p` before `f`, or behind it.
#
# Testing many values of `h` is enough; nobody asks for a proof of your function.
#
# <details><summary>Hint</summary>
#
# A dropped unit is 0. For a kept one compare `f(h / k)` with `f(h) / k` on a grid of `h` that has negative and large values,
# in double precision, with a small tolerance.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch10-agrees", "locked": false, "schema_version": 3, "solution": true, "task": false}
def agrees(f, p):
    """Returns (dropped, kept): whether dropout before f and behind f give the same output."""
    ### BEGIN SOLUTION
    grid_of_h = torch.linspace(-20, 20, 401, dtype=torch.float64)
    k = 1 - p
    dropped = f(torch.zeros(1, dtype=torch.float64)).abs().item() < 1e-9
    kept = torch.allclose(f(grid_of_h / k), f(grid_of_h) / k, atol=1e-9)
    return dropped, kept
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch10-agrees-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch10.agrees", agrees)

# %% nbgrader={"grade": true, "grade_id": "ch10-agrees-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_activations = inputs("ch10.agrees")
check("ch10.agrees", agrees, generator=unseen_activations)
### END HIDDEN TESTS

# %% [markdown]
# Now prove it. Show in a few lines that for ReLU both are true at every `p` below 1, and name two activations for which the
# orders differ, for two different reasons. This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch10-agrees_proof", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# *Your proof goes here.*

# %% [markdown] exercise="judge"
# ## 4. A site on trial
#
# `train(site, seed)` trains one network and returns its test accuracy in percent, for `"none"` and for one other site. You
# have **40 trainings**. Write `judge(train, site, expected)`: `expected` is `"+"` or `"-"`, the sign of the gain that was
# predicted before. Return three things: the mean **paired** gain of the site over none from at least 8 seeds, its standard
# error, and a verdict: `"as expected"` or `"opposite"` if the mean is more than two standard errors away from zero,
# `"undecided"` otherwise. The lab only pretends to train, so that it answers at once.
#
# <details><summary>Hint</summary>
#
# Seed by seed: `train(site, seed) - train("none", seed)`. Then mean, deviation (with n − 1) over the root of n, and three
# cases.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch10-judge", "locked": false, "schema_version": 3, "solution": true, "task": false}
def judge(train, site, expected):
    """Returns (mean gain, standard error, "as expected" | "undecided" | "opposite")."""
    ### BEGIN SOLUTION
    gain_by_seed = torch.tensor([train(site, seed) - train("none", seed) for seed in range(12)], dtype=torch.float64)
    mean, error = gain_by_seed.mean().item(), gain_by_seed.std().item() / len(gain_by_seed) ** 0.5
    if abs(mean) <= 2 * error:
        return mean, error, "undecided"
    return mean, error, "as expected" if (mean > 0) == (expected == "+") else "opposite"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch10-judge-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch10.judge", judge)

# %% nbgrader={"grade": true, "grade_id": "ch10-judge-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_labs = inputs("ch10.judge")
check("ch10.judge", judge, generator=unseen_labs)
### END HIDDEN TESTS

# %% [markdown]
# The prediction has to be written down *before*. Choose a site of a network that you use and write at most four sentences,
# as you would hand them in before training: what is compared with what, what is held equal, which sign you expect, and
# which outcome would change your mind. This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch10-judge_plan", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Your plan goes here.*
