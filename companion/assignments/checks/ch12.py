"""Chapter 12, MC dropout: entropy in two parts, only dropout switched on, calibration error, a spread that stays."""

import math
from collections.abc import Callable

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
    tensor,
    uniform,
)

# ---- split_entropy


def _entropy(q: Tensor) -> Tensor:
    return torch.special.entr(q).sum(-1)


def _committee(g: torch.Generator, passes: int, n: int, classes: int) -> Tensor:
    """Probabilities, some rows of them certain."""
    q = (3 * torch.randn(passes, n, classes, generator=g, dtype=torch.float64)).softmax(-1)
    sure = torch.nn.functional.one_hot(torch.randint(classes, (passes, n), generator=g), classes).double()
    return torch.where(torch.rand(passes, n, 1, generator=g) < 0.2, sure, q)


def _agrees(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape and bool((got.double() - want).abs().max() <= 1e-4)


def _why_wrong(which: str, got: Tensor, q: Tensor) -> None:
    """Refuses one of the three parts, with the mistake if it is a known one."""
    total, expected, std = _entropy(q.mean(0)), _entropy(q).mean(0), q.std(0, correction=0)
    names = {
        "the entropy of the mean": total,
        "the mean entropy of the passes": expected,
        "what the passes disagree about": total - expected,
    }
    if got.isnan().any():
        not_yet(f"{which} is NaN where a probability is 0: 0 times the logarithm of 0 counts 0 here.")
    if got.shape != total.shape:
        not_yet(
            f"{which} must have one number an example, shape {tuple(total.shape)}; yours has {tuple(got.shape)}. The "
            "passes are axis 0, the classes the last axis."
        )
    if _agrees(got, names[which] / math.log(2)):
        not_yet(f"{which} is in bits. Use natural logarithms.")
    for other, value in names.items():
        if other != which and _agrees(got, value):
            not_yet(f"you gave {other} where {which} belongs.")
    for kind, value in {"mean": std.mean(-1), "largest": std.max(-1).values, "sum": std.sum(-1)}.items():
        if _agrees(got, value):
            not_yet(
                f"that is a standard deviation ({kind} over the classes). It cannot tell passes that agree on one half "
                "from passes that agree on certainty: use the entropies."
            )
    if which == "what the passes disagree about" and _agrees(got, expected - total):
        not_yet("the difference is the wrong way round: entropy of the mean minus mean entropy, never negative.")
    if _agrees(got, -names[which]):
        not_yet(f"{which} has the wrong sign: entropies are never negative.")
    if which == "the mean entropy of the passes" and _agrees(got, _entropy(q).sum(0)):
        not_yet("you added up the entropies of the passes. Take their mean.")
    not_yet(f"{which} is off. Entropy is minus the sum over the classes of p log p.")


@exercise("ch12.split_entropy")
def split_entropy(answer: object, g: torch.Generator) -> str:
    """``split_entropy(passes)``: entropy of the mean, mean entropy, and their difference, each of shape (n,)."""
    f = function(answer)
    for passes, n, classes in ((4, 3, 2), (20, 6, 10), (integer(g, 5, 9), integer(g, 10, 14), integer(g, 3, 4))):
        q = _committee(g, passes, n, classes)
        parts = f(q.clone())
        if not isinstance(parts, tuple | list) or len(parts) != 3:
            not_yet("return three tensors: entropy of the mean, mean entropy, and their difference.")
        wanted = {
            "the entropy of the mean": _entropy(q.mean(0)),
            "the mean entropy of the passes": _entropy(q).mean(0),
            "what the passes disagree about": _entropy(q.mean(0)) - _entropy(q).mean(0),
        }
        for (which, want), got in zip(wanted.items(), parts, strict=True):
            if not _agrees(tensor(got, which), want):
                _why_wrong(which, got, q)
    return "What all are unsure of, and what they disagree about."


# ---- mc_passes


class _Forgetful(nn.Dropout):
    """A dropout of somebody's own, which only its base class gives away."""


_KINDS: dict[str, Callable[[], nn.Module]] = {
    "nn.Dropout": lambda: nn.Dropout(0.5),
    "nn.Dropout1d": lambda: nn.Dropout1d(0.5),
    "nn.Dropout2d": lambda: nn.Dropout2d(0.5),
    "nn.Dropout3d": lambda: nn.Dropout3d(0.5),
    "nn.AlphaDropout": lambda: nn.AlphaDropout(0.5),
    "nn.FeatureAlphaDropout": lambda: nn.FeatureAlphaDropout(0.5),
    "a class derived from nn.Dropout": lambda: _Forgetful(0.5),
}
_SHAPES = {"nn.Dropout1d": (8, 2), "nn.Dropout2d": (4, 2, 2), "nn.Dropout3d": (4, 2, 2, 1)}


def _seeded(make: Callable[[], nn.Module], g: torch.Generator) -> nn.Module:
    torch.manual_seed(int(torch.randint(2**31, (), generator=g)))
    return make()


def _with_norm(p: float) -> nn.Sequential:
    """A network whose BatchNorm has learnt statistics that no batch of the check has."""
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Sequential(nn.Dropout(p), nn.Linear(16, 4)))
    norm = net[1]
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.2, 3)
    norm.num_batches_tracked.fill_(500)
    return net


