"""Chapter 01, co-adaptation: noise, removal of units, copies of a feature, and a search for an exception."""

import itertools
import math

import torch
from torch import Tensor, nn

from companion.assignments.check import (
    Answer,
    exercise,
    function,
    integer,
    near,
    not_yet,
    number,
    numbers,
    shown,
    uniform,
)

# ---- noise_variance


@exercise("ch01.noise_variance")
def noise_variance(answer: object, g: torch.Generator) -> str:
    """``noise_variance(w, h, p)``: (p/k) sum of (w h)^2, the variance that inverted dropout gives to z = w . h."""
    f = function(answer)
    for p in (0.2, 0.5, uniform(g, 0.6, 0.9), 0.0, 1.0):
        n = integer(g, 3, 6)
        w, h = torch.randn(n, generator=g), torch.randn(n, generator=g).abs() + 0.5
        got, parts, k = number(f(w, h, p), "the variance"), (w * h).double(), 1 - p
        square = float(parts.square().sum())
        want = p / k * square if p < 1 else 0.0
        if near(got, want, tolerance=1e-4):
            continue
        told = f"(For w = {shown(w)}, h = {shown(h)} and p = {p} you gave {got:.4g}.)"
        if p == 1:
            not_yet(f"at p = 1 nothing survives: z is always 0, and so is its variance. {told}")
        candidates = {
            p
            * k
            * square: "p k is the variance of a mask entry. Here the survivors are divided by k, and dividing by k "
            "divides a variance by k squared.",
            p / k * float(parts.abs().sum()): "square each contribution w_j h_j: a variance scales with the square.",
            p / k * float(parts.sum()): "square each contribution w_j h_j: a variance scales with the square.",
            p / k * float(parts.sum()) ** 2: "you square the sum. The coins are independent, so the variances of the "
            "single contributions add: square first, then sum.",
            math.sqrt(want): "that is the standard deviation: the variance is its square.",
            k / p * square if p else math.nan: "p and k are mixed up: p is the probability of dropping.",
            p / k * float(w.double().square().sum()): "what is dropped is w_j h_j: the activations h are missing.",
            p / k * float(h.double().square().sum()): "what is dropped is w_j h_j: the weights w are missing.",
        }
        for value, hint in candidates.items():
            if near(got, value, tolerance=1e-4):
                not_yet(f"{hint} {told}")
        not_yet(f"an entry of the mask, divided by k, has the variance p/k; multiply by what it multiplies. {told}")
    return "Large contributions that cancel are what this makes expensive."


# ---- ablation_curve


def copies(n: int, layers: int, threshold: float, *, drop: float = 0.5) -> nn.Sequential:
    """A network whose hidden units are all alike, so that only the number of removed ones counts.

    On an input x > 0 it says class 1 where x times the kept fraction of every hidden layer exceeds ``threshold``.
    """
    modules: list[nn.Module] = []
    width = 1
    for _ in range(layers):
        modules += [nn.Linear(width, n), nn.ReLU(), nn.Dropout(drop)]
        width = n
    modules.append(nn.Linear(width, 2))
    model = nn.Sequential(*modules)
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Linear):
                module.weight.fill_(1 / module.in_features)
                module.bias.zero_()
        model[-1].weight[0] = 0
        model[-1].bias[0] = threshold
    return model.double()


def _state(model: nn.Module) -> dict:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _untouched(f: Answer, model: nn.Module, state: dict, training: bool) -> None:
    now = model.state_dict()
    if state.keys() != now.keys() or not all(torch.equal(state[name], now[name]) for name in state):
        not_yet(f"{f.name} changes the weights of the model: after the measurement it must be the model it was.")
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        not_yet(f"{f.name} leaves hooks behind: the units would stay removed in everything that follows.")
    if any(module.training != training for module in model.modules()):
        mode = "training" if training else "evaluation"
        not_yet(f"the model was in {mode} mode and no longer is: put it back as you found it.")


