"""Chapter 14, the rest of the family: steps with a penalty, AdamW, groups of parameters, and where weights settle."""

import contextlib
import math
from collections.abc import Iterator
from typing import NoReturn
from unittest import mock

import torch
from torch import Tensor, nn

from companion.assignments.check import (
    Answer,
    ReadyMade,
    exercise,
    function,
    integer,
    near,
    not_yet,
    number,
    tensor,
    uniform,
)

# ---- what several exercises ask


@contextlib.contextmanager
def _no_ready_made_optimizer() -> Iterator[None]:
    """Refuses answers that let an optimizer of torch take the step."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise ReadyMade("your answer lets an optimizer of torch take the step. Here the point is to write it yourself.")

    with (
        mock.patch.object(torch.optim.Optimizer, "__init__", refuse),
        mock.patch("torch.optim.adam.adam", refuse),
        mock.patch("torch.optim.adamw.adamw", refuse),
    ):
        yield


def _like(value: object, w: Tensor, what: str) -> Tensor:
    out = tensor(value, what)
    if out.shape != w.shape:
        not_yet(f"{what} must have the shape of w, {tuple(w.shape)}; yours has {tuple(out.shape)}.")
    return out.detach().double()


def _same(got: Tensor, want: Tensor, tolerance: float = 1e-6) -> bool:
    return bool(torch.allclose(got, want.double(), rtol=tolerance, atol=tolerance))


# ---- one_step


def _prox(z: Tensor, amount: float) -> Tensor:
    return z.sign() * (z.abs() - amount).clamp(min=0)


def _wrong_steps(w: Tensor, g: Tensor, lr: float, strength: float) -> dict[str, dict[str, Tensor]]:
    """For each way a hint and what whoever needs it would have got."""
    z = w - lr * g
    shared = {
        "that is the step without any penalty.": z,
        "the penalty pushes weights away from zero: its gradient is added to that of the loss, and both are "
        "subtracted.": w - lr * (g - strength * w),
        "you shrink the step and not the weight: the factor belongs to w.": w - lr * (1 - lr * strength) * g,
        "the share that is taken off is lr times strength, not strength alone.": (1 - strength) * w - lr * g,
    }
    return {
        "l2": shared
        | {
            "that is twice the pull: the gradient of strength / 2 · w² is strength · w.": w
            - lr * (g + 2 * strength * w),
            "that is half the pull: the square brings down a 2 that cancels the 1/2.": w - lr * (g + strength * w / 2),
            "the penalty is the sum of squares here, not of sizes: that is L1.": w - lr * (g + strength * w.sign()),
        },
        "decay": shared
        | {
            "you shrink what the step has made. Decoupled decay takes its share of the weights that it was given.": (
                1 - lr * strength
            )
            * z,
            "that is twice the share.": (1 - 2 * lr * strength) * w - lr * g,
        },
        "l1": shared
        | {
            "that is a step on the gradient of the penalty. It jumps over zero; the proximal step stops there, so that "
            "small weights become exactly 0.": w - lr * (g + strength * w.sign()),
            "a step of constant size jumps over zero: what would change its sign becomes exactly 0.": z
            - lr * strength * z.sign(),
            "the threshold is lr times strength, not strength alone.": _prox(z, strength),
            "the threshold comes behind the step on the loss, not before it.": _prox(w, lr * strength) - lr * g,
            "small weights are set to zero, and the others must move towards zero by the same amount.": z
            * (z.abs() > lr * strength),
            "all signs are lost: weights below zero stay below zero.": (z.abs() - lr * strength).clamp(min=0),
            "only positive weights are moved: those below zero move up towards it.": torch.where(
                z > 0, (z - lr * strength).clamp(min=0), z
            ),
        },
    }


@exercise("ch14.one_step")
def one_step(answer: object, g: torch.Generator) -> str:
    """``one_step(w, g, lr, strength, how)`` for "l2", "decay" and "l1"."""
    f = function(answer)
    for shape in ((6,), (5, 4), (3, 2, 4)):
        lr, strength = uniform(g, 0.05, 0.3), uniform(g, 0.2, 0.9)
        w, slope = torch.randn(shape, generator=g), torch.randn(shape, generator=g)
        near_zero = 0.4 * lr * strength * torch.rand(shape, generator=g)  # these the proximal step must set to zero
        w = torch.where(torch.rand(shape, generator=g) < 0.4, lr * slope + near_zero, w)
        want = {
            "l2": w - lr * (slope + strength * w),
            "decay": (1 - lr * strength) * w - lr * slope,
            "l1": _prox(w - lr * slope, lr * strength),
        }
        wrong = _wrong_steps(w, slope, lr, strength)
        for how, right in want.items():
            with _no_ready_made_optimizer():
                got = _like(f(w, slope, lr, strength, how), w, "the result")
            if _same(got, right):
                if how == "l1" and not torch.equal(got == 0, right == 0):
                    not_yet("weights that the proximal step takes to zero must be exactly 0.")
                continue
            told = f"(how = {how!r}, lr = {lr}, strength = {strength})"
            for hint, value in wrong[how].items():
                if _same(got, value):
                    not_yet(f"{hint} {told}")
            not_yet(f"write the loss with its penalty, take its gradient, and then one step. {told}")
    return "Two of the three are the same number here. Behind momentum or Adam they will not be."


# ---- adamw_step


def _by_torch(w: Tensor, gradients: Tensor, settings: dict) -> list[Tensor]:
    parameter = nn.Parameter(w.clone())
    optimizer = torch.optim.AdamW(
        [parameter],
        lr=settings["lr"],
        betas=(settings["beta1"], settings["beta2"]),
        eps=settings["eps"],
        weight_decay=settings["decay"],
    )
    seen = []
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        seen.append(parameter.detach().clone())
    return seen


def _variants(w: Tensor, gradients: Tensor, s: dict) -> dict[str, Tensor]:
    """For each hint the weights after all steps of an answer that needs it."""
    lr, eps, decay = s["lr"], s["eps"], s["decay"]

    def run(step, correct=(True, True), b=(s["beta1"], s["beta2"]), l2=0.0, root=True) -> Tensor:
        x, m, v = w.clone(), torch.zeros_like(w), torch.zeros_like(w)
        for t, gradient in enumerate(gradients, start=1):
            gradient = gradient + l2 * x
            m, v = b[0] * m + (1 - b[0]) * gradient, b[1] * v + (1 - b[1]) * gradient**2
            mean = m / (1 - b[0] ** t) if correct[0] else m
            square = v / (1 - b[1] ** t) if correct[1] else v
            x = step(x, lr * mean / (square.sqrt() + eps if root else (square + eps).sqrt()), square)
        return x

    def right(x: Tensor, move: Tensor, _: Tensor) -> Tensor:
        return (1 - lr * decay) * x - move

    return {
        "the decay stands in the gradient, and Adam divides it by the size of the gradient: that is Adam with L2. Keep "
        "the gradient clean and take the share off the weights.": run(lambda x, move, _: x - move, l2=decay),
        "nothing decays.": run(lambda x, move, _: x - move),
        "the share is taken off the new weights. Take it off those that the step was given.": run(
            lambda x, move, _: (1 - lr * decay) * (x - move)
        ),
        "the share that decays is lr times decay, not decay alone.": run(lambda x, move, _: (1 - decay) * x - move),
        "the averages start at zero, and neither is corrected for that.": run(right, correct=(False, False)),
        "the average of the squares is not corrected for its start at zero.": run(right, correct=(True, False)),
        "the average of the gradients is not corrected for its start at zero.": run(right, correct=(False, True)),
        "eps stands outside the root.": run(right, root=False),
        "the two betas are swapped.": run(right, b=(s["beta2"], s["beta1"])),
        "the decay is divided by the size of the gradient. It stands beside the step, not in it.": run(
            lambda x, move, square: x - move - lr * decay * x / (square.sqrt() + eps)
        ),
        "the weights decay in the wrong direction.": run(lambda x, move, _: (1 + lr * decay) * x - move),
    }


@exercise("ch14.adamw_step")
def adamw_step(answer: object, g: torch.Generator) -> str:
    """``adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay)`` against ten steps of ``torch.optim.AdamW``."""
    f = function(answer)
    settings = {
        "lr": uniform(g, 0.02, 0.1),
        "beta1": uniform(g, 0.7, 0.9),
        "beta2": uniform(g, 0.93, 0.99),
        "eps": uniform(g, 0.05, 0.2),  # large, so that its place can be seen
        "decay": uniform(g, 0.3, 0.9),
    }
    w = torch.randn(4, 3, dtype=torch.float64, generator=g)
    scale = 10 ** (2 * torch.rand(4, 3, dtype=torch.float64, generator=g) - 1)
    gradients = scale * torch.randn(10, 4, 3, dtype=torch.float64, generator=g)
    want = _by_torch(w, gradients, settings)
    x, m, v = w.clone(), torch.zeros_like(w), torch.zeros_like(w)
    first_wrong = None
    for t, gradient in enumerate(gradients, start=1):
        with _no_ready_made_optimizer():
            out = f(x, gradient, m, v, t, **settings)
        if not isinstance(out, tuple | list) or len(out) != 3:
            not_yet("return three tensors: the new weights, the new m and the new v.")
        x, m, v = (_like(part, w, what) for part, what in zip(out, ("the weights", "m", "v"), strict=True))
        if not bool(torch.isfinite(x).all()):
            not_yet(f"after step {t} the weights are not finite. Steps are counted from 1, so 1 - beta ** t is not 0.")
        if first_wrong is None and not _same(x, want[t - 1]):
            first_wrong = t
    if first_wrong is None:
        return "Ten steps, and torch's AdamW at every one of them."
    for hint, value in _variants(w, gradients, settings).items():
        if _same(x, value):
            not_yet(hint)
    if first_wrong > 1:
        not_yet(
            f"the first step is right and step {first_wrong} is not: return the moving averages as they are, without "
            "the correction, and use both of them in the next step."
        )
    not_yet("the first step already differs from torch's: go through the four rules with one number by hand.")


# ---- parameter_groups


class _Tied(nn.Module):
    """An embedding whose matrix is also that of the output layer, with a recurrent layer between them."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.recurrent = nn.GRU(width, width)
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, words)
        self.out.weight = self.embedding.weight