def _flags(net: nn.Module) -> list[bool]:
    return [module.training for module in net.modules()]


def _passes(f: Answer, net: nn.Module, x: Tensor, samples: int, classes: int = 4) -> Tensor:
    """Calls the answer, and looks whether the network is as it was and the result a set of probabilities."""
    state = {name: value.clone() for name, value in net.state_dict().items()}
    flags = _flags(net)
    out = tensor(f(net, x, samples), "the result")
    changed = [name for name, value in net.state_dict().items() if not torch.equal(value, state[name])]
    if changed:
        not_yet(
            f"afterwards the model's state_dict has changed: {', '.join(changed[:3])}. Batch normalization was in "
            "training mode and has learnt from the batch. Switch on the dropout modules and nothing else: no "
            "model.train()."
        )
    if _flags(net) != flags:
        not_yet(
            "afterwards the training flags of the modules are not what they were. Note every module's flag before you "
            "change it, and set it back, one by one."
        )
    if out.shape != (samples, len(x), classes):
        not_yet(
            f"the result must have the shape (samples, n, classes), here {(samples, len(x), classes)}; yours has "
            f"{tuple(out.shape)}."
        )
    if out.requires_grad:
        not_yet("the result still carries gradients. Run the passes within torch.no_grad().")
    if (out < 0).any() or (out.sum(-1) - 1).abs().max() > 1e-3:
        not_yet("the result must be probabilities: the softmax of the logits over the classes, for each pass.")
    return out


@exercise("ch12.mc_passes", allow=("torch",))
def mc_passes(answer: object, g: torch.Generator) -> str:
    """``mc_passes(model, x, samples)``: probabilities of passes with the dropout modules in training, all else not."""
    f = function(answer)
    x = torch.randn(5, 6, generator=g) + 2
    net = _seeded(lambda: _with_norm(0.5), g).eval()
    samples = integer(g, 6, 9)
    out = _passes(f, net, x, samples)
    if torch.equal(out[0], out[-1]):
        not_yet(
            "all passes are the same: dropout is off. Set the dropout modules to training after model.eval(), however "
            "deep they are: model.modules() yields all of them."
        )
    # Without dropout every pass is the evaluation; in whatever mode the model comes.
    for mode in (False, True):
        still = _seeded(lambda: _with_norm(0.0), g).train(mode)
        out = _passes(f, still, x, 3)
        was = _flags(still)
        with torch.no_grad():
            want = still.eval()(x).softmax(-1)
        for module, flag in zip(still.modules(), was, strict=True):
            module.training = flag
        if (out - want).abs().max() > 1e-4:
            told = "given in training mode, " if mode else ""
            not_yet(
                f"{told}batch normalization used the statistics of the batch instead of what it learnt: with p = 0 "
                "every pass should be the evaluation. All modules but dropout must be in evaluation mode."
            )
    _passes(f, _seeded(lambda: _with_norm(0.5), g).eval(), x[:1], 4)
    mixed = _seeded(lambda: _with_norm(0.5), g).train()
    mixed[1].eval()
    _passes(f, mixed, x, 3)
    for kind, make in _KINDS.items():
        shape = _SHAPES.get(kind, (16,))
        one = _seeded(
            lambda make=make, shape=shape: nn.Sequential(
                nn.Linear(6, 16), nn.Unflatten(1, shape), make(), nn.Flatten(), nn.Linear(16, 4)
            ),
            g,
        ).eval()
        out = _passes(f, one, x, 12)
        if torch.equal(out[:1].expand_as(out), out):
            not_yet(
                f"{kind} stayed off. Look for every subclass of torch.nn.modules.dropout._DropoutNd, with isinstance."
            )
    root = nn.Dropout(0.5).eval()
    out = _passes(f, root, torch.randn(8, 4, generator=g), 12)
    if torch.equal(out[0], out[-1]):
        not_yet("when the model itself is a dropout module it stayed off: model.modules() yields the model, too.")
    # The law: passes are independent, at the rate of the module.
    linear = nn.Sequential(nn.Dropout(0.25)).eval()
    hits = _passes(f, linear, torch.tensor([[20.0, 0.0, 0.0, 0.0]]), 800)[:, 0, 0]
    share = float((hits < 0.5).double().mean())
    if abs(share - 0.25) > 5 * math.sqrt(0.25 * 0.75 / 800):
        not_yet(f"at p = 0.25 a share of 0.25 of the passes should have dropped a unit; in yours it was {share:.3f}.")
    return "Dropout and nothing else, and the network as you found it."