@exercise("ch01.ablation_curve", allow={"torch"})
def ablation_curve(answer: object, g: torch.Generator) -> str:
    """``ablation_curve(model, x, labels, q_list, rescale=False, generator=None)`` -> accuracies."""
    f = function(answer)
    n, q_list = 8, [0.0, 0.25, 0.5, 0.75, 1.0]
    # No input lies on the threshold, whatever fraction is kept: rounding decides nothing.
    threshold = (integer(g, 38, 50) + 0.123) / 250
    x = ((torch.arange(250, dtype=torch.float64) + 0.5) / 250)[:, None]
    labels = (x[:, 0] > threshold).long()
    for layers, training, rescale in itertools.product((1, 2), (True, False), (False, True)):
        model = copies(n, layers, threshold).train(training)
        state = _state(model)
        got = numbers(f(model, x, labels, q_list, rescale=rescale, generator=g), len(q_list), "the curve")
        _untouched(f, model, state, training)
        told = (
            f"(Removing the fractions {q_list}, rescale={rescale}, you measured {shown([round(v, 4) for v in got])}.)"
        )

        def accuracy(factor: float) -> float:
            return float(((x[:, 0] * factor > threshold).long() == labels).double().mean())

        if not near(got[0], 1.0, tolerance=1e-9):
            not_yet(
                "with q = 0 nothing is removed, so the accuracy must be the one of evaluation mode. Is dropout itself "
                f"still switched on? Call model.eval() before you measure. {told}"
            )
        plain = [accuracy((1 - q) ** layers) for q in q_list]
        want = [accuracy(1.0 if rescale and q < 1 else (1 - q) ** layers) for q in q_list]
        if all(map(near, got, want)):
            continue
        if rescale and all(map(near, got, plain)):
            not_yet(
                "with rescale=True the survivors must be divided by the fraction that is kept, so that the next layer "
                f"gets sums of the usual size. You do not rescale. {told}"
            )
        if not rescale and all(map(near, got[:-1], [1.0] * (len(q_list) - 1))):
            not_yet(f"you divide the survivors by the kept fraction although rescale is False. {told}")
        if layers == 2 and not rescale and all(map(near, got, [accuracy(1 - q) for q in q_list])):
            not_yet(f"units of one hidden layer only are removed: remove from the output of every ReLU. {told}")
        if all(map(near, got[::-1], plain)):
            not_yet(f"q is the fraction to remove, and you keep that fraction. {told}")
        not_yet(
            "the curve is off in a network whose units are all alike, where only their number counts: remove exactly "
            f"round(q * n) of the n outputs of every ReLU. {told}"
        )
    _same_units_for_all_examples(f, g)
    return "The model is as it was, and the curve is right with and without rescaling."


def _same_units_for_all_examples(f: Answer, g: torch.Generator) -> None:
    """Removes half of ten units: one choice for all examples, another choice in the next call.

    The contributions of the units sum to 0, so that a choice and its opposite give opposite classes: half of all
    choices make the accuracy 1, the others 0.
    """
    model = nn.Sequential(nn.Linear(1, 10), nn.ReLU(), nn.Linear(10, 2)).double()
    contributions = torch.randn(10, dtype=torch.float64, generator=g)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(1)
        model[2].weight[0] = 0
        model[2].weight[1] = contributions - contributions.mean()
        model[2].bias.zero_()
    x = torch.zeros(40, 1, dtype=torch.float64)
    labels = torch.zeros(40, dtype=torch.long)
    results = [numbers(f(model, x, labels, [0.5], generator=g), 1, "the curve")[0] for _ in range(30)]
    if any(0 < value < 1 for value in results):
        not_yet("equal examples got different answers: draw the removed units once for a fraction, for all examples.")
    if len(set(results)) == 1:
        not_yet("thirty calls removed the same units: choose them at random, and anew for every fraction.")
    seeded = [
        [float(f(model, x, labels, [0.5], generator=torch.Generator().manual_seed(seed))[0]) for seed in range(20)]
        for _ in range(2)
    ]
    if seeded[0] != seeded[1]:
        not_yet(
            "the same generator must remove the same units: hand `generator=generator` on to the function that draws."
        )


# ---- total_weight


def _solved(s: float, r: int, p: float, x: Tensor) -> float:
    """Total weight of r copies of x by solving the normal equations of the expected loss."""
    copies_of_x = x[:, None].expand(-1, r)
    gram = copies_of_x.T @ copies_of_x
    w = torch.linalg.solve(gram + p / (1 - p) * torch.diag(gram.diag()), copies_of_x.T @ (s * x))
    return float(w.sum())


