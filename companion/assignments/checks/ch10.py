"""Chapter 10, placement: misplaced dropout found, an MLP with a rate a site, activations, a paired experiment."""

import itertools
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.assignments.check import exercise, function, integer, near, not_yet, number, shown, uniform

# ---- misplaced

_WEIGHTS = ("linear", "conv", "attend")


def _faults(layers: list[str], i: int) -> list[str]:
    """The rules that the dropout at position i breaks."""
    behind, broken = layers[i + 1 :], []
    if not any(name in _WEIGHTS for name in behind):
        broken.append("logits")
    if i and layers[i - 1] == "add":
        broken.append("sum")
    if behind[:1] == ["softmax"]:
        broken.append("scores")
    if "batchnorm" in behind:
        broken.append("batchnorm")
    return broken


_BROKEN = {
    "logits": "no weight layer comes behind it, so it drops logits",
    "sum": 'it stands directly behind "add", so it drops the shortcut as well',
    "scores": 'it stands directly before "softmax": a score of 0 is no missing score, it still gets a share',
    "batchnorm": 'a "batchnorm" comes later, which will have stored the statistics of dropped units',
}
_NETWORKS = (
    "linear relu linear relu linear",
    "conv relu pool conv relu pool linear relu linear",
    "conv batchnorm relu conv batchnorm relu pool linear",
    "conv relu conv batchnorm add relu conv relu conv add pool linear",
    "linear softmax attend linear add linear relu linear add pool linear",
    "linear relu linear pool",
    "linear linear softmax attend add linear softmax",
)


@exercise("ch10.misplaced")
def misplaced(answer: object, g: torch.Generator) -> str:
    """``misplaced(layers)`` -> positions of the dropouts that break one of four rules, in order."""
    f = function(answer)
    for network in 4 * _NETWORKS:
        layers: list[str] = []
        for name in network.split():
            layers.append(name)
            if integer(g, 0, 1):
                layers.append("dropout")
        if integer(g, 0, 3) == 0:
            layers.insert(0, "dropout")
        places = [i for i, name in enumerate(layers) if name == "dropout"]
        want = {i: _faults(layers, i) for i in places if _faults(layers, i)}
        got = f(list(layers))
        got = got.tolist() if isinstance(got, Tensor) else got
        if not isinstance(got, list | tuple | set) or not all(isinstance(i, int) for i in got):
            not_yet(f"return a list of positions, whole numbers; it was {shown(got)}.")
        shape = " ".join(layers)
        for i in sorted(got):
            if not 0 <= i < len(layers) or layers[i] != "dropout":
                not_yet(
                    f"position {i} of “{shape}” is no dropout. Positions are counted from 0 among all layers, not "
                    "among the dropouts."
                )
            if i not in want:
                near_by = (
                    f"{layers[i - 1] if i else 'the input'} and {layers[i + 1] if i + 1 < len(layers) else 'the end'}"
                )
                not_yet(
                    f"the dropout at position {i} of “{shape}”, between {near_by}, breaks none of the four rules: it "
                    "was put where it may be."
                )
        for i, broken in want.items():
            if i not in got:
                not_yet(f"you let the dropout at position {i} of “{shape}” pass, but {_BROKEN[broken[0]]}.")
        if len(got) != len(want):
            not_yet(f"name every misplaced dropout once; for “{shape}” you returned {shown(got)}.")
    return "Logits, shortcuts, scores and batch statistics are safe from you."


# ---- build_mlp


def _linears(model: nn.Module, widths: tuple[int, ...]) -> list[nn.Linear]:
    found = [module for module in model.modules() if isinstance(module, nn.Linear)]
    shapes = [(layer.in_features, layer.out_features) for layer in found]
    want = list(itertools.pairwise(widths))
    if shapes != want:
        not_yet(f"for widths {widths} the nn.Linear layers should be {want}, inputs and outputs; they were {shapes}.")
    return found