def _model(g: torch.Generator) -> nn.Module:
    a, b = integer(g, 3, 6), integer(g, 3, 6)
    return nn.ModuleDict(
        {
            "conv": nn.Sequential(nn.Conv2d(a, 2 * b, 3), nn.GroupNorm(2, 2 * b), nn.BatchNorm2d(2 * b)),
            "block": nn.Sequential(nn.Linear(a, b), nn.LayerNorm((4, b)), nn.Linear(b, a, bias=False)),
            "text": _Tied(3 * a, b),
            "attention": nn.MultiheadAttention(2 * b, 2),
            "frozen": nn.Linear(b, b).requires_grad_(False),
        }
    )


def _fate(model: nn.Module) -> dict[int, tuple[str, str]]:
    """id of a parameter -> its name and "decays", "stays" or "frozen"."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for layer in model.modules():
        norm = "Norm" in type(layer).__name__
        for parameter in layer.parameters(recurse=False):
            fate = "stays" if norm or parameter.ndim < 2 else "decays"
            found[id(parameter)] = (names[id(parameter)], fate if parameter.requires_grad else "frozen")
    return found


def _groups(f: Answer, model: nn.Module, decay: float) -> list[list[nn.Parameter]]:
    out = f(model, decay)
    if not isinstance(out, list | tuple) or len(out) != 2 or not all(isinstance(group, dict) for group in out):
        not_yet("return a list of two dicts, the group that decays and the group that does not.")
    if missing := [key for group in out for key in ("params", "weight_decay") if key not in group]:
        not_yet(f'each group must say "params" and "weight_decay"; {missing[0]!r} is missing.')
    rates = [number(group["weight_decay"], '"weight_decay"') for group in out]
    if not (near(rates[0], decay) and rates[1] == 0):
        not_yet(f"the first group decays with {decay} and the second with 0; yours say {rates[0]:g} and {rates[1]:g}.")
    return [list(group["params"]) for group in out]


@exercise("ch14.parameter_groups")
def parameter_groups(answer: object, g: torch.Generator) -> str:
    """``parameter_groups(model, decay)``: sets and counts, on a model with every trap."""
    f = function(answer)
    for _ in range(2):
        model, decay = _model(g), uniform(g, 0.01, 0.2)
        fate = _fate(model)
        yes, no = _groups(f, model, decay)
        both = [id(parameter) for parameter in (*yes, *no)]
        if strange := [key for key in both if key not in fate]:
            not_yet(
                f"{len(strange)} of your entries are no parameters of the model; give the parameters, not copies or "
                "pairs of name and parameter."
            )
        for key in both:
            name, what = fate[key]
            if what == "frozen":
                not_yet(f"{name} is frozen (requires_grad is False) and belongs to no group.")
            if both.count(key) > 1:
                not_yet(f"{name} stands there more than once: two layers share it, and it must be counted once.")
        for key, (name, what) in fate.items():
            if what != "frozen" and key not in both:
                not_yet(f"{name} is forgotten: every trainable parameter stands in one of the groups.")
        for group, should in ((yes, "decays"), (no, "stays")):
            for parameter in group:
                name, what = fate[id(parameter)]
                if what == should:
                    continue
                if what == "decays":
                    not_yet(f"{name} is a matrix, a kernel or an embedding: it decays.")
                if "bias" in name:
                    not_yet(f"{name} is a bias: it does not decay, by whatever name it goes.")
                not_yet(f"{name} belongs to a normalisation layer: it does not decay, whatever its shape.")
    return "Everybody once, and nobody in the wrong group. Optimizers do not check this for you."


# ---- same_rest


def _rest(strength: float, decay: float, momentum: float, curvature: float = 1.0, steps: int = 4000) -> float:
    """Where gradient descent settles on curvature / 2 · (w − 1)², with L2 in the gradient or decoupled decay."""
    w, v, lr = 0.0, 0.0, 0.05
    for _ in range(steps):
        v = momentum * v + curvature * (w - 1) + strength * w
        w = (1 - lr * decay) * w - lr * v
    return w


@exercise("ch14.same_rest")
def same_rest(answer: object, g: torch.Generator) -> str:
    """``same_rest(strength, momentum)``: strength / (1 - momentum)."""
    f = function(answer)
    cases = [(0.1, 0.9), (0.3, 0.0), (1.0, 0.5)]
    cases += [(uniform(g, 0.05, 0.6), uniform(g, 0.1, 0.95)) for _ in range(4)]
    for strength, mu in cases:
        got, want = number(f(strength, mu), "the decay"), strength / (1 - mu)
        if near(got, want):
            continue
        if not math.isfinite(got):
            not_yet(f"the decay must be a finite number; for strength {strength} and momentum {mu} it was {got}.")
        told = f"(strength = {strength}, momentum = {mu}: you gave {got:.5g}"
        if 0 <= got <= 20:
            told += (
                f", which settles at {_rest(0, got, mu):.4f} on (w − 1)²/2; L2 settles at {_rest(strength, 0, mu):.4f}"
            )
        told += ")"
        known = {
            strength * mu: "momentum makes the decoupled decay weaker in comparison, so it must become stronger, not "
            "weaker.",
            strength * (1 - mu): "that is the wrong way round: with it decoupled decay would be weaker still. Divide.",
            strength: "without momentum that would be right. With it, L2 adds its pull up over many steps and a "
            "decoupled cut does not.",
            strength * (1 + mu): "the pull is added up over all past steps, 1 + μ + μ² + ..., not over one.",
        }
        if mu:
            known[strength / mu] = "divide by what is left of the velocity, 1 − momentum, not by the momentum."
            known[strength / (1 - mu**2)] = "the velocity at rest is g / (1 − μ): no squares."
        for value, hint in known.items():
            if near(got, value):
                not_yet(f"{hint} {told}")
        not_yet(f"at rest the velocity is g / (1 − μ). Put it into the decoupled step and compare. {told}")
    return "One word, two numbers, a factor of ten between them at the usual momentum."