@exercise("ch01.total_weight")
def total_weight(answer: object, g: torch.Generator) -> str:
    """``total_weight(s, r, p)``: what r copies of a feature with least-squares slope s weigh together."""
    f = function(answer)
    x = torch.randn(5, dtype=torch.float64, generator=g) + 2
    cases = [(2.0, 1, 0.5), (2.0, 3, 0.3), (2.0, 2, 0.5), (2.0, 10, 0.5), (2.0, 4, 0.2), (-1.5, 3, 0.0), (2.0, 3, 1.0)]
    cases += [(uniform(g, 0.5, 4), integer(g, 2, 9), uniform(g, 0.1, 0.8)) for _ in range(3)]
    for s, r, p in cases:
        got = number(f(s, r, p), "the total weight")
        want = _solved(s, r, p, x) if 0 < p < 1 else (0.0 if p else s)
        if near(got, want, tolerance=1e-6):
            continue
        told = f"(For s = {s}, r = {r} and p = {p} you gave {got:.4g}.)"
        if p == 1:
            not_yet(f"at p = 1 the penalty is infinite and no weight is left: return 0. {told}")
        if r > 1 and near(got, s * (1 - p)):
            not_yet(
                f"that is right for one copy only. More copies share the weight, and the noise averages out. {told}"
            )
        if r > 1 and near(got, want / r):
            not_yet(f"that is the weight of one copy: add all r of them. {told}")
        if near(got, s) and p:
            not_yet(f"there is a penalty: with dropout the total stays below the least-squares slope. {told}")
        if r > 1 and near(got, s / (1 + p * r / (1 - p))):
            not_yet(f"more copies must make the penalty smaller, not larger. {told}")
        if near(got, s * r) or near(got, s * r * (1 - p)):
            not_yet(f"the copies share one slope: together they cannot exceed s. {told}")
        not_yet(
            "split a total t into r equal weights t/r: the penalty is (p/k) |x|^2 r (t/r)^2. Add |x|^2 (s - t)^2 and "
            f"set the derivative to 0. {told}"
        )
    return "Your formula and the normal equations agree."


# ---- cancelling_data


def weights_under_dropout(x: Tensor, y: Tensor, p: float) -> Tensor:
    """The weights that minimise the squared error expected under dropout; at p = 0 those of least squares."""
    gram = x.T @ x
    return torch.linalg.solve(gram + p / (1 - p) * torch.diag(gram.diag()), x.T @ y)


def cancellation_index(x: Tensor, w: Tensor) -> float:
    """Sum over the rows of sum_j |w_j x_j|, divided by the sum over the rows of |sum_j w_j x_j|."""
    return float((x * w).abs().sum() / (x @ w).abs().sum())


@exercise("ch01.cancelling_data")
def cancelling_data(answer: object, g: torch.Generator) -> str:
    """``(x, y)``: data on which dropout raises the cancellation index, at every rate from 0.2 to 0.8."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        not_yet(f"give check() the pair (x, y); it got {shown(answer)}.")
    try:
        x, y = (torch.as_tensor(part).double() for part in answer)
    except Exception:
        not_yet(f"x and y must be tensors of numbers; they were {shown(answer)}.")
    if x.ndim != 2 or not 2 <= x.shape[1] <= 6 or not x.shape[1] <= x.shape[0] <= 50 or y.shape != x.shape[:1]:
        not_yet(
            "x must have 2 to 6 columns and at most 50 rows, at least as many as columns, and y one number a row; the "
            f"shapes were {tuple(x.shape)} and {tuple(y.shape)}."
        )
    if not (x.isfinite().all() and y.isfinite().all()):
        not_yet("x and y must be finite numbers.")
    values = torch.linalg.svdvals(x)
    if values[-1] <= 1e-4 * values[0]:
        not_yet("the columns of x depend on each other, so least squares has no single answer to compare with.")
    plain = weights_under_dropout(x, y, 0.0)
    if (x @ plain).abs().sum() <= 1e-6 * x.abs().sum():
        not_yet(
            "least squares predicts 0 everywhere, so there is nothing that could cancel: give y something to predict."
        )
    before = cancellation_index(x, plain)
    for p in (0.2, 0.5, 0.8, uniform(g, 0.2, 0.8)):
        after = cancellation_index(x, weights_under_dropout(x, y, p))
        told = f"At p = {p} the index goes from {before:.3f} to {after:.3f}."
        if after < before - 1e-6:
            not_yet(
                f"here dropout does what its authors hoped: partners cancel less. {told} Look for data on which least "
                "squares does not cancel at all."
            )
        if after < before + 0.01:
            not_yet(
                f"the index hardly moves, and a rise of at least 0.01 is asked. {told} Dropout spreads weight over "
                "features that resemble each other; uncorrelated ones just shrink."
            )
    return f"Measured: dropout raises the cancellation index here from {before:.2f}. So it is no law."
