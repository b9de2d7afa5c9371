# %% [markdown]
# # Exercises 04: ensembles
#
# Four exercises on the subnetworks inside one network: how many they are, what they say together, and when a single pass
# says exactly that. Write your answer into the cell that begins with `# answer:`, run it, then run the cell below it:
# `check` answers with one line when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can
# try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
from companion.assignments import check

# %% [markdown] exercise="count_subnetworks"
# ## 1. How many?
#
# A network has hidden layers of the given widths, and dropout may remove any unit of any of them. Write
# `count_subnetworks(widths)`: how many masks are there, the full network and the empty one included? Return a whole
# number, exact also for a thousand units.
#
# <details><summary>Hint</summary>
#
# How many choices are there for one unit? For two? What does a second layer do to the number of choices of the first?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch04-count_subnetworks", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_subnetworks(widths):
    """Returns the number of masks of hidden layers with these widths, as an int."""
    ### BEGIN SOLUTION
    units_in_all_layers = sum(widths)
    return 2**units_in_all_layers
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch04-count_subnetworks-visible", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("ch04.count_subnetworks", count_subnetworks)

# %% nbgrader={"grade": true, "grade_id": "ch04-count_subnetworks-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_widths = inputs("ch04.count_subnetworks")
check("ch04.count_subnetworks", count_subnetworks, generator=unseen_widths)
assert count_subnetworks([1] * 12) == 4096, "twelve layers of one unit"
### END HIDDEN TESTS

# %% [markdown] exercise="geometric_mean_prediction"
# ## 2. What they say together
#
# Row `i` of `logits_per_mask` holds the logits of one subnetwork, and `weights[i]` is the probability of its mask (they
# add up to 1). Each row makes a prediction `P_i = softmax(logits_per_mask[i])`. Write
# `geometric_mean_prediction(logits_per_mask, weights)`: multiply the predictions, each raised to the power of its weight,
# and divide by the sum over the classes. Return one probability a class.
#
# It must survive logits of a thousand, where single predictions are 0 in floating point.
#
# <details><summary>Hint</summary>
#
# Products of powers are sums of logarithms. `log_softmax` gives logarithms of predictions without ever computing the
# predictions.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch04-geometric_mean_prediction", "locked": false, "schema_version": 3, "solution": true, "task": false}
def geometric_mean_prediction(logits_per_mask, weights):
    """Returns probabilities, Tensor[classes], from Tensor[masks, classes] and Tensor[masks]."""
    ### BEGIN SOLUTION
    log_predictions = torch.log_softmax(logits_per_mask, dim=-1)
    log_of_product = weights.to(log_predictions.dtype) @ log_predictions
    return torch.softmax(log_of_product, dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch04-geometric_mean_prediction-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch04.geometric_mean_prediction", geometric_mean_prediction)

# %% nbgrader={"grade": true, "grade_id": "ch04-geometric_mean_prediction-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_predictions = inputs("ch04.geometric_mean_prediction")
check("ch04.geometric_mean_prediction", geometric_mean_prediction, generator=unseen_predictions)
unseen_logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
unseen_answer = geometric_mean_prediction(unseen_logits, torch.full((4,), 0.25, dtype=torch.float64))
assert abs(float(unseen_answer[0]) - float(torch.sigmoid(torch.tensor(1.5)))) < 1e-4, "two units, binary"
### END HIDDEN TESTS

# %% [markdown] exercise="exact_or_not"
# ## 3. Exact or not?
#
# One pass replaces every mask by its mean `k`. For which of these six is its prediction **exactly** the renormalised
# geometric mean of all subnetworks, whatever the weights are? Put `True` or `False`.
#
# | case | network | dropped |
# | --- | --- | --- |
# | a | softmax regression | the inputs |
# | b | three linear layers in a row, no activation functions | the inputs and both hidden layers, own masks |
# | c | a deep residual network with ReLUs | only the input of the last linear layer |
# | d | one hidden layer with ReLU | the inputs |
# | e | features, batch normalisation in **training** mode, linear layer | the features, before the normalisation |
# | f | two transformer blocks | the attention weights of the first block |
#
# `check` builds all six with random weights, goes through all their masks and measures.
#
# <details><summary>Hint</summary>
#
# Follow the path from the mask to the logits, and forget what comes before the mask. What on this path is not linear?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ch04-exact_or_not", "locked": false, "schema_version": 3, "solution": true, "task": false}
exact = {"a": None, "b": None, "c": None, "d": None, "e": None, "f": None}
### BEGIN SOLUTION
affine_in_the_mask = ("a", "b", "c")
exact = {letter: letter in affine_in_the_mask for letter in exact}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "ch04-exact_or_not-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch04.exact_or_not", exact)

# %% nbgrader={"grade": true, "grade_id": "ch04-exact_or_not-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_architectures = inputs("ch04.exact_or_not")
check("ch04.exact_or_not", exact, generator=unseen_architectures)
### END HIDDEN TESTS

# %% [markdown] exercise="exact_network"
# ## 4. Nonlinear and still exact
#
# Build a network with a **nonlinear** hidden layer for which one pass is exactly the geometric mean. Write
# `exact_network(x, mask)`: `x` has the shape `(N, 4)`, `mask` the shape `(6,)` with entries from 0 to 1, both in float64,
# and the result is logits of shape `(N, classes)` with two classes or more. Every entry of the mask must matter, and in a
# way that depends on `x`. The next cell draws weights that you may use. Draw others outside the function too, so that
# they stay the same from call to call.
#
# <details><summary>Hint</summary>
#
# Row c of the last exercise shows the way. Where must the mask stand?
#
# </details>

# %%
generator = torch.Generator().manual_seed(4)
into_hidden = torch.randn(4, 6, dtype=torch.float64, generator=generator)
out_of_hidden = torch.randn(6, 3, dtype=torch.float64, generator=generator)


# %% nbgrader={"grade": false, "grade_id": "ch04-exact_network", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exact_network(x, mask):
    """Returns logits, Tensor[N, classes]; `mask` belongs to six hidden units."""
    ### BEGIN SOLUTION
    hidden_values = (x @ into_hidden).tanh()
    return (mask * hidden_values) @ out_of_hidden
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch04-exact_network-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch04.exact_network", exact_network)

# %% nbgrader={"grade": true, "grade_id": "ch04-exact_network-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_examples = inputs("ch04.exact_network")
check("ch04.exact_network", exact_network, generator=unseen_examples)
### END HIDDEN TESTS

# %% [markdown]
# Now prove the theorem behind it: if the logits are affine in each of several independent masks while the others are held
# fixed, one pass is exactly the renormalised geometric mean. Then say why your network fulfils the condition. This part
# is read by a person.

# %% [markdown] nbgrader={"grade": true, "grade_id": "ch04-exact_network_proof", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# *Your proof goes here.*