class _Probe:
    """Runs a model and keeps what went into and came out of each of its linear layers."""

    def __init__(self, model: nn.Module, layers: list[nn.Linear]) -> None:
        self.model, self.layers = model, layers

    def __call__(self, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        into: list[Tensor] = []
        out: list[Tensor] = []

        def keep(_: nn.Module, arguments: tuple, result: Tensor) -> None:
            into.append(arguments[0].detach())
            out.append(result.detach())

        hooks = [layer.register_forward_hook(keep) for layer in self.layers]
        try:
            with torch.no_grad():
                y = self.model(x)
        finally:
            for hook in hooks:
                hook.remove()
        if len(into) != len(self.layers):
            not_yet(f"the network has {len(self.layers)} linear layers; a pass went through {len(into)} of them.")
        return into, out, y


@exercise("ch10.build_mlp", allow=("torch",))
def build_mlp(answer: object, g: torch.Generator) -> str:
    """``build_mlp(widths, rates)`` -> nn.Module; rates: one for the input, one for each hidden layer."""
    f = function(answer)
    for hidden in (1, 3, 2):
        widths = (integer(g, 30, 50), *(integer(g, 60, 90) for _ in range(hidden)), integer(g, 3, 9))
        rates = [uniform(g, 0.1, 0.2), *(uniform(g, 0.35, 0.45) + 0.15 * (i % 2) for i in range(hidden))]
        if hidden == 2:
            rates[1] = 0.0
        model = f(widths, list(rates))
        if not isinstance(model, nn.Module):
            not_yet(f"build_mlp must return an nn.Module; it was {shown(model)}.")
        layers = _linears(model, widths)
        with torch.no_grad():
            for layer in layers:
                layer.weight.fill_(1 / layer.in_features)
                layer.bias.fill_(0.1)
        probe, x = _Probe(model, layers), 0.5 + torch.rand(500, widths[0], generator=g)
        model.eval()
        clean, _, y = probe(x)
        told = f"(widths {widths}, rates {shown(rates)})"
        if not torch.equal(y, probe(x)[2]):
            not_yet(f"after model.eval() two passes differ: something is dropped at evaluation as well. {told}")
        if not torch.allclose(clean[0], x, atol=1e-5):
            not_yet(f"at evaluation the first layer must get the input as it is. {told}")
        with torch.no_grad():
            layers[-1].bias.fill_(-50.0)
        if bool((probe(x)[2] > -1).any()):
            not_yet(f"logits may be negative: nothing belongs behind the last linear layer, no ReLU either. {told}")
        with torch.no_grad():
            layers[-1].bias.fill_(0.1)
            layers[0].bias.fill_(-50.0)
        if hidden and bool(probe(x)[0][1].abs().max() > 0):
            not_yet(f"between two linear layers there must be a ReLU: negative numbers came through. {told}")
        with torch.no_grad():
            layers[0].bias.fill_(0.1)
        model.train()
        into, out, y = probe(x)
        if y.shape != out[-1].shape or not torch.allclose(y, out[-1]):
            not_yet(f"the logits are changed behind the last linear layer in training: no dropout there. {told}")
        for i, p in enumerate(rates):
            where = "the input" if i == 0 else f"hidden layer {i}"
            gone = float((into[i] == 0).double().mean())
            if abs(gone - p) > 0.03:
                others = [j for j, q in enumerate(rates) if j != i and abs(q - gone) < 0.03]
                hint = (
                    f" That is the rate of {'the input' if others[0] == 0 else f'hidden layer {others[0]}'}."
                    if others
                    else ""
                )
                if abs(gone - (1 - p)) < 0.03:
                    hint = " That is 1 − p: p is the probability of dropping."
                not_yet(f"at {where} {p:.2f} should be dropped in training; it was {gone:.2f}.{hint} {told}")
            before = x if i == 0 else out[i - 1].relu()
            kept = into[i] != 0
            if p and not torch.allclose(into[i][kept], (before / (1 - p))[kept], atol=1e-4):
                not_yet(f"what survives at {where} must be divided by 1 − p, as in inverted dropout. {told}")
    return "Every site has its rate, and the logits have none."


# ---- agrees

_ACTIVATIONS = {
    "relu": (F.relu, (True, True)),
    "leaky_relu": (F.leaky_relu, (True, True)),
    "the identity": (lambda h: h, (True, True)),
    "the absolute value": (torch.abs, (True, True)),
    "tanh": (torch.tanh, (True, False)),
    "gelu": (F.gelu, (True, False)),
    "elu": (F.elu, (True, False)),
    "relu6": (F.relu6, (True, False)),
    "the square": (torch.square, (True, False)),
    "the sigmoid": (torch.sigmoid, (False, False)),
    "softplus": (F.softplus, (False, False)),
    "relu plus 1": (lambda h: F.relu(h) + 1, (False, False)),
    "the constant 1": (torch.ones_like, (False, False)),
}


@exercise("ch10.agrees")
def agrees(answer: object, g: torch.Generator) -> str:
    """``agrees(f, p)`` -> two truths, for a dropped unit and for a kept one: dropout before f is dropout behind f."""
    f = function(answer)
    names = list(_ACTIVATIONS)
    for i in torch.randperm(len(names), generator=g).tolist():
        activation, want = _ACTIVATIONS[names[i]]
        p = uniform(g, 0.2, 0.6)
        got = f(activation, p)
        got = got.tolist() if isinstance(got, Tensor) else got
        if not isinstance(got, list | tuple) or len(got) != 2:
            not_yet(f"return two truths, for a dropped and for a kept unit; it was {shown(got)}.")
        got = tuple(bool(part) for part in got)
        if got[0] != want[0]:
            says = "0 too" if want[0] else "not 0"
            not_yet(
                f"{names[i]}, a dropped unit: before the activation it becomes f(0), which is {says}; behind it, it "
                f"becomes 0. You said {got[0]}."
            )
        if got[1] != want[1]:
            if want[1]:
                not_yet(
                    f"{names[i]}, a kept unit: f(h/k) and f(h)/k are equal for every h, up to rounding. Compare with a "
                    "small tolerance."
                )
            not_yet(
                f"{names[i]}, a kept unit, p = {p:g}: f(h/k) and f(h)/k differ for some h. Look at negative and at "
                "large h too, and do not forget that what is kept is divided by k = 1 − p."
            )
    return "Thirteen activations: homogeneous ones may stand on either side of dropout."


# ---- judge


class Trainer:
    """A pretended lab that answers at once: test accuracies by site and seed, with luck that all sites share.

    Args:
        gain: of the site over no dropout, in points.
        site: the site's name.
        key: decides about luck and noise.
        budget: how many trainings are allowed.
    """

    def __init__(self, gain: float, site: str, key: int, budget: int = 40) -> None:
        self._gain, self._site, self._key, self._budget = gain, site, key, budget
        self.done: dict[tuple[str, int], float] = {}

    def __repr__(self) -> str:
        return "a lab"

    def __call__(self, site: str, seed: int) -> float:
        """Trains one network with dropout at ``site``, or "none", and returns its test accuracy in percent."""
        seed = int(seed)
        if site not in ("none", self._site):
            not_yet(f'this lab knows the sites "none" and {self._site!r}; train was asked for {shown(site)}.')
        if (site, seed) not in self.done and len(self.done) == self._budget:
            not_yet(f"the budget is spent: this was training number {self._budget + 1} of {self._budget}.")
        luck = 5 * random.Random(f"{self._key} {seed}").gauss(0, 1)
        noise = 0.0 if site == "none" else self._gain + (0.9 if seed % 2 else -0.9)
        return self.done.setdefault((site, seed), 80 + luck + noise)


_VERDICTS = ("as expected", "undecided", "opposite")


def _judged(mean: float, error: float, expected: str) -> str:
    if abs(mean) <= 2 * error:
        return "undecided"
    return "as expected" if (mean > 0) == (expected == "+") else "opposite"


@exercise("ch10.judge")
def judge(answer: object, g: torch.Generator) -> str:
    """``judge(train, site, expected)`` -> mean paired gain, its standard error, and a verdict on the expected sign."""
    f = function(answer)
    cases = [(3.0, "+"), (3.0, "-"), (-3.0, "+"), (-3.0, "-"), (0.0, "+"), (0.0, "-")]
    for i in torch.randperm(len(cases), generator=g).tolist():
        gain, expected = cases[i]
        site = ("input", "hidden", "logits")[integer(g, 0, 2)]
        lab = Trainer(gain * uniform(g, 0.9, 1.1), site, integer(g, 0, 2**40))
        got = f(lab, site, expected)
        if not isinstance(got, list | tuple) or len(got) != 3:
            not_yet(f"return three things: mean gain, standard error, verdict; it was {shown(got)}.")
        mean, error, verdict = number(got[0], "the mean gain"), number(got[1], "the standard error"), got[2]
        seeds = {name: sorted(seed for one, seed in lab.done if one == name) for name in ("none", site)}
        if not seeds["none"] or not seeds[site]:
            not_yet(f'a gain needs both arms: train "none" and {site!r}.')
        if seeds["none"] != seeds[site]:
            not_yet(
                "the arms had different seeds. Seeds differ by some five points of luck, which pairing takes out: give "
                "both arms the same seeds."
            )
        if len(seeds["none"]) < 8:
            not_yet(f"{len(seeds['none'])} seeds are too few for a standard error that can be trusted; take 8 or more.")
        pairs = [(lab.done[site, seed], lab.done["none", seed]) for seed in seeds["none"]]
        differences = torch.tensor([a - b for a, b in pairs], dtype=torch.float64)
        n = len(pairs)
        want, right = float(differences.mean()), float(differences.std()) / math.sqrt(n)
        told = f"({n} seeds; you gave {mean:.4g} and {error:.4g}.)".replace("-", "−")
        if near(mean, -want) and not near(mean, want):
            not_yet(f"the sign is the wrong way round: a gain is with dropout minus without. {told}")
        if not near(mean, want, tolerance=1e-4):
            not_yet(f"the mean gain is the mean over seeds of (with dropout minus none). {told}")
        if not near(error, right, tolerance=1e-3):
            apart = torch.tensor(pairs, dtype=torch.float64).var(0).sum()
            if near(error, math.sqrt(float(apart) / n), tolerance=1e-3):
                not_yet(
                    f"this is the standard error of two independent groups: take differences seed by seed first. {told}"
                )
            if near(error, float(differences.std()), tolerance=1e-3):
                not_yet(f"this is how much single differences vary; their mean varies less, by the root of {n}. {told}")
            not_yet(f"the standard error is the deviation of the differences over the root of their number. {told}")
        if verdict not in _VERDICTS:
            not_yet(f"the verdict is one of {', '.join(map(repr, _VERDICTS))}; it was {shown(verdict)}.")
        right_verdict = _judged(want, right, expected)
        if verdict != right_verdict:
            said = (
                f"{want:+.2f} ± {right:.2f} with {expected!r} expected is {right_verdict!r}, not {verdict!r}".replace(
                    "-", "−"
                )
            )
            why = {
                "undecided": "a mean within two standard errors of zero says nothing about the sign",
                "as expected": "the mean is more than two standard errors from zero, on the side that was expected",
                "opposite": "the mean is more than two standard errors from zero, on the other side than expected",
            }[right_verdict]
            not_yet(f"{said}: {why}.")
    return "Paired, with an error bar, and judged against what was said beforehand."
