"""Chapter 11, dropout and BatchNorm: the ratio of variances predicted, measured, taken away, and through a layer."""

import copy
import math

import torch
from torch import Tensor, nn

from companion.assignments.check import exercise, function, integer, near, not_yet, number, numbers, uniform
from companion.batchnorm import measure_shift
from companion.batchnorm import recalibrate as reference

# ---- variance_ratio


@exercise("ch11.variance_ratio")
def variance_ratio(answer: object, g: torch.Generator) -> str:
    """``variance_ratio(mean, variance, p)``: v / ((c^2 + v) / k - c^2)."""
    f = function(answer)
    relu = 1 / math.sqrt(2 * math.pi), 1 / 2 - 1 / (2 * math.pi)
    cases = [(*relu, 0.5), (0.0, 1.0, 0.5), (*relu, 0.2), (1.0, 1.0, 0.0)]
    cases += [(uniform(g, -2, 2), uniform(g, 0.2, 3), uniform(g, 0.1, 0.8)) for _ in range(5)]
    for c, v, p in cases:
        k = 1 - p
        want = v / ((c**2 + v) / k - c**2)
        got = number(f(c, v, p), "the ratio")
        if near(got, want):
            continue
        told = f"(For a mean of {c:.4g}, a variance of {v:.4g} and p = {p:g} you gave {got:.5g}.)"
        if near(got, 1 / want):
            not_yet(f"that is training over evaluation. Divide the other way round: evaluation over training. {told}")
        if near(got, math.sqrt(want)):
            not_yet(f"that is the ratio of the standard deviations. Return that of the variances. {told}")
        if near(got, k):
            not_yet(
                f"that is k = 1 - p, which is right for a unit of mean 0 only. This unit has a mean, and a coin that "
                f"drops a large mean adds variance of its own. {told}"
            )
        if near(got, v / (k * (c**2 + v) - k**2 * c**2)):
            not_yet(
                f"your mask is not divided by k. Inverted dropout is: what survives is x / k, and the mean square in "
                f"training is (mean**2 + variance) / k. {told}"
            )
        if p and near(got, v / ((c**2 + v) / p - c**2)):
            not_yet(f"you divide by p. A unit survives with k = 1 - p. {told}")
        if near(got, v * k / (c**2 + v)):
            not_yet(
                f"(mean**2 + variance) / k is the mean square in training, not yet the variance: subtract the square "
                f"of the mean. {told}"
            )
        if near(got, v / ((c**2 + v) / k - c**2 / k**2)):
            not_yet(f"the mean in training is {c:.4g}, not {c / k:.4g}: the division by k keeps it. {told}")
        not_yet(f"write down the mean square and the mean of m x / k, and from them the variance. {told}")
    return "The further a unit's mean is from zero, the more a coin upsets its variance."


# ---- variance_shift


