# %% [markdown]
# # Exercises 01: co-adaptation
#
# Four exercises on partnerships between units: what noise does to them, how to measure them, what copies do, and an
# exception to the usual story. Write your answer into the cell that begins with `# answer:`, run it, then run the cell
# below it: `check` answers with one line when all is well, and with a hint when it is not. Nothing is sent anywhere, and
# you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check
from torch import nn

# %% [markdown] exercise="noise_variance"
# ## 1. The noise in a sum
#
# A unit computes `z = w[0] * h[0] + w[1] * h[1] + ...`. Inverted dropout acts on `h`: every `h[j]` becomes 0 with
# probability `p`, and `h[j] / k` otherwise. Write `noise_variance(w, h, p)`, the variance that this gives to `z`, as one
# number. At `p = 1` dropout returns zeros.
#
# <details><summary>Hint</summary>
#
# What is the variance of one mask entry that is 0 or 1/k? Constants come out of a variance squared, and variances of
# independent terms add.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch01-noise_variance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def noise_variance(w, h, p):
    """Returns the variance of z under inverted dropout on `h`; `w` and `h` are 1-d tensors."""
    ### BEGIN SOLUTION
    if p == 1:
        return 0.0
    contributions = w * h
    return float(p / (1 - p) * (contributions**2).sum())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch01-noise_variance-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch01.noise_variance", noise_variance)

# %% nbgrader={"grade": true, "grade_id": "ch01-noise_variance-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_noise = inputs("ch01.noise_variance")
check("ch01.noise_variance", noise_variance, generator=unseen_noise)
unseen_w, unseen_h = (torch.randn(4, generator=unseen_noise) for _ in range(2))
unseen_masks = torch.empty(200_000, 4).bernoulli_(0.7, generator=unseen_noise) / 0.7
unseen_spread = float((unseen_masks @ (unseen_w * unseen_h)).double().var())
assert abs(unseen_spread / float(noise_variance(unseen_w, unseen_h, 0.3)) - 1) < 0.05, "sampled masks disagree"
### END HIDDEN TESTS

# %% [markdown] exercise="ablation_curve"
# ## 2. Take units away
#
# How much does a trained network rely on single units? Remove a fraction `q` of its hidden units at test time and look at
# the accuracy. Write `ablation_curve(model, x, labels, q_list, rescale=False, generator=None)`:
#
# * `model` is an `nn.Sequential` of linear layers, ReLUs and perhaps dropout layers; measure it in evaluation mode;
# * for each `q`, after **every** ReLU with `n` outputs, set `round(q * n)` of them to zero: chosen at random with
#   `generator`, the same ones for all examples;
# * with `rescale=True`, divide the survivors by the fraction that was kept (when any was), so that sums keep their size;
# * return one accuracy for each `q`, and leave the model as you found it: weights, mode, no hooks.
#
# <details><summary>Hint</summary>
#
# You need no hooks. An `nn.Sequential` can be walked through: `for layer in model: h = layer(h)`. Remember what
# `model.training` was.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch01-ablation_curve", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    """Returns a list: the accuracy with each fraction in `q_list` of the hidden units removed."""
    ### BEGIN SOLUTION
    mode = model.training
    model.eval()
    accuracies = []
    with torch.no_grad():
        for q in q_list:
            h = x
            for layer in model:
                h = layer(h)
                if isinstance(layer, nn.ReLU):
                    units = h.shape[1]
                    gone = torch.randperm(units, generator=generator)[: round(q * units)]
                    h = h.index_fill(1, gone, 0.0)
                    if rescale and len(gone) < units:
                        h = h * (units / (units - len(gone)))
            accuracies.append((h.argmax(1) == labels).double().mean().item())
    model.train(mode)
    return accuracies
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch01-ablation_curve-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch01.ablation_curve", ablation_curve)

# %% nbgrader={"grade": true, "grade_id": "ch01-ablation_curve-hidden", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_removals = inputs("ch01.ablation_curve")
check("ch01.ablation_curve", ablation_curve, generator=unseen_removals)
unseen_net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 3)).eval()
unseen_points = torch.randn(300, 6, generator=unseen_removals)
unseen_labels = unseen_net(unseen_points).argmax(1)
assert ablation_curve(unseen_net.train(), unseen_points, unseen_labels, [0])[0] == 1, "nothing removed, nothing changed"
### END HIDDEN TESTS

# %% [markdown] exercise="total_weight"
# ## 3. Copies of one feature
#
# A linear regression without bias has `r` identical copies of one feature `x`. Without dropout the best slope on `x` is
# `s`, and only the sum of the `r` weights matters. With dropout on the inputs, each copy throws its own coin. Find the
# weights that minimise the expected squared error, and write their **sum** as `total_weight(s, r, p)`, from `p = 0` to
# `p = 1`.
#
# <details><summary>Hint</summary>
#
# The expected error is the error of the mean prediction plus the variance of the prediction. Which way of splitting a
# given sum among the copies has the least variance?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch01-total_weight", "locked": false, "schema_version": 3, "solution": true, "task": false}
def total_weight(s, r, p):
    """Returns the sum of the weights of `r` copies of a feature whose least-squares slope is `s`."""
    ### BEGIN SOLUTION
    keep = 1 - p
    return s * r * keep / (r * keep + p)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch01-total_weight-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch01.total_weight", total_weight)

# %% nbgrader={"grade": true, "grade_id": "ch01-total_weight-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_copies = inputs("ch01.total_weight")
check("ch01.total_weight", total_weight, generator=unseen_copies)
assert 2.98 < float(total_weight(3.0, 300, 0.5)) < 3.0, "with very many copies almost nothing is lost"
### END HIDDEN TESTS

# %% [markdown]
# Now prove it, in four or five sentences. Say where independence of the coins is used, and why all copies get the same
# weight. This part is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch01-total_weight_proof", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Your proof goes here.*

# %% [markdown] exercise="cancelling_data"
# ## 4. An exception
#
# Dropout usually makes units cancel each other less. Is that a law? Take linear regression without bias, and compare the
# least-squares weights with the weights that minimise the squared error expected under dropout on the inputs. Measure
# each with the cancellation index
#
# $$\frac{\sum_i \sum_j |w_j x_{ij}|}{\sum_i \left|\sum_j w_j x_{ij}\right|},$$
#
# which is 1 when nothing cancels. Find data `(x, y)` on which dropout **raises** the index by 0.01 or more, for every `p`
# from 0.2 to 0.8. Your `x` may have 2 to 6 columns and up to 50 rows, and its columns must be linearly independent. Think
# first, or let a random search think for you.
#
# <details><summary>Hint</summary>
#
# An index of 1 can only go up. When does least squares use a single feature? And what does dropout do with a second
# feature that resembles the first on most rows, but not on all?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ch01-cancelling_data", "locked": false, "schema_version": 3, "solution": true, "task": false}
x, y = None, None
### BEGIN SOLUTION
# The second feature agrees with the first in four rows of six; the target is the first alone.
x = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
y = x[:, 0]
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "ch01-cancelling_data-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch01.cancelling_data", (x, y))

# %% nbgrader={"grade": true, "grade_id": "ch01-cancelling_data-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_rates = inputs("ch01.cancelling_data")
check("ch01.cancelling_data", (x, y), generator=unseen_rates)
### END HIDDEN TESTS