# ---- calibration_error


def _bins(confidence: Tensor, right: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    number_of = (confidence * bins).long().clamp(max=bins - 1)
    zeros = torch.zeros(bins, dtype=torch.float64)
    return tuple(zeros.scatter_add(0, number_of, values) for values in (torch.ones_like(confidence), confidence, right))


@exercise("ch12.calibration_error")
def calibration_error(answer: object, g: torch.Generator) -> str:
    """``calibration_error(confidence, right, bins)``: sum over the bins of n_b / n |acc_b - conf_b|."""
    f = function(answer)
    cases = [(200, 10), (60, 15), (integer(g, 30, 90), integer(g, 4, 20))]
    for n, bins in cases:
        confidence = 0.4 + 0.6 * torch.rand(n, generator=g, dtype=torch.float64) ** 0.7
        confidence[: n // 4] = 1.0  # some answers are certain; the bins below 0.4 are empty
        right = (torch.rand(n, generator=g, dtype=torch.float64) < 0.75 * confidence).double()
        order = torch.randperm(n, generator=g)
        confidence, right = confidence[order], right[order]
        count, sums, hits = _bins(confidence, right, bins)
        full = count > 0
        gaps = ((hits - sums)[full] / count[full]).abs()
        want = float((hits - sums).abs().sum() / n)
        got = number(f(confidence.clone(), right.clone(), bins), "the calibration error")
        told = f"(For {n} answers in {bins} bins you gave {got:.5g}.)"
        if math.isnan(got):
            not_yet(f"your result is NaN: an empty bin has no mean. It counts 0. {told}")
        if near(got, want):
            continue
        inside = confidence < 1
        _, lost_sums, lost_hits = _bins(confidence[inside], right[inside], bins)
        lost = (lost_hits - lost_sums).abs().sum()
        middles = (torch.arange(bins, dtype=torch.float64) + 0.5) / bins
        known = {
            float(lost) / n: "answers with a confidence of exactly 1 are in none of your bins. The last bin holds 1 as "
            "well",
            float(lost) / max(1, int(inside.sum())): "answers with a confidence of exactly 1 are in none of your bins. "
            "The last bin holds 1 as well",
            float(gaps.mean()): "you take the plain mean over the bins. Weigh each bin with its share n_b / n of the "
            "answers",
            float(gaps.sum()): "you add up the gaps without weights. Weigh each bin with its share n_b / n of the "
            "answers",
            float(gaps.sum()) / bins: "you take the plain mean over all bins, empty ones too. Weigh each bin with its "
            "share n_b / n of the answers",
            float(gaps.max()): "that is the largest gap of any bin. Take the weighted mean of all",
            abs(float((right - confidence).mean())): "gaps of different signs cancel in your sum. Take the absolute "
            "value in each bin, before you add",
            float((right - confidence).abs().mean()): "you take the absolute value answer by answer. First average "
            "within a bin, then take the absolute value",
            float(
                (hits - count * middles).abs().sum() / n
            ): "you use the middle of the bin for its confidence. Use the mean confidence of the answers in it",
            100 * want: "return a number between 0 and 1, not percent",
            want * n: "you forgot to divide by the number of answers",
        }
        for value, hint in known.items():
            if near(got, value):
                not_yet(f"{hint}. {told}")
        signed = float((hits - sums).sum() / n), float((sums - hits).sum() / n)
        if any(near(got, value) for value in signed):
            not_yet(
                "gaps of different signs cancel in your sum. Take the absolute value in each bin, before you add. "
                f"{told}"
            )
        not_yet(f"the sum over the bins of n_b / n times |acc_b - conf_b| is another number. {told}")
    return "Gaps weighted by how many answers they concern."


# ---- linear_spread


@exercise("ch12.linear_spread")
def linear_spread(answer: object, g: torch.Generator) -> str:
    """``linear_spread(X, y, x, p)``: p / k sum (w_j x_j)^2 with the weights that dropout converges to."""
    f = function(answer)
    for n, d in ((40, 3), (200, 5), (integer(g, 20, 60), integer(g, 2, 4))):
        p = uniform(g, 0.1, 0.4) if n != 200 else 0.5
        mixing = torch.randn(d, d, generator=g, dtype=torch.float64)
        X = torch.randn(n, d, generator=g, dtype=torch.float64) @ mixing
        y = X @ (1 + torch.rand(d, generator=g, dtype=torch.float64))
        y = y + 0.3 * torch.randn(n, generator=g, dtype=torch.float64)
        x = torch.randn(d, generator=g, dtype=torch.float64) + 0.5
        ratio, gram, target = p / (1 - p), X.T @ X, X.T @ y
        w = torch.linalg.solve(gram + ratio * gram.diag().diag(), target)
        terms = (w * x).square().sum()
        want = float(ratio * terms)
        got = number(f(X.clone(), y.clone(), x.clone(), p), "the variance")
        if near(got / want, 1.0, tolerance=1e-4):
            continue
        told = f"(With {n} examples, {d} inputs and p = {p:g} you gave {got:.5g}.)"
        plain = torch.linalg.solve(gram, target)
        even = torch.linalg.solve(gram + ratio * torch.eye(d, dtype=torch.float64), target)
        noise = float((y - X @ plain).square().mean())
        known = {
            math.sqrt(want): "that is the standard deviation. Return the variance",
            want / n: "you divide by the number of examples. The masks do not know how many there were",
            float(p * terms): "the variance of m / k is not p. It is k (1 - k) divided by k squared",
            float(p * (1 - p) * terms): "that is the variance with masks that are not divided by k. Dropout divides "
            "what survives by k",
            float(terms / ratio): "p and k are swapped: p is the probability of dropping, here and in the formula",
            float(ratio * (w * x).sum() ** 2): "you square the sum. The coins are independent, so the variances of the "
            "terms add: square each term, then add",
            float(ratio * (w * x).abs().sum()): "the terms are not squared. The variance of a constant times a coin "
            "has the square of the constant",
            float(ratio * w.square().sum()): "the point x does not occur in your result. The terms are w_j x_j",
            float(ratio * (plain * x).square().sum()): "these are the weights of plain least squares. Training with "
            "dropout adds p/k times the diagonal of X'X",
            float(ratio * (even * x).square().sum()): "you add p/k times the identity. The penalty of dropout is p/k "
            "times the diagonal of X'X, so that it follows the size of each input",
            float(x @ torch.linalg.solve(gram, x)): "that is the variance of a posterior, which falls with the number "
            "of examples. Here only the masks are random",
            float(noise * (x @ torch.linalg.solve(gram, x))): "that is the variance of the least-squares prediction "
            "over other data. Here the data are given, and only the masks are random",
        }
        swapped = (1 - p) / p
        other = torch.linalg.solve(gram + swapped * gram.diag().diag(), target)
        known[float(swapped * (other * x).square().sum())] = (
            "p and k are swapped: p is the probability of dropping, here and in the formula"
        )
        for value, hint in known.items():
            if near(got / value, 1.0, tolerance=1e-4):
                not_yet(f"{hint}. {told}")
        not_yet(f"the variance is p/k times the sum of (w_j x_j) squared, with the weights above. {told}")
    return "The number of examples is not in the formula, so it cannot make the spread vanish."
