"""Chapter 04, ensembles: how many subnetworks, their geometric mean, and when one pass is exactly that mean."""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.assignments.check import exercise, function, integer, not_yet, shown, tensor, uniform
from companion.ensembles import arithmetic_mean, enumerate_masks, geometric_mean

# ---- count_subnetworks


@exercise("ch04.count_subnetworks")
def count_subnetworks(answer: object, g: torch.Generator) -> str:
    """``count_subnetworks(widths)``: 2 to the number of all units, as a whole number."""
    f = function(answer)
    cases = [[10], [3, 4], [10, 10], [], [5, 1, 2], [700, 300]]
    cases.append([integer(g, 2, 30) for _ in range(integer(g, 2, 5))])
    for widths in cases:
        got, n = f(widths), sum(widths)
        if isinstance(got, Tensor) and got.numel() == 1:
            got = got.item()
        told = f"(For the layers {widths} you gave {shown(got)}.)"
        if isinstance(got, bool) or not isinstance(got, int | float):
            not_yet(f"return one whole number. {told}")
        if isinstance(got, int) and got == 2**n:
            continue
        if isinstance(got, float) and (n > 50 or got == 2.0**n):
            not_yet(f"this is a count, so return an int: floats lose digits, and above 2**1023 they give up. {told}")
        if got == 2 * n:
            not_yet(
                f"each further unit doubles the number, since it is there or not: 2 to the n, not 2 times n. {told}"
            )
        if got == n**2:
            not_yet(f"each further unit doubles the number: 2 to the n, not n to the 2. {told}")
        if len(widths) > 1 and got == sum(2**width for width in widths):
            not_yet(f"every choice in one layer goes with every choice in another: multiply, do not add. {told}")
        if widths and got == 2**n - 1:
            not_yet(f"the network without any unit left counts too: dropout can draw it. {told}")
        if not widths:
            not_yet(f"without hidden units there is one network, the empty choice. {told}")
        not_yet(f"count masks: every unit of every layer is kept or dropped. {told}")
    return "Far more than anyone will ever visit."


# ---- geometric_mean_prediction


@exercise("ch04.geometric_mean_prediction")
def geometric_mean_prediction(answer: object, g: torch.Generator) -> str:
    """``geometric_mean_prediction(logits_per_mask, weights)`` -> probabilities."""
    f = function(answer)
    for p, size in ((0.5, 2.0), (0.2, 2.0), (uniform(g, 0.1, 0.4), 2.0), (0.0, 2.0), (0.2, 2000.0)):
        n, classes = integer(g, 2, 4), integer(g, 3, 5)
        weights = enumerate_masks(n, p)[1]
        logits = torch.randn(2**n, classes, dtype=torch.float64, generator=g) * size
        if size > 100:  # huge logits for and against class 0, which cancel in the weighted mean
            logits = logits / size
            votes = size * torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(2 ** (n - 1))
            logits[:, 0] += votes - weights @ votes
        got = tensor(f(logits, weights), "the prediction")
        want = geometric_mean(logits, weights)
        if got.shape != want.shape:
            not_yet(f"return one probability a class, shape {tuple(want.shape)}; the shape was {tuple(got.shape)}.")
        got = got.double()
        if torch.allclose(got, want, atol=1e-6):
            continue
        told = f"(At p = {p} you gave {shown(got)}.)"
        if size > 100:
            not_yet(
                "logits of a thousand make probabilities of 0, whose product says nothing: work with logarithms from "
                f"the start (log_softmax). {told}"
            )
        log = logits.log_softmax(-1)
        product = (weights[:, None] * log).sum(0)
        other = {
            "this is the arithmetic mean of the predictions. The geometric one multiplies them, each to the power of "
            "its weight.": arithmetic_mean(logits, weights),
            "the products do not add up to 1: divide by their sum.": product.exp(),
            "every mask counts alike here, but at p other than 0.5 they have different probabilities: use the "
            "weights.": log.mean(0).softmax(-1),
            "you return logarithms (or logits), not probabilities.": product,
            "you leave the predictions unweighted and take the plain product: each enters with its weight as the "
            "exponent.": log.sum(0).softmax(-1),
        }
        for hint, value in other.items():
            if torch.allclose(got, value, atol=1e-6):
                not_yet(f"{hint} {told}")
        if torch.allclose(got, (weights[:, None] * logits).sum(0), atol=1e-6):
            not_yet(f"you return logarithms (or logits), not probabilities. {told}")
        if not abs(float(got.sum()) - 1) < 1e-6:
            not_yet(f"the probabilities add up to {float(got.sum()):.4g}: divide by their sum. {told}")
        not_yet(f"average the logarithms of the predictions with the weights, exponentiate, divide by the sum. {told}")
    return "Normalised, weighted, and safe at logits of a thousand."


# ---- exact_or_not


def gap(logits: Callable[[Tensor], Tensor], n: int, p: float) -> float:
    """Largest difference between log GM, over all masks, and the log-prediction of one pass at the mean mask.

    Logarithms, because probabilities near 0 and 1 would hide a difference.
    """
    masks, weights = enumerate_masks(n, p)
    every = torch.stack([logits(mask) for mask in masks.double()])
    one_pass = logits(torch.full((n,), 1 - p, dtype=torch.float64)).log_softmax(-1)
    mean = torch.einsum("m,m...->...", weights, every.log_softmax(-1)).log_softmax(-1)
    return float((mean - one_pass).abs().max())


