# %% [markdown]
# # Exercises 11: dropout and BatchNorm
#
# Four exercises on what a BatchNorm has stored and what it receives: predict the ratio of the two, measure it, repair it,
# and find out what the width of a layer does to it. Write your answer into the cell that begins with `# answer:`, run it,
# then run the cell below it: `check` answers with one line when all is well, and with a hint when it is not. Nothing is
# sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`. All ratios are variance at
# **evaluation** over variance in **training**.

# %%
import torch
from companion.assignments import check
from torch import nn

# %% [markdown] exercise="variance_ratio"
# ## 1. One unit
#
# A unit has mean `mean` and variance `variance`. Behind it come inverted dropout with rate `p` and then a BatchNorm.
# Write `variance_ratio(mean, variance, p)`: the variance that reaches the BatchNorm at evaluation, divided by the one that
# reaches it in training. `p` is below 1.
#
# <details><summary>Hint</summary>
#
# In training the BatchNorm receives `m x / k`, with a coin `m` that is 1 with probability `k`. What is the mean of its
# square? And its mean? The variance is the first minus the square of the second.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch11-variance_ratio", "locked": false, "schema_version": 3, "solution": true, "task": false}
def variance_ratio(mean, variance, p):
    """Returns Var at evaluation / Var in training for one unit behind inverted dropout, as a number."""
    ### BEGIN SOLUTION
    mean_square = (mean**2 + variance) / (1 - p)
    return variance / (mean_square - mean**2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch11-variance_ratio-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch11.variance_ratio", variance_ratio)

# %% nbgrader={"grade": true, "grade_id": "ch11-variance_ratio-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_units = inputs("ch11.variance_ratio")
check("ch11.variance_ratio", variance_ratio, generator=unseen_units)
assert abs(float(variance_ratio(3.0, 1.0, 0.75)) - 1 / 31) < 1e-6, "a unit far from zero, at a high rate"
### END HIDDEN TESTS

# %% [markdown] exercise="variance_shift"
# ## 2. Measure it
#
# Write `variance_shift(model, batches)`, which measures the shift in a finished network:
#
# * `batches` is a list of input tensors; together they are the data. They may differ in size;
# * for every BatchNorm of the model, in the order of `model.modules()`, take the variance of its **input** at
#   evaluation, channel by channel, over all elements of all batches together; divide it by the layer's `running_var`;
#   take the median over the channels. Return the list of these numbers;
# * inputs have the shape `(N, C)` or `(N, C, H, W)`; the channels are axis 1;
# * afterwards the model is as it was: no hook is left, every module is in the mode it was in, no statistic has moved.
#
# <details><summary>Hint</summary>
#
# `handle = layer.register_forward_pre_hook(lambda layer, args: seen.append(args[0]))` records what a layer receives, and
# `handle.remove()` ends that. `isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))` finds the layers. Modules remember
# their mode in `module.training`, each for itself. `x.movedim(1, 0).flatten(1)` has one row a channel.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch11-variance_shift", "locked": false, "schema_version": 3, "solution": true, "task": false}
def variance_shift(model, batches):
    """Returns, for every BatchNorm, the median over channels of Var at evaluation / stored variance: a list."""
    ### BEGIN SOLUTION
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    modes = [(module, module.training) for module in model.modules()]
    seen = {layer: [] for layer in layers}
    handles = [layer.register_forward_pre_hook(lambda layer, args: seen[layer].append(args[0])) for layer in layers]
    model.eval()
    with torch.no_grad():
        for x in batches:
            model(x)
    for handle in handles:
        handle.remove()
    for module, mode in modes:
        module.training = mode
    rows = [torch.cat([x.movedim(1, 0).flatten(1) for x in seen[layer]], 1) for layer in layers]
    return [float((row.var(1) / layer.running_var).median()) for row, layer in zip(rows, layers)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch11-variance_shift-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch11.variance_shift", variance_shift)

# %% nbgrader={"grade": true, "grade_id": "ch11-variance_shift-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_networks = inputs("ch11.variance_shift")
check("ch11.variance_shift", variance_shift, generator=unseen_networks)
unseen_norm = nn.BatchNorm1d(3)
unseen_norm.running_var.copy_(torch.tensor([1.0, 2.0, 4.0]))
unseen_x = torch.randn(400, 3, generator=unseen_networks)
(unseen_got,) = variance_shift(nn.Sequential(nn.Dropout(0.5), unseen_norm), list(unseen_x.split(80)))
assert abs(float(unseen_got) - float((unseen_x.var(0) / unseen_norm.running_var).median())) < 0.02, "another network"
### END HIDDEN TESTS

# %% [markdown] exercise="recalibrate"
# ## 3. Take it away
#
# Write `recalibrate(model, batches)`, which replaces the stored statistics of every BatchNorm (`running_mean` and
# `running_var`) by those of its input with dropout **off**. `batches` is a list of large input tensors of equal size.
#
# * Nothing of the old statistics may be left in the new ones, and every batch counts as much as every other;
# * weights stay as they are; afterwards every module is in the mode it was in, and every BatchNorm has its old
#   `momentum`;
# * return nothing.
#
# <details><summary>Hint</summary>
#
# A BatchNorm in training mode updates its statistics even without gradients. Which modules should be in training mode,
# then, and which not? The method `reset_running_stats` of a BatchNorm makes it forget; with `None` as its momentum it
# takes the plain average over all batches.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch11-recalibrate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def recalibrate(model, batches):
    """Replaces the statistics of every BatchNorm by those of its input with dropout off."""
    ### BEGIN SOLUTION
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    for module, mode in modes:
        module.training = mode
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch11-recalibrate-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch11.recalibrate", recalibrate)

# %% nbgrader={"grade": true, "grade_id": "ch11-recalibrate-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_statistics = inputs("ch11.recalibrate")
check("ch11.recalibrate", recalibrate, generator=unseen_statistics)
unseen_net = nn.Sequential(nn.Dropout(0.7), nn.BatchNorm1d(2))
unseen_data = torch.randn(1200, 2, generator=unseen_statistics) * 3 + 5
recalibrate(unseen_net, list(unseen_data.split(300)))
assert torch.allclose(unseen_net[1].running_var, unseen_data.var(0), rtol=0.05), "the variance with dropout off"
assert torch.allclose(unseen_net[1].running_mean, unseen_data.mean(0), atol=0.05), "the mean with dropout off"
### END HIDDEN TESTS

# %% [markdown] exercise="layer_ratio"
# ## 4. What width does
#
# Now a linear layer stands between dropout and BatchNorm. All its inputs have mean `mean` and variance `variance`, and any
# two of them have the correlation `correlation`; `weight` is a tensor with one weight for each input. Write
# `layer_ratio(weight, mean, variance, correlation, p)`: the ratio, variance at evaluation over variance in training, of one
# output of the layer.
#
# Then try it: equal weights, 4 inputs, 64, 1024. What does the width do at correlation 0, and what at 0.1? And with
# weights that are 1 and −1 in turn?
#
# <details><summary>Hint</summary>
#
# The variance of a sum has two parts: the variances of the terms, and the covariances of all pairs of terms. The masks of
# different inputs are independent, and a mask divided by `k` has mean 1: so dropout changes the first part only. The sum of
# `w_i w_j` over all pairs is the square of the sum of the weights, less the sum of their squares.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch11-layer_ratio", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_ratio(weight, mean, variance, correlation, p):
    """Returns Var at evaluation / Var in training of a weighted sum of dropped inputs, as a number."""
    ### BEGIN SOLUTION
    squares = (weight**2).sum()
    pairs = weight.sum() ** 2 - squares
    covariances = correlation * variance * pairs
    alone = (mean**2 + variance) / (1 - p) - mean**2
    return (squares * variance + covariances) / (squares * alone + covariances)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch11-layer_ratio-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch11.layer_ratio", layer_ratio)

# %% nbgrader={"grade": true, "grade_id": "ch11-layer_ratio-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_layers = inputs("ch11.layer_ratio")
check("ch11.layer_ratio", layer_ratio, generator=unseen_layers)
unseen_ratios = [float(layer_ratio(torch.ones(d), 0.4, 0.3, 0.2, 0.5)) for d in (1, 10, 100, 1000)]
assert unseen_ratios == sorted(unseen_ratios) and unseen_ratios[-1] > 0.97, "width helps where inputs are correlated"
assert abs(float(layer_ratio(torch.ones(1000), 0.0, 2.0, 0.0, 0.4)) - 0.6) < 1e-4, "and only there"
### END HIDDEN TESTS
