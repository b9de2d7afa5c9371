"""What every answer that throws coins is asked: how often, who shares a coin, where the randomness comes from."""

import math
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from companion.assignments.check import near, not_yet, off, tensor

SWAPPED = "you keep with probability p; here p is the probability of dropping, so a unit stays with 1 - p."


def zeros_for_uniforms(call: Callable[[], Tensor]) -> Tensor:
    """Runs ``call`` with the rarest of all draws: every uniform number is exactly 0."""

    def rand(*size: object, generator: object = None, **options: object) -> Tensor:
        return torch.zeros(*size, **options)

    def rand_like(x: Tensor, **options: object) -> Tensor:
        return torch.zeros_like(x, **options)

    def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0, **_: object) -> Tensor:
        return x.fill_(low)

    with (
        mock.patch.object(torch, "rand", rand),
        mock.patch.object(torch, "rand_like", rand_like),
        mock.patch.object(Tensor, "uniform_", uniform_),
    ):
        return call()


def independent_coins(m: Tensor) -> None:
    """Refuses a mask of a (examples, units) tensor at p = 0.5 whose entries share coins."""
    if (m == m[:1]).all():
        not_yet(
            "every example got the same mask: one row is repeated over the whole batch. Each example throws its own "
            "coins."
        )
    if (m == m[:, :1]).all():
        not_yet("all units of an example share one coin: whole rows are kept or dropped. Each unit throws its own.")
    for axis, who in ((1, "units of one example"), (0, "examples")):
        counts = m.double().sum(axis)
        ratio = float(counts.var()) / (0.25 * m.shape[axis])  # by the variance of a number of heads
        if abs(ratio - 1) > 6 * math.sqrt(2 / len(counts)):
            not_yet(
                f"the coins of different {who} are not independent: the number kept varies {ratio:.2f} times as much "
                "as with independent coins."
            )


def kept_fraction(draw: Callable[[], Tensor], p: float) -> None:
    """Refuses masks that do not keep a fraction 1 - p, within 4 standard errors."""
    got = off(draw, 1 - p, math.sqrt(p * (1 - p)))
    if got is not None:
        if near(got, p, tolerance=0.02):
            not_yet(f"{SWAPPED} At p = {p} you kept {got:.3f} of the units.")
        not_yet(f"at p = {p} a fraction {1 - p} of the units should stay, and {got:.4f} of yours did.")


def follows_generator(seeded: Callable[[torch.Generator], Tensor], unseeded: Callable[[], Tensor]) -> None:
    """Refuses an answer whose randomness comes from elsewhere than the generator that it was given."""

    def drawn(seed: int) -> Tensor:
        return tensor(seeded(torch.Generator().manual_seed(seed)), "the result")

    torch.manual_seed(1)
    first = drawn(7)
    torch.manual_seed(2)
    if not torch.equal(first, drawn(7)) or torch.equal(first, drawn(8)):
        not_yet(
            "the mask must come from the generator that you were given: the same seed, the same mask; another seed, "
            "another mask. Hand `generator=generator` on to the function that draws."
        )
    if torch.equal(unseeded(), unseeded()):
        not_yet("without a generator two calls must give two masks, and yours are equal. Do not seed inside.")