def architectures(g: torch.Generator) -> dict[str, tuple[int, Callable[[Tensor], Tensor]]]:
    """Six small networks with weights drawn from ``g``: their number of coins, and their logits given a mask."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=g)

    x, v, w, b = draw(6), draw(6, 6), draw(6, 3), draw(3)
    first, second, third = draw(2, 2), draw(2, 2), draw(2, 3)
    head, batch, small = draw(2, 3), draw(3, 2) + 1, draw(2, 2)
    features = x + (x @ v).relu()  # a residual block

    def normalised(z: Tensor) -> Tensor:
        return (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()

    def attention(m: Tensor) -> Tensor:
        tokens = batch[:2]
        attended = tokens + (m.view(2, 2) * (tokens @ small @ tokens.T).softmax(-1)) @ tokens
        return (attended + 3 * (attended @ small).tanh()).mean(0) @ head

    return {
        "a": (6, lambda m: (m * x) @ w + b),
        "b": (6, lambda m: (m[4:] * ((m[2:4] * ((m[:2] * x[:2]) @ first)) @ second)) @ third + b),
        "c": (6, lambda m: (m * features) @ w + b),
        "d": (6, lambda m: ((m * x) @ v).relu() @ w + b),
        "e": (6, lambda m: normalised(m.view(3, 2) * batch) @ head),
        "f": (4, attention),
    }


_WHY = {
    "a": "The logits are linear in the masked inputs, so averaging them over the masks averages the mask.",
    "b": "Each mask enters once. With the others held fixed the logits are affine in it, and masks are independent: "
    "that is enough, however many linear layers there are.",
    "c": "All nonlinear layers come before the mask. From the mask to the logits there is one linear layer; only that "
    "counts.",
    "d": "The mask passes through a ReLU. The mean of ReLU(u) is not ReLU of the mean.",
    "e": "In training mode batch normalisation divides by a standard deviation that depends on the mask.",
    "f": "The masked weights go on into a nonlinear second block before they reach the logits.",
}


@exercise("ch04.exact_or_not")
def exact_or_not(answer: object, g: torch.Generator) -> str:
    """A dict from the letters a to f to True (one pass is exactly the geometric mean) or False; judged by measuring."""
    if not isinstance(answer, dict) or set(answer) != set(_WHY):
        not_yet(f"give check() the dict with the keys 'a' to 'f'; it got {shown(answer)}.")
    for letter, (n, logits) in architectures(g).items():
        if answer[letter] not in (True, False):
            not_yet(f"the entry of {letter!r} must be True or False; it was {shown(answer[letter])}.")
        measured = gap(logits, n, 0.5)
        if bool(answer[letter]) != (measured < 1e-9):
            not_yet(
                f"{letter} was built and all its {2**n} masks enumerated: the logarithms of the geometric mean and of "
                f"one pass differ by up to {measured:.2g}. {_WHY[letter]}"
            )
    return "All six agree with the enumeration of all their masks."


# ---- exact_network


@exercise("ch04.exact_network")
def exact_network(answer: object, g: torch.Generator) -> str:
    """``exact_network(x, mask)`` -> logits: nonlinear in x, and one pass is exactly the geometric mean."""
    f = function(answer)
    x = torch.randn(40, 4, dtype=torch.float64, generator=g)  # many, so that no ReLU sleeps through all of them
    ones = torch.ones(6, dtype=torch.float64)

    def logits(inputs: Tensor, mask: Tensor) -> Tensor:
        out = tensor(f(inputs, mask), "what your network returns")
        if out.ndim != 2 or out.shape[0] != len(inputs) or out.shape[1] < 2:
            not_yet(
                f"for {len(inputs)} examples return logits of shape ({len(inputs)}, classes) with two classes or more; "
                f"the shape was {tuple(out.shape)}."
            )
        return out.double()

    full = logits(x, ones)
    if not torch.equal(full, logits(x, ones)):
        not_yet(
            "two calls with the same x and mask give different logits: draw the weights once, outside the function."
        )
    if not full.isfinite().all():
        not_yet("the logits must be finite numbers.")

    def said(out: Tensor) -> Tensor:  # what all classes share changes no prediction
        return out - out.mean(-1, keepdim=True)

    moves = []
    for unit in range(6):
        mask = ones.clone()
        mask[unit] = 0
        moves.append(said(logits(x, mask)) - said(full))
        if moves[-1].abs().max() < 1e-6:
            not_yet(f"dropping unit {unit} changes no prediction: all six entries of the mask must matter.")
    zero = torch.zeros_like(x)
    if all((move - move[:1]).abs().max() < 1e-6 for move in moves):
        not_yet("the mask does the same for every x: let it multiply hidden units that are computed from x.")
    bend = logits(x + x.flip(0), ones) - full - logits(x.flip(0), ones) + logits(zero, ones)
    if said(bend).abs().max() < 1e-3 * full.abs().max():
        not_yet(
            "the logits are linear in x: a linear network is exact, but the point is a hidden layer that is not linear."
        )

    for p in (0.5, 0.2, uniform(g, 0.3, 0.8)):
        measured = gap(lambda mask: logits(x, mask), 6, p)
        if measured > 1e-5 * max(1.0, float(full.abs().max())):
            not_yet(
                f"all 64 masks enumerated at p = {p}: the logarithms of the geometric mean and of one pass differ by "
                f"up to {measured:.2g}. Nothing nonlinear may lie between the mask and the logits."
            )
    return "Nonlinear, and exact: the mask enters the logits affinely."