class _Heard(nn.Dropout):
    """Dropout that remembers whether it was ever on when it was called."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.on: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.on.append(self.training)
        return super().forward(x)


class _Network(nn.Module):
    """A network with BatchNorms of both kinds, dropout between them, and statistics that training has left."""

    def __init__(self, g: torch.Generator) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(integer(g, 0, 10**6))
            self.maps = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), _Heard(0.5), nn.Flatten())
            self.head = nn.Sequential(nn.Linear(45, 7), nn.BatchNorm1d(7), nn.ReLU(), _Heard(0.3), nn.Linear(7, 3))
            self.train()
            with torch.no_grad():
                for _ in range(12):
                    self(_images(g, 60))
        self.drops = [self.maps[3], self.head[3]]
        self.norms = [self.maps[1], self.head[1]]
        for drop in self.drops:
            drop.on.clear()
        self.maps[3].training = False  # modes are mixed in real life, too

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x))


def _images(g: torch.Generator, n: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, 2, 5, 5, generator=g) + 0.5 + shift


def _like(got: list[float], want: list[float]) -> bool:
    """Within a hundredth of each: variances with n and with n - 1 in the denominator are both right."""
    return all(abs(a - float(b)) <= 0.01 * abs(float(b)) for a, b in zip(got, want, strict=True))


def _modes(net: nn.Module) -> list[bool]:
    return [module.training for module in net.modules()]


def _hooks(net: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def _left_alone(net: _Network, modes: list[bool]) -> None:
    """Refuses an answer that leaves hooks or modes behind."""
    if _hooks(net):
        not_yet("hooks of yours are still on the model. Every later call would run them: call remove() on each handle.")
    if _modes(net) != modes:
        now = "evaluation" if not any(_modes(net)) else "training" if all(_modes(net)) else "other"
        not_yet(
            f"afterwards the modules are in {now} mode, and they were not all so before. Keep `module.training` of "
            "every module, and put it back one by one: model.train() and model.eval() set all of them alike."
        )


def _inputs_of(net: _Network, batches: list[Tensor]) -> list[list[Tensor]]:
    """What each BatchNorm receives at evaluation, a tensor with one row a channel for each batch."""
    net = copy.deepcopy(net).eval()
    seen: list[list[Tensor]] = [[], []]
    with torch.no_grad():
        for x in batches:
            maps = net.maps[0](x)
            flat = net.head[0](net.maps(x))
            seen[0].append(maps.movedim(1, 0).flatten(1))
            seen[1].append(flat.T)
    return seen


@exercise("ch11.variance_shift", allow=["torch"])
def variance_shift(answer: object, g: torch.Generator) -> str:
    """``variance_shift(model, batches)``: median over channels of Var(input at evaluation) / running_var, a layer."""
    f = function(answer)
    for _ in range(2):
        net = _Network(g)
        for norm in net.norms:  # uneven, so that the median is not the mean
            norm.running_var *= torch.linspace(0.4, 3, len(norm.running_var)) ** 2
        batches = [_images(g, 150, -0.6), _images(g, 40, 1.5), _images(g, 210, 0.4)]
        before, modes = copy.deepcopy(net.state_dict()), _modes(net)
        want = [row.running_ratio for row in measure_shift(net, batches)]
        seen = _inputs_of(net, batches)
        for drop in net.drops:
            drop.on.clear()
        got = f(net, batches)
        if any(any(drop.on) for drop in net.drops):
            not_yet(
                "while you measured, a dropout was on: that is the variance of training. The ratio has the variance at "
                "evaluation above the line, so put the model into evaluation mode first."
            )
        if any(not torch.equal(before[name], value) for name, value in net.state_dict().items()):
            not_yet(
                "the statistics of the model have moved: a BatchNorm in training mode updates them at every call, "
                "torch.no_grad() or not. Measure in evaluation mode."
            )
        _left_alone(net, modes)
        got = numbers(got, 2, "the answer for a model with two BatchNorms")
        if _like(got, want):
            continue
        stored = [norm.running_var for norm in net.norms]
        whole = [torch.cat(rows, 1) for rows in seen]
        told = f"(You gave {got[0]:.4g} and {got[1]:.4g}; expected {want[0]:.4g} and {want[1]:.4g}.)"

        def is_(values: list[float], got: list[float] = got) -> bool:
            return _like(got, values)

        def ratios(variances: list[Tensor], stored: list[Tensor] = stored) -> list[float]:
            return [float((v / kept).median()) for v, kept in zip(variances, stored, strict=True)]

        if is_(want[::-1]):
            not_yet(f"the order is that of model.modules(). {told}")
        if is_([float((kept / rows.var(1)).median()) for rows, kept in zip(whole, stored, strict=True)]):
            not_yet(f"divide what arrives at evaluation by what is stored, not the other way round. {told}")
        if is_([float((rows.var(1) / kept).mean()) for rows, kept in zip(whole, stored, strict=True)]):
            not_yet(f"take the median over the channels: one odd channel can spoil the mean. {told}")
        if is_([math.sqrt(value) for value in want]):
            not_yet(f"that is a ratio of standard deviations. {told}")
        if is_(ratios([torch.stack([r.var(1) for r in rows]).mean(0) for rows in seen])):
            not_yet(
                f"you average the variances of the batches. The data are all batches together: what lies between the "
                f"means of the batches counts, too. {told}"
            )
        if is_(ratios([rows[0].var(1) for rows in seen])) or is_(ratios([rows[-1].var(1) for rows in seen])):
            not_yet(f"only one batch reached your variance. Collect the inputs of all of them. {told}")
        if is_([float(rows.var() / kept.mean()) for rows, kept in zip(whole, stored, strict=True)]):
            not_yet(f"one variance over all channels together is not what a BatchNorm stores: one a channel. {told}")
        outputs = [
            (rows - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
            for rows, norm in zip(whole, net.norms, strict=True)
        ]
        if is_(ratios([rows.var(1) for rows in outputs])):
            not_yet(f"you recorded what the BatchNorm gives. Record what it receives: its input. {told}")
        not_yet(f"for each channel, the variance of all its elements in all batches, over running_var. {told}")
    return "The network is as it was, and you know what it will meet."


# ---- recalibrate


def _statistics(net: _Network) -> list[Tensor]:
    return [value.clone() for norm in net.norms for value in (norm.running_mean, norm.running_var)]


def _by_torch(net: _Network, batches: list[Tensor], momentum: float | None, reset: bool = True) -> list[Tensor]:
    """What BatchNorms in training mode store, with dropout off."""
    net = copy.deepcopy(net).eval()
    for norm in net.norms:
        norm.momentum = momentum
        if reset:
            norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        for x in batches:
            net(x)
    return _statistics(net)


def _by_companion(net: _Network, batches: list[Tensor], exact: bool) -> list[Tensor]:
    net = copy.deepcopy(net)
    reference(net, batches, exact=exact)
    return _statistics(net)


def _agree(got: Tensor, want: Tensor, deviation: Tensor, mean: bool) -> bool:
    return bool(((got - want).abs() <= (0.06 * deviation if mean else 0.06 * want)).all())


def _close(got: list[Tensor], wants: list[list[Tensor]]) -> list[bool]:
    """For mean and variance of each layer, whether it is near one of the wanted ones."""
    return [
        any(_agree(got[i], want[i], want[i | 1].sqrt(), mean=i % 2 == 0) for want in wants) for i in range(len(got))
    ]


@exercise("ch11.recalibrate", allow=["torch"])
def recalibrate(answer: object, g: torch.Generator) -> str:
    """``recalibrate(model, batches)``: statistics of the inputs with dropout off, and nothing else changed."""
    f = function(answer)
    net = _Network(g)
    net.norms[1].momentum = 0.25
    other = copy.deepcopy(net)  # the same weights with other statistics
    for norm in other.norms:
        norm.running_mean += 3
        norm.running_var *= 5
    batches = [_images(g, 400, 0.3 * (-1) ** i) for i in range(6)]
    wants = [
        _by_torch(net, batches, None),
        _by_companion(net, batches, exact=False),
        _by_companion(net, batches, exact=True),
    ]
    found = []
    for one in (net, other):
        before, modes, momenta = _statistics(one), _modes(one), [norm.momentum for norm in one.norms]
        weights = [parameter.detach().clone() for parameter in one.parameters()]
        for drop in one.drops:
            drop.on.clear()
        f(one, batches)
        if any(any(drop.on) for drop in one.drops):
            not_yet(
                "dropout was on while you collected the statistics, so they are those of training again. Only the "
                "BatchNorm layers belong in training mode here."
            )
        if any(not torch.equal(a, b) for a, b in zip(weights, one.parameters(), strict=True)):
            not_yet("weights have changed. Recalibration is no training: no gradient, no optimizer, statistics only.")
        after = _statistics(one)
        unmoved = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        if all(unmoved):
            not_yet(
                "no statistic has moved. In evaluation mode a BatchNorm only reads what it has stored; to update it "
                "the BatchNorm layers (and they alone) must be in training mode."
            )
        if any(unmoved):
            which = "running_mean" if unmoved[0] or unmoved[2] else "running_var"
            layer = "BatchNorm2d" if any(unmoved[:2]) else "BatchNorm1d"
            not_yet(f"{which} of the {layer} has not moved. Both statistics of every BatchNorm are to be replaced.")
        if [norm.momentum for norm in one.norms] != momenta:
            not_yet(
                "the momentum of a BatchNorm is not what it was. Whoever goes on training this model would be "
                "surprised: put it back."
            )
        _left_alone(one, modes)
        found.append(after)
    close = [_close(after, wants) for after in found]
    if all(map(all, close)):
        return "The shift is gone. Whether the predictions are better is another question."
    if any(not torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(*found, strict=True)):
        not_yet(
            "something of the old statistics is left in the new ones: two models that differ in them only came out "
            "different. Forget them first: reset_running_stats()."
        )
    after = found[0]
    if all(_close(after, [_by_torch(net, batches, 0.1)])[:2]):
        not_yet(
            "the usual momentum is at work: it weighs the last batches most, and after few batches the 0 and the 1 of "
            "the reset are still in there. With momentum = None every batch counts alike."
        )
    single = [x for x in batches if all(_close(after, [_by_torch(net, [x], None)])[:2])]
    if single:
        not_yet("only one of the batches is in your statistics. All of them belong in.")
    not_yet(
        "the statistics are not those of the inputs with dropout off: for each channel, the mean and the variance over "
        "all batches, each of which counts as much as every other."
    )


# ---- layer_ratio


@exercise("ch11.layer_ratio")
def layer_ratio(answer: object, g: torch.Generator) -> str:
    """``layer_ratio(weight, mean, variance, correlation, p)``: the masks add to the variances, not the covariances."""
    f = function(answer)

    def ratio(w: Tensor, c: float, v: float, rho: float, p: float, pairs: float | None = None) -> float:
        squares = float((w**2).sum())
        pairs = float(w.sum()) ** 2 - squares if pairs is None else pairs
        alone = (c**2 + v) / (1 - p) - c**2
        return (squares * v + rho * v * pairs) / (squares * alone + rho * v * pairs)

    cases = []
    for _ in range(5):
        w = torch.rand(integer(g, 5, 80), generator=g) + 0.2
        w[: len(w) // 4] *= -1
        cases.append((w, uniform(g, 0.3, 1.5), uniform(g, 0.3, 2), uniform(g, 0.05, 0.9), uniform(g, 0.1, 0.8)))
    cases += [(torch.ones(64), 0.0, 1.0, 0.1, 0.5), (torch.ones(1), 0.4, 0.3, 0.0, 0.5)]
    cases += [(torch.tensor([1.0, -1.0]).repeat(8), 0.0, 1.0, 0.5, 0.5), (torch.ones(512), 0.4, 0.3, 0.5, 0.2)]
    for w, c, v, rho, p in cases:
        want = ratio(w, c, v, rho, p)
        got = number(f(w.clone(), c, v, rho, p), "the ratio")
        if near(got, want, tolerance=1e-4):
            continue
        squares, total = float((w**2).sum()), float(w.sum()) ** 2
        k, alone = 1 - p, (c**2 + v) / (1 - p) - c**2
        told = (
            f"(For {len(w)} weights with a sum of {float(w.sum()):.4g}, mean {c:.3g}, variance {v:.3g}, correlation "
            f"{rho:.3g} and p = {p:g} you gave {got:.5g}.)"
        )
        if near(got, 1 / want, tolerance=1e-4):
            not_yet(f"that is training over evaluation. Divide the other way round. {told}")
        if near(got, ratio(w, c, v, 0.0, p), tolerance=1e-4):
            not_yet(f"that is the ratio without correlation. The covariances of the pairs are missing. {told}")
        if near(got, ratio(w, 0.0, v, rho, p), tolerance=1e-4):
            not_yet(f"you leave out the mean. A mask multiplies the mean as well, and so adds variance. {told}")
        count = len(w)
        if near(got, ratio(w, c, v, rho, p, squares * (count - 1)), tolerance=1e-4):
            not_yet(
                f"you count pairs of inputs as if all weights were equal. A pair has the weight w_i w_j, and weights "
                f"of both signs cancel. {told}"
            )
        if near(got, ratio(w, c, v, rho, p, float(w.abs().sum()) ** 2 - squares), tolerance=1e-4):
            not_yet(f"the signs of the weights count: pairs of unlike sign take variance away. {told}")
        if near(got, ratio(w, c, v, rho, p, total), tolerance=1e-4):
            not_yet(
                f"the square of the sum of the weights counts every input as a pair with itself, too. Take the sum of "
                f"the squares off. {told}"
            )
        if near(
            got,
            (squares * v + rho * v * (total - squares)) / (squares * alone + rho * v * (total - squares) / k),
            tolerance=1e-4,
        ):
            not_yet(
                f"you divide the covariances by k as well. The masks of two inputs are independent, and each divided "
                f"by k has mean 1: covariances stay. {told}"
            )
        not_yet(f"split both variances into the terms alone and the pairs; dropout changes only the first. {told}")
    return "Width helps, but only through what the inputs have in common, and only if the weights do not cancel it."
