# %% [markdown]
# # Exercises 13: transformers and RNNs
#
# Four exercises on coins that fall in the right place, the right number of times, in the right mode and on every machine.
# Write your answer into the cell that begins with `# answer:`, run it, then run the cell below it: `check` answers with one
# line when all is well, and with a hint when it is not. Nothing is sent anywhere, and you can try as often as you like.
#
# As everywhere in this book, `p` is the probability of **dropping** and `k = 1 - p`.

# %%
import torch
import torch.nn.functional as F
from companion.assignments import check
from torch import nn

# %% [markdown] exercise="residual_step"
# ## 1. Mark the site
#
# Half of a transformer block is a residual step: the input is normalized and sent through a branch, something of what comes
# out is dropped, and the rest is added to the shortcut. The parts are given as functions:
#
# * `norm(x)`, the normalization, which stands inside the branch;
# * `f(x)`, attention or the small network;
# * `drop(x)`, dropout, ready to use.
#
# Write `residual_step(x, norm, f, drop)`. Each of the three functions is called exactly once.
#
# <details><summary>Hint</summary>
#
# If everything that passes `drop` were lost, the output would have to be `x` itself.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch13-residual_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def residual_step(x, norm, f, drop):
    """Returns the output of a residual step whose branch is dropped where it should be."""
    ### BEGIN SOLUTION
    return x + drop(f(norm(x)))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch13-residual_step-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch13.residual_step", residual_step)

# %% nbgrader={"grade": true, "grade_id": "ch13-residual_step-hidden", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_tokens = inputs("ch13.residual_step")
check("ch13.residual_step", residual_step, generator=unseen_tokens)
unseen_x = torch.randn(2, 3, 4, generator=unseen_tokens)
unseen_y = residual_step(unseen_x, lambda rows: 2 * rows, lambda rows: rows + 1, lambda rows: 3 * rows)
assert torch.allclose(unseen_y, 7 * unseen_x + 3), "twice the input, plus one, three times, onto the shortcut"
### END HIDDEN TESTS

# %% [markdown] exercise="locked_dropout"
# ## 2. Lock the mask
#
# Write `locked_dropout(x, p, training=True, time_axis=1, generator=None)` for a batch of sequences, from basic tensor operations:
#
# * `x` has three axes: `(sequences, steps, features)` with `time_axis=1`, or `(steps, sequences, features)` with `time_axis=0`;
# * each feature of each sequence throws one coin, which holds for all steps;
# * what survives is divided by `1 - p`; with `training=False` the output is `x`; at `p = 1` it is zero, without NaN;
# * dtype and gradient are kept, `x` itself is not touched;
# * all randomness comes from `generator` if there is one.
#
# <details><summary>Hint</summary>
#
# How many coins are there? Give the mask a shape in which one axis has length 1, and let broadcasting do the rest.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch13-locked_dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
def locked_dropout(x, p, training=True, time_axis=1, generator=None):
    """Returns `x` with features of whole sequences dropped at rate `p`; `x` itself at evaluation."""
    ### BEGIN SOLUTION
    if not training:
        return x
    if p == 1:
        return x * 0
    shape = list(x.shape)
    shape[time_axis] = 1
    survivors = torch.empty(shape, dtype=x.dtype).bernoulli_(1 - p, generator=generator)
    return x * survivors / (1 - p)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch13-locked_dropout-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch13.locked_dropout", locked_dropout)

# %% nbgrader={"grade": true, "grade_id": "ch13-locked_dropout-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_sequences = inputs("ch13.locked_dropout")
check("ch13.locked_dropout", locked_dropout, generator=unseen_sequences)
unseen_out = locked_dropout(torch.ones(400, 9, 50), 0.25, generator=unseen_sequences)
assert torch.equal(unseen_out, unseen_out[:, :1].expand(-1, 9, -1)), "all steps of a sequence share the mask"
assert abs(float(unseen_out[:, 0].mean()) - 1) < 6 * (1 / 3 / 20_000) ** 0.5, "the mean output is not the input"
### END HIDDEN TESTS

# %% [markdown] exercise="attention"
# ## 3. An attention that evaluates
#
# Write the module `Attention(p)`. Its `forward(q, k, v)` gets queries of shape `(N, heads, T, d)`, keys and values of shape
# `(N, heads, S, d)`, and computes `softmax(q kᵀ / sqrt(d)) v`:
#
# * in training mode attention *weights* are dropped at rate `p` and the survivors divided by `1 - p`;
# * in evaluation mode nothing is dropped, and two calls give the same.
#
# You may call `F.scaled_dot_product_attention`, or write it out.
#
# <details><summary>Hint</summary>
#
# A module knows its mode: `self.training`. The function does not; it has to be told, at each call.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch13-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Attention(nn.Module):
    """Scaled dot-product attention that drops attention weights at rate `p`, in training only."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, q, k, v):
        ### BEGIN SOLUTION
        return F.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0)
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch13-attention-visible", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("ch13.attention", Attention)

# %% nbgrader={"grade": true, "grade_id": "ch13-attention-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_heads = inputs("ch13.attention")
check("ch13.attention", Attention, generator=unseen_heads)
unseen_net = nn.Sequential(nn.Identity()).append(Attention(0.5)).eval()[1]
unseen_q = torch.randn(1, 2, 4, 3, generator=unseen_heads)
assert torch.equal(unseen_net(unseen_q, unseen_q, unseen_q), unseen_net(unseen_q, unseen_q, unseen_q)), (
    "eval() of a net around it"
)
### END HIDDEN TESTS

# %% [markdown] exercise="start"
# ## 4. A seed plan for many ranks
#
# Eight processes, the ranks 0 to 7, train one network together. Each of them runs `start(rank, seed, build)` before its first
# step: it makes the network with `build()`, which draws the initial weights from torch's global random numbers, and returns it.
# From then on masks are drawn from torch's global random numbers, too. Write `start` so that
#
# * all ranks of a run begin with the same weights;
# * every rank draws masks of its own;
# * the same `rank` and `seed` give the same weights and masks again, whatever was drawn before;
# * another `seed` gives other weights and other masks, and no rank of one run has the masks of any rank of another
#   (seeds are between 0 and 1,000, and there are at most 64 ranks).
#
# <details><summary>Hint</summary>
#
# `torch.manual_seed` may be called twice. Which whole number belongs to one pair of seed and rank and to no other?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ch13-start", "locked": false, "schema_version": 3, "solution": true, "task": false}
def start(rank, seed, build):
    """Returns the network of this rank and leaves torch's global random numbers ready for its masks."""
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(1_000_000 + 64 * seed + rank)
    return network
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch13-start-visible", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("ch13.start", start)

# %% nbgrader={"grade": true, "grade_id": "ch13-start-hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from companion.assignments import check, inputs

unseen_ranks = inputs("ch13.start")
check("ch13.start", start, generator=unseen_ranks)
unseen_weights = {float(start(rank, 3, lambda: torch.rand(()))) for rank in range(16)}
assert len(unseen_weights) == 1, "sixteen ranks, one network"
### END HIDDEN TESTS
