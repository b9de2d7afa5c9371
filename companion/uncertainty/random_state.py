"""The state of torch's random generators: read, compared, put back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(gpus: Sequence[int]) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in gpus)]


def changed(before: Sequence[Tensor], gpus: Sequence[int]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, random_state(gpus), strict=True))


def set_random_state(states: Sequence[Tensor], gpus: Sequence[int]) -> None:
    torch.set_rng_state(states[0])
    for gpu, state in zip(gpus, states[1:], strict=True):
        torch.cuda.set_rng_state(state, gpu)


@contextmanager
def own_stream(generator: torch.Generator | None, gpus: Sequence[int]) -> Iterator[None]:
    # A generator cannot be handed to modules; so the global stream is seeded from it for a while.
    if generator is None:
        yield
        return
    with torch.random.fork_rng(gpus):
        torch.manual_seed(int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device)))
        yield
