r"""Chapter 12: Monte-Carlo dropout. What ``model.train()`` breaks, what averaged passes are worth, what spread means.

Signs predicted before running. With ``model.train()`` the passes of a network with BatchNorm are right on a mixed batch
and worthless on a batch of one class, and the network is damaged afterwards. Averaging passes makes probabilities
flatter: that mends the calibration of an over-confident network (p = 0.2) and spoils that of a calibrated one (0.5).
The entropy of averaged passes finds images from elsewhere better than that of one pass, by little; a digit turned by a
quarter is not found. Some thirty passes are as good as a hundred. The geometric mean of the same passes is about as
good as one pass. In a linear model the variance over the passes does not shrink to zero with the number of examples.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from companion.data import Examples, digits
from companion.ensembles import geometric_mean
from companion.experiments.protocol import Record, make_record, seed_blocks
from companion.masks import check_p
from companion.models import StackedBatchNormMLP, StackedMLP
from companion.training import adam, train
from companion.uncertainty import auroc, calibration_interval, expected_calibration_error, mc_predict, nll, reliability

__all__ = [
    "ANGLES",
    "EXPERIMENTS",
    "dropout_ridge",
    "entropy",
    "held_out",
    "linear_spread",
    "linear_task",
    "one_network",
    "packed_turn",
    "predictions",
    "rotated",
    "train_bug",
    "turned_digit",
    "turned_digits",
]

SIDE, HIDDEN, STEPS, RATE = 8, (128, 128), 800, 2e-3
PASSES, FEW = 100, 30  # on the test images; on images from elsewhere
ANGLES = tuple(range(0, 181, 15))
COUNTS = (1, 2, 3, 5, 10, 20, 30, 50, 100)


def rotated(x: Tensor, degrees: float) -> Tensor:
    """Digits turned counter-clockwise about their middle, with linear interpolation and blank corners.

    Args:
        x: Tensor[..., 64] of pixels in [0, 1], row by row.
        degrees: the angle.
    """
    images = x.reshape(-1, SIDE, SIDE).numpy()
    turned = ndimage.rotate(images, degrees, axes=(2, 1), reshape=False, order=1, mode="constant", cval=0.0)
    return torch.from_numpy(turned).clamp(0, 1).reshape(x.shape)


def entropy(probabilities: Tensor) -> Tensor:
    """Entropy over the last axis, in nats."""
    return torch.special.entr(probabilities.double()).sum(-1)


def _passes(net: StackedMLP, x: Tensor, passes: int, seed: int, keep: bool = False):
    """Passes of a stacked network; it has no other random or stateful part than its dropout."""
    net.generator = None  # the passes draw from their own seed
    generator = torch.Generator().manual_seed(seed)
    return mc_predict(net, x, passes, also=(StackedMLP,), keep_samples=keep, generator=generator, method="loop")


def _one_pass(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net.eval()(x).softmax(-1)


def _percent(values: Tensor) -> Tensor:
    return 100 * values.double()


def _right(probabilities: Tensor, y: Tensor) -> Tensor:
    return _percent((probabilities.argmax(-1) == y).double().mean(-1))


# --- the bug ----------------------------------------------------------------------------------------------------------


def _naive_passes(model: nn.Module, x: Tensor, passes: int) -> Tensor:
    """What many tutorials do: the whole model in training mode, without gradients."""
    model.train()
    with torch.no_grad():
        mean = torch.stack([model(x).softmax(-1) for _ in range(passes)]).mean(0)
    model.eval()
    return mean


def train_bug(seeds: Sequence[int] = range(96), passes: int = 50, steps: int = 600, test: int = 700) -> Record:
    """Passes with ``model.train()`` against passes with nothing but dropout switched on, in networks with BatchNorm.

    Arms: the batch that is predicted; "one class" is digit s mod 10 for seed s. For each batch: the accuracy of the
    mean over the passes in both ways; the accuracy of the network on the test images before, and after the passes in
    both ways. Predicted: nothing happens with dropout only; with ``train()`` the mixed batch looks right, the batch of
    one class is answered no better than by chance, and all batches but the mixed one damage the network.

    Args:
        seeds: paired seeds, trained in blocks.
        passes: number of passes.
        steps: optimizer steps.
        test: number of test images; 200 of them are the mixed batch.
    """
    started = time.perf_counter()
    arms = ("mixed", "one class", "turned by 90°", "noise")
    ways: dict[str, Callable] = {
        "dropout only": lambda model, x: mc_predict(model, x, passes).mean,
        "train()": lambda model, x: _naive_passes(model, x, passes),
    }
    metrics: dict[str, dict[str, list[float]]] = {"accuracy before": {arm: [] for arm in arms}}
    for way in ways:
        metrics[f"accuracy of the passes, {way}"] = {arm: [] for arm in arms if arm != "noise"}
        metrics[f"accuracy afterwards, {way}"] = {arm: [] for arm in arms}
    for block in seed_blocks(seeds):
        task = digits(block, n_train=500, n_test=test, noise=0.0)
        stacked = StackedBatchNormMLP((SIDE**2, 128, 128, 128, 10), task.seeds, (0.3,))
        train(stacked, task.train, steps=steps, optimizer=adam(RATE), progress="networks with BatchNorm")
        images = task.test.open()
        for i, seed in enumerate(task.seeds):
            model, x, y = stacked.single(i), images.x[i], images.y[i]
            noise = torch.rand(200, SIDE**2, generator=torch.Generator().manual_seed(seed))
            same = y == seed % 10
            batches = {
                "mixed": x[:200],
                "one class": x[same],
                "turned by 90°": rotated(x[:200], 90),
                "noise": noise,
            }
            with torch.random.fork_rng([]):
                torch.manual_seed(seed)
                for arm, batch in batches.items():
                    labels = y[same] if arm == "one class" else y[:200]
                    metrics["accuracy before"][arm].append(float(_right(_one_pass(model, x), y)))
                    for way, predict in ways.items():
                        used = copy.deepcopy(model)
                        right = float(_right(predict(used, batch), labels))
                        metrics[f"accuracy afterwards, {way}"][arm].append(float(_right(_one_pass(used, x), y)))
                        if arm != "noise":
                            metrics[f"accuracy of the passes, {way}"][arm].append(right)
    return make_record(
        "mc-train-bug",
        started=started,
        task=f"digits, 500 images, right labels, {test} test images; 64-128-128-128-10 with BatchNorm, dropout p = 0.3",
        arms=arms,
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": RATE, "passes": passes},
        metrics=metrics,
        units={name: "%" for name in metrics},
    )


# --- what averaged passes are worth -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """Probabilities of all seeds, Tensor[seeds, n, classes], and what the passes disagree about, Tensor[seeds, n]."""

    probabilities: Tensor
    mutual: Tensor | None = None


Answers = dict[str, Answer]


def _answers(nets: Mapping[float, StackedMLP], x: Tensor, passes: int, seed: int) -> Answers:
    """One pass and, where there is dropout, the mean of many."""
    found: Answers = {}
    for p, net in nets.items():
        if p == 0:
            found["no dropout"] = Answer(_one_pass(net, x))
            continue
        found[f"p = {p:g}, one pass"] = Answer(_one_pass(net, x))
        many = _passes(net, x, passes, seed)
        found[f"p = {p:g}, MC"] = Answer(many.mean, many.mutual_information)
    return found


def _of_members(net: StackedMLP, x: Tensor, members: int) -> Answers:
    """A deep ensemble: ``members`` plain networks a seed."""
    each = _one_pass(net, x.repeat_interleave(members, 0)).unflatten(0, (-1, members)).double()
    mean = each.mean(1)
    return {"ensemble": Answer(mean, entropy(mean) - entropy(each).mean(1))}


def _fit(task_train: Examples, seeds: Sequence[int], p: float, classes: int, steps: int) -> StackedMLP:
    net = StackedMLP((SIDE**2, *HIDDEN, classes), seeds, (p,))
    return train(net, task_train, steps=steps, optimizer=adam(RATE), progress=f"p = {p:g}")


def _quality(answers: Answers, y: Tensor) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for arm, answer in answers.items():
        q = answer.probabilities.double()
        right = _right(q, y)
        for name, values in {
            "accuracy": right,
            "NLL": nll(q, y),
            "ECE": _percent(expected_calibration_error(q, y)),
            "confidence minus accuracy": _percent(q.max(-1).values.mean(-1)) - right,
        }.items():
            found.setdefault(name, {})[arm] = values
    return found


def _by_chance(answers: Answers, y: Tensor, seeds: Sequence[int]) -> dict[str, Tensor]:
    """The calibration error that a perfectly calibrated network with the same confidences would show."""
    return {
        arm: torch.stack(
            [
                torch.tensor(
                    100
                    * calibration_interval(
                        q.double(), labels, resamples=100, generator=torch.Generator().manual_seed(seed)
                    ).floor
                )
                for q, labels, seed in zip(answer.probabilities, y, seeds, strict=True)
            ]
        )
        for arm, answer in answers.items()
    }


def _found_by(inside: Answers, outside: Answers, where: str) -> dict[str, dict[str, Tensor]]:
    """How well the entropy, and the mutual information where there is one, rank what is outside."""
    found: dict[str, dict[str, Tensor]] = {f"AUROC, {where}": {}, f"AUROC of the disagreement, {where}": {}}
    for arm, answer in outside.items():
        scores = [entropy(one.probabilities) for one in (inside[arm], answer)]
        found[f"AUROC, {where}"][arm] = auroc(*scores)
        if answer.mutual is not None:
            found[f"AUROC of the disagreement, {where}"][arm] = auroc(inside[arm].mutual, answer.mutual)
    return found


def predictions(
    seeds: Sequence[int] = range(24),
    rates: Sequence[float] = (0.0, 0.2, 0.5),
    members: int = 5,
    passes: int = PASSES,
    few: int = FEW,
    steps: int = STEPS,
    n_test: int = 700,
    curves: bool = True,
) -> Record:
    """One pass against the mean of many, on test images, on turned ones, and on images from elsewhere.

    Arms: no dropout; for each rate one pass with dropout off, the mean of the passes, and their geometric mean; an
    ensemble of plain networks. Predicted: see the module.

    Args:
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping; each is trained apart, so that it can be repeated alone.
        members: networks in the ensemble; 0: no ensemble.
        passes: passes on the test images.
        few: passes on all other images.
        steps: optimizer steps.
        n_test: number of test images.
        curves: whether to turn the images through all angles, and keep what pictures need.
    """
    started = time.perf_counter()
    found: dict[str, dict[str, list[Tensor]]] = {}
    lines: dict[str, dict[str, list[Tensor]]] = {}
    sums: dict[str, Tensor] = {}

    def keep(into: dict, values: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name, by_arm in values.items():
            for arm, numbers in by_arm.items():
                into.setdefault(name, {}).setdefault(arm, []).append(numbers)

    for block in map(tuple, seed_blocks(seeds)):
        task = digits(block, n_train=500, n_test=n_test, noise=0.0)
        nets = {p: _fit(task.train, block, p, 10, steps) for p in rates}
        together = None
        if members:
            own = [100_000 + 10 * seed + j for seed in block for j in range(members)]
            repeated = Examples(*(part.repeat_interleave(members, 0) for part in (task.train.x, task.train.y)), "train")
            together = _fit(repeated, own, 0.0, 10, steps)
        test = task.test.open()
        generator = torch.Generator().manual_seed(block[0])

        def ask(x: Tensor, nets=nets, together=together, block=block) -> Answers:
            answers = _answers(nets, x, few, block[0])
            return answers | (_of_members(together, x, members) if together is not None else {})

        # the test images
        answers = {} if together is None else _of_members(together, test.x, members)
        for p, net in nets.items():
            answers |= _answers({p: net}, test.x, 1, block[0])
            if p > 0:
                name = f"p = {p:g}"
                many = _passes(net, test.x, passes, block[0], keep=True)
                answers[f"{name}, MC"] = Answer(many.mean, many.mutual_information)
                answers[f"{name}, geometric"] = Answer(geometric_mean(many.samples.clamp_min(1e-30).log()))
                some = [t for t in COUNTS if t <= passes]
                upto = [many.samples[:t].mean(0) for t in some]
                for metric, values in {
                    "NLL": [nll(q, test.y) for q in upto],
                    "ECE": [_percent(expected_calibration_error(q, test.y)) for q in upto],
                }.items():
                    keep(lines, {f"{metric} against passes": {f"{name}, MC": torch.stack(values, -1)}})
        keep(found, _quality(answers, test.y))
        keep(found, {"ECE by chance": _by_chance(answers, test.y, block)})
        for arm, answer in answers.items():
            bins = reliability(answer.probabilities, test.y, bins=10)
            parts = torch.stack(
                [bins.count, (bins.count * bins.confidence).nan_to_num(), (bins.count * bins.accuracy).nan_to_num()]
            )
            sums[arm] = sums.get(arm, 0) + parts.sum(1)
        # turned, and from elsewhere
        tilted = _quality(ask(rotated(test.x, 30)), test.y)
        keep(found, {f"{name}, turned by 30°": tilted[name] for name in ("accuracy", "NLL", "ECE")})
        some = test.x[:, :300]
        inside = ask(some)
        order = torch.rand(some.shape, generator=generator).argsort(-1)
        for where, x in {
            "noise": torch.rand(some.shape, generator=generator),
            "shuffled pixels": some.gather(-1, order),
            "turned by 90°": rotated(some, 90),
        }.items():
            keep(found, _found_by(inside, ask(x), where))
        if curves:
            few_images = test.x[:, :150], test.y[:, :150]
            for name, by_arm in _over_angles({p: nets[p] for p in nets if p in (0.0, 0.5)}, *few_images, few).items():
                keep(lines, {name: by_arm})

    arms = sorted({arm for by_arm in found.values() for arm in by_arm}, key=_place)
    metrics = {
        name: {arm: torch.cat(by_arm[arm]) for arm in arms if arm in by_arm} for name, by_arm in found.items() if by_arm
    }
    at = {"passes": [t for t in COUNTS if t <= passes], "angle": list(ANGLES)}
    return make_record(
        "mc-predictions",
        started=started,
        task=f"digits, 500 images, right labels, {n_test} test images; networks 64-128-128-10",
        arms=arms,
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": RATE, "passes": passes, "passes elsewhere": few},
        metrics=metrics,
        units={name: "%" for name in metrics if not name.startswith(("NLL", "AUROC"))}
        | {name: "nats" for name in metrics if name.startswith("NLL")},
        curves={
            name: {"x": at[name.rsplit(" ", 1)[1]]} | {arm: torch.cat(parts) for arm, parts in by_arm.items()}
            for name, by_arm in lines.items()
        },
        notes={"bins: count, sum of confidence, sum of right answers": {arm: parts for arm, parts in sums.items()}},
    )


_KINDS = ("no dropout", "one pass", "MC", "geometric", "ensemble")


def _place(arm: str) -> tuple:
    """Order of the arms in tables: by rate, then by kind; the ensemble last."""
    if arm in ("no dropout", "ensemble"):
        return (arm == "ensemble", 0.0, 0)
    rate, kind = arm.removeprefix("p = ").split(", ")
    return (False, float(rate), _KINDS.index(kind))


def _over_angles(nets: Mapping[float, StackedMLP], x: Tensor, y: Tensor, passes: int) -> dict[str, dict[str, Tensor]]:
    """Accuracy and mean confidence in percent, and both parts of the entropy, at every angle: Tensor[seeds, angles]."""
    found: dict[str, dict[str, list[Tensor]]] = {}
    for angle in ANGLES:
        for arm, answer in _answers(nets, rotated(x, angle), passes, 0).items():
            q = answer.probabilities.double()
            values = {"accuracy": _right(q, y), "confidence": _percent(q.max(-1).values.mean(-1))}
            if answer.mutual is not None:
                values |= {"entropy": entropy(q).mean(-1), "mutual information": answer.mutual.double().mean(-1)}
            for name, numbers in values.items():
                found.setdefault(f"{name} against angle", {}).setdefault(arm, []).append(numbers)
    return {name: {arm: torch.stack(parts, -1) for arm, parts in by_arm.items()} for name, by_arm in found.items()}


def held_out(
    seeds: Sequence[int] = range(24),
    rates: Sequence[float] = (0.0, 0.5),
    passes: int = FEW,
    steps: int = STEPS,
    n_train: int = 500,
) -> Record:
    """A class that was never seen: digit s mod 10 is taken out of the training images of seed s.

    Arms as in :func:`predictions`. Predicted: networks with dropout find the strange digit better than those without,
    and the mean of the passes a little better than one pass.

    Args:
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping; each is trained apart.
        passes: number of passes.
        steps: optimizer steps.
        n_train: number of training images, without those of the strange digit.
    """
    started = time.perf_counter()
    found: dict[str, dict[str, list[Tensor]]] = {}
    for block in map(tuple, seed_blocks(seeds)):
        task = digits(block, n_train=n_train + 120, n_test=1000, noise=0.0)
        test = task.test.open()
        strange = torch.tensor([seed % 10 for seed in block])[:, None]
        known, unknown = task.train.y != strange, test.y == strange
        x, y = _first(task.train.x, known, n_train), _first(task.train.y, known, n_train)
        training = Examples(x, y - (y > strange).long(), "train")
        nets = {p: _fit(training, block, p, 9, steps) for p in rates}
        inside = _answers(nets, _first(test.x, ~unknown, 600), passes, block[0])
        outside = _answers(nets, _first(test.x, unknown, 70), passes, block[0])
        for name, by_arm in _found_by(inside, outside, "a digit never seen").items():
            for arm, values in by_arm.items():
                found.setdefault(name, {}).setdefault(arm, []).append(values)
    arms = sorted({arm for by_arm in found.values() for arm in by_arm}, key=_place)
    return make_record(
        "mc-held-out",
        started=started,
        task=f"digits without one of the ten, {n_train} images, right labels; networks 64-128-128-9",
        arms=arms,
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": RATE, "passes": passes},
        metrics={
            name: {arm: torch.cat(by_arm[arm]) for arm in arms if arm in by_arm} for name, by_arm in found.items()
        },
    )


def _first(values: Tensor, chosen: Tensor, n: int) -> Tensor:
    """The first n chosen entries of every seed."""
    if int(chosen.sum(1).min()) < n:
        raise ValueError(f"n must be at most {int(chosen.sum(1).min())}, the fewest that there are, got {n}")
    return torch.stack([row[mask][:n] for row, mask in zip(values, chosen, strict=True)])


# --- the digit that is turned -----------------------------------------------------------------------------------------

TURNS = tuple(range(0, 181, 10))


def one_network(
    seed: int = 0, p: float = 0.5, steps: int = STEPS, n_train: int = 500
) -> tuple[nn.Sequential, Examples]:
    """One trained network as ordinary modules, in evaluation mode, and its test images (with a leading axis of 1).

    Args:
        seed: seed of the split, the initial weights, the batches and the masks.
        p: probability of dropping behind both hidden layers.
        steps: optimizer steps.
        n_train: number of training images.
    """
    task = digits((seed,), n_train=n_train, n_test=700, noise=0.0)
    net = StackedMLP((SIDE**2, *HIDDEN, 10), task.seeds, (p,))
    train(net, task.train, steps=steps, optimizer=adam(RATE), mask_seed=seed, progress="one network")
    return net.single(0), task.test.open()


def turned_digit(
    model: nn.Module,
    image: Tensor,
    angles: Sequence[float] = TURNS,
    passes: int = 20,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """What a network says about one image while it is turned.

    Args:
        model: any network with dropout, (n, 64) -> logits (n, 10).
        image: Tensor[64] of pixels in [0, 1].
        angles: where to look, in degrees counter-clockwise.
        passes: number of passes with dropout on.
        seed: seed of their masks.
        device: where the network is.

    Returns:
        "images" Tensor[angles, 64]; "one pass" Tensor[angles, 10], with dropout off; "passes" Tensor[angles, passes,
        10]; "expected entropy" and "mutual information" Tensor[angles], over the passes, in nats.
    """
    images = torch.stack([rotated(image, angle) for angle in angles])
    generator = torch.Generator().manual_seed(seed)
    many = mc_predict(model, images.to(device), passes, keep_samples=True, generator=generator)
    was_training = model.training
    one = _one_pass(model, images.to(device))
    model.train(was_training)
    found = {
        "images": images,
        "one pass": one,
        "passes": many.samples.transpose(0, 1),
        "expected entropy": many.expected_entropy,
        "mutual information": many.mutual_information,
    }
    return {name: values.cpu() for name, values in found.items()}


LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _letters(values: Tensor) -> str:
    """Numbers in [0, 1] as one letter each: 64 levels."""
    return "".join(LEVELS[level] for level in (63 * values).round().long().tolist())


def _pairs(values: Tensor, unit: float) -> str:
    """Numbers as pairs of digits to the base 36, in units of ``unit``."""
    return "".join(np.base_repr(n, 36).lower().zfill(2) for n in (values / unit).round().long().tolist())


def packed_turn(turned: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """What :func:`turned_digit` found, as short texts, one an angle.

    Args:
        turned: what :func:`turned_digit` returned.

    Returns:
        "images" and "passes" (pass after pass, ten classes each) as letters for 64 levels of [0, 1]; "mean" and "one",
        ten probabilities in per mille, and "entropy", the expected entropy and the mutual information in hundredths of
        a nat, as pairs of digits to the base 36.
    """
    parts = torch.stack([turned["expected entropy"], turned["mutual information"]], -1)
    return {
        "images": [_letters(image) for image in turned["images"]],
        "passes": [_letters(passes.flatten()) for passes in turned["passes"]],
        "mean": [_pairs(mean, 1e-3) for mean in turned["passes"].mean(1)],
        "one": [_pairs(one, 1e-3) for one in turned["one pass"]],
        "entropy": [_pairs(both, 1e-2) for both in parts],
    }


def turned_digits(wanted: Sequence[int] = (6, 7, 4), seed: int = 0, steps: int = STEPS) -> Record:
    """Material of the interactive figure: the first test image of each wanted digit that is read rightly, turned.

    Args:
        wanted: the digits.
        seed: seed of the network.
        steps: optimizer steps.
    """
    started = time.perf_counter()
    model, test = one_network(seed, steps=steps)
    x, y = test.x[0], test.y[0]
    right = _one_pass(model, x).argmax(-1) == y
    places = [int(((y == digit) & right).nonzero()[0]) for digit in wanted]
    return make_record(
        "mc-turned-figure",
        started=started,
        task="digits, 500 images, right labels; one network 64-128-128-10 with dropout p = 0.5",
        arms=[str(digit) for digit in wanted],
        seeds=(seed,),
        budget={"steps": steps, "batch": 50, "Adam": RATE, "passes": 20},
        metrics={},
        notes={
            "angles": TURNS,
            # where the network puts all test images when they lie on their side: one count a class
            "answers at 90": _one_pass(model, rotated(x, 90)).argmax(-1).bincount(minlength=10),
            "digits": {str(d): packed_turn(turned_digit(model, x[at])) for d, at in zip(wanted, places, strict=True)},
        },
    )


# --- the linear model -------------------------------------------------------------------------------------------------


def linear_task(n: int, features: int = 6, noise: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Examples of a linear law: inputs (n, features), targets (n), true weights (features); float64."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.linspace(-1.5, 1.5, features, dtype=torch.float64)
    rows = torch.randn(n, features + 1, generator=generator, dtype=torch.float64)
    x = rows[:, :features]
    return x, x @ truth + noise * rows[:, features], truth


def dropout_ridge(x: Tensor, y: Tensor, p: float) -> Tensor:
    r"""The weights that dropout on the inputs of a linear regression converges to.

    .. math:: \hat w = \Big(X^\top X + \tfrac pk\,\mathrm{diag}(X^\top X)\Big)^{-1} X^\top y

    Args:
        x: Tensor[n, features].
        y: Tensor[n].
        p: probability of dropping, below 1.
    """
    if check_p(p) == 1:
        raise ValueError("p must be below 1, got 1.0")
    gram = x.T @ x
    return torch.linalg.solve(gram + p / (1 - p) * gram.diag().diag(), x.T @ y)


def linear_spread(weights: Tensor, x: Tensor, p: float) -> Tensor:
    r"""Variance over the masks of a linear prediction :math:`\sum_j (m_j/k)\,w_j x_j`.

    .. math:: \mathrm{Var} = \frac pk \sum_j w_j^2 x_j^2

    Args:
        weights: Tensor[features].
        x: Tensor[..., features].
        p: probability of dropping, below 1.
    """
    if check_p(p) == 1:
        raise ValueError("p must be below 1, got 1.0")
    return p / (1 - p) * (weights * x).square().sum(-1)


EXPERIMENTS = {
    "mc-train-bug": train_bug,
    "mc-predictions": predictions,
    "mc-held-out": held_out,
    "mc-turned-figure": turned_digits,
}
