"""Trains many small networks at once: the arms of an experiment times its seeds.

Paired by construction: all arms of a seed see the same examples in the same order, start from the same weights (see
:mod:`companion.models`) and take the same number of steps. Losses of different models are summed, and the
optimizers act element by element, so that every model trains as if it were alone.
"""

import math
import os
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from companion.data import Examples
from companion.models import Stacked

__all__ = [
    "accuracy",
    "adam",
    "adamw",
    "batches",
    "clipped",
    "cosine_adam",
    "cross_entropy",
    "epochs",
    "evaluate",
    "nll",
    "train",
]

Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Objective = Callable[[Stacked, Tensor, Tensor], Tensor]


def adam(lr: float) -> Optimizer:
    """Adam with the learning rate ``lr``, all models in one fused step."""
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, fused=True)


def adamw(lr: float, weight_decay: float) -> Optimizer:
    """AdamW with decoupled ``weight_decay``, all models in one fused step."""
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


def cosine_adam(lr: float, steps: int, warm_up: int = 0) -> Optimizer:
    """Adam whose rate rises linearly to ``lr`` over ``warm_up`` steps and falls to 0 at ``steps`` by half a cosine."""

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))) / 2

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        optimizer = adam(lr)(parameters)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        optimizer.register_step_post_hook(lambda *_: schedule.step())
        return optimizer

    return make


def clipped(optimizer: Optimizer, norm: float) -> Optimizer:
    """``optimizer`` behind a clip: each model's gradient is shortened to the length ``norm`` if it is longer."""

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        parameters = list(parameters)

        def clip(*_) -> None:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            length = sum(gradient.flatten(1).square().sum(1) for gradient in gradients).sqrt()
            factor = (norm / (length + 1e-6)).clamp(max=1)
            for gradient in gradients:
                gradient.mul_(factor.view(-1, *(1,) * (gradient.ndim - 1)))

        made = optimizer(parameters)
        made.register_step_pre_hook(clip)
        return made

    return make


def batches(seeds: Iterable[int], n: int, steps: int, batch: int) -> Tensor:
    """Indices of the examples of each step, drawn with replacement: Tensor[seeds, steps, batch]."""
    # Another stream than the one that drew the split and the initial weights from the same seed.
    generators = [torch.Generator().manual_seed(1_000_003 + seed) for seed in seeds]
    return torch.stack([torch.randint(n, (steps, batch), generator=g) for g in generators])


def epochs(seeds: Iterable[int], n: int, steps: int, batch: int) -> Tensor:
    """Indices of the examples of each step, without replacement: whole passes, one behind the other, each in an order
    of its own. Tensor[seeds, steps, batch]; a batch may hold the end of one pass and the beginning of the next."""
    generators = [torch.Generator().manual_seed(1_000_003 + seed) for seed in seeds]
    total = steps * batch
    orders = [torch.cat([torch.randperm(n, generator=g) for _ in range(-(-total // n))])[:total] for g in generators]
    return torch.stack(orders).view(-1, steps, batch)


def cross_entropy(model: Stacked, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of every model, the mean over its batch, summed over models: each sees its own gradient.

    Args:
        model: the stacked models.
        x: Tensor[seeds, batch, ...], or one batch a model.
        y: Tensor[seeds, batch] of labels.
    """
    logits, y = model(x), y.repeat(model.arms, 1)
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]


def train(
    model: Stacked,
    examples: Examples,
    *,
    steps: int,
    batch: int = 50,
    optimizer: Optimizer | None = None,
    mask_seed: int = 0,
    order: Callable[[Iterable[int], int, int, int], Tensor] = batches,
    objective: Objective = cross_entropy,
    watch: Callable[[Stacked, int], None] | None = None,
    watch_every: int = 0,
    progress: str | None = None,
) -> Stacked:
    """Fits all models, by cross-entropy unless told otherwise, and returns them in evaluation mode.

    Args:
        model: the stacked models; trained in place.
        examples: training examples, one set for each seed of the model. Test examples are refused.
        steps: number of optimizer steps, at least 1.
        batch: examples a step.
        optimizer: makes the optimizer from the parameters; default ``adam(3e-3)``.
        mask_seed: seed of the generator that draws the masks.
        order: which examples each step sees: :func:`batches`, drawn with replacement, or :func:`epochs`, whole passes.
        objective: what a step makes smaller: ``objective(model, x, y)`` with the batches of the seeds, x of shape
            (seeds, batch, ...) and y (seeds, batch), gives a number, the losses of all models added up.
        watch: called with the model (in evaluation mode, without gradients) and the number of steps done, before the
            first step and then every ``watch_every`` steps.
        watch_every: see ``watch``.
        progress: label of a progress bar, which appears after two seconds; None: no bar.

    Raises:
        ValueError: if the examples are a test set, or do not fit the model's seeds, or ``steps`` is below 1.
    """
    if examples.role != "train":
        raise ValueError(f"examples must have the role 'train', got {examples.role!r}")
    if examples.x.shape[0] != len(model.seeds):
        raise ValueError(
            f"examples must hold one set for each of the model's {len(model.seeds)} seeds, got {examples.x.shape[0]}"
        )
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    device = examples.x.device
    model.generator = torch.Generator(device).manual_seed(mask_seed)
    parameters = (optimizer or adam(3e-3))(model.parameters())
    index = order(model.seeds, len(examples), steps, batch).to(device)
    seed_axis = torch.arange(len(model.seeds), device=device)[:, None]
    # TQDM_DISABLE keeps bars out of stored outputs; tqdm itself forgets it in notebooks.
    hidden = progress is None or os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    bar = tqdm(range(steps), desc=progress, delay=2, leave=False, disable=hidden)
    for step in bar:
        if watch is not None and watch_every and step % watch_every == 0:
            _watch(model, step, watch)
        model.train()
        chosen = index[:, step]
        x = examples.x[seed_axis, chosen]
        y = examples.y[seed_axis, chosen]
        loss = objective(model, x, y)
        parameters.zero_grad(set_to_none=True)
        loss.backward()
        parameters.step()
    if watch is not None and watch_every and steps % watch_every == 0:
        _watch(model, steps, watch)
    return model.eval()


def _watch(model: Stacked, step: int, watch: Callable[[Stacked, int], None]) -> None:
    model.eval()
    with torch.no_grad():
        watch(model, step)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """Share of right answers of each model: logits (models, n, classes), y (seeds, n) -> Tensor[models]."""
    y = y.repeat(logits.shape[0] // y.shape[0], 1)
    return (logits.argmax(-1) == y).double().mean(1)


def nll(logits: Tensor, y: Tensor) -> Tensor:
    """Mean negative log-likelihood of each model, in nats: logits (models, n, classes), y (seeds, n)."""
    y = y.repeat(logits.shape[0] // y.shape[0], 1)
    return -logits.double().log_softmax(-1).gather(-1, y[..., None]).squeeze(-1).mean(1)


@torch.no_grad()
def evaluate(model: Stacked, examples: Examples) -> dict[str, Tensor]:
    """Accuracy and NLL of every model in evaluation mode: two tensors of shape (arms, seeds)."""
    was_training = model.training
    model.eval()
    logits = model(examples.x)
    model.train(was_training)
    shape = (model.arms, len(model.seeds))
    return {
        "accuracy": accuracy(logits, examples.y).view(shape),
        "nll": nll(logits, examples.y).view(shape),
    }
