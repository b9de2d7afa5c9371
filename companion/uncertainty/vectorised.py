"""All passes of a model at once, under vmap: what stands before the first dropout is computed once."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from companion.layers.dropout import dropout
from companion.uncertainty.active import Listener
from companion.uncertainty.random_state import changed, random_state


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def copied(x: Any) -> Any:
    """The input of one run of the model, which may work on it in place."""
    return tree_map(lambda leaf: leaf.clone() if is_tensor(leaf) else leaf, x)


def passes_at_once(
    call: Callable[[Any], Tensor],
    x: Any,
    samples: int,
    chunk: int,
    model: nn.Module,
    random: set[nn.Module],
    listener: Listener,
    gpus: Sequence[int],
) -> Iterator[Tensor]:
    """Yields the outputs of the passes, chunk by chunk, each chunk by one run of the model under vmap.

    vmap carries an axis of passes that the model does not see: a tensor gets it from the first random module that it
    meets, and has no such axis before. vmap's own rules for randomness are not relied on: operators that draw within
    (LSTM) give all passes the same mask without a word.
    """
    for start in range(0, samples, chunk):
        n = min(chunk, samples - start)
        before = random_state(gpus)
        with listener if start == 0 else nullcontext(), _pass_by_pass(model, random) as enter:

            def one_pass(pass_number: Tensor) -> Tensor:
                enter(pass_number)
                return call(copied(x))

            y = torch.func.vmap(one_pass, randomness="different")(torch.arange(n))
        if not random and n > 1 and changed(before, gpus) and all(torch.equal(y[0], other) for other in y[1:]):
            raise RuntimeError("random numbers were drawn, but all passes are alike under vmap")
        yield y


@contextmanager
def _pass_by_pass(model: nn.Module, random: set[nn.Module]) -> Iterator[Callable[[Tensor], None]]:
    """Lets random modules run outside of vmap, once for each pass; yields a function that takes vmap's argument.

    So do the layers for which vmap has no rule, once the passes differ.
    """
    no_rule = (nn.RNNBase, nn.MultiheadAttention)
    state = {"pass": None, "within": False}
    replaced = []

    def replacement(module: nn.Module, forward: Callable) -> Callable:
        inplace = any(getattr(child, "inplace", False) for child in module.modules())

        def run(*args: Any, **kwargs: Any) -> Any:
            if state["within"]:  # in a module that runs pass by pass already
                return forward(*args, **kwargs)
            leaves, structure = tree_flatten((args, kwargs))
            tensors = [leaf for leaf in leaves if is_tensor(leaf)]
            made = []

            def once(*values: Tensor) -> tuple[Tensor, ...]:
                versions = [value._version for value in values]
                given = iter([value.clone() for value in values] if inplace else values)
                filled = [next(given) if is_tensor(leaf) else leaf for leaf in leaves]
                a, k = tree_unflatten(filled, structure)
                state["within"] = True
                try:
                    outputs, form = tree_flatten(forward(*a, **k))
                finally:
                    state["within"] = False
                if versions != [value._version for value in values]:
                    raise RuntimeError(f"{type(module).__name__} works on its input in place")
                made[:] = [form, outputs]
                return tuple(output for output in outputs if is_tensor(output))

            number = state["pass"] if module in random else torch.zeros(())
            stacked = iter(_EachPass.apply(once, number, *tensors))
            form, outputs = made
            return tree_unflatten([next(stacked) if is_tensor(output) else output for output in outputs], form)

        return run

    try:
        for module in model.modules():
            if module in random or isinstance(module, no_rule):
                own = module.__dict__.get("forward")
                replaced.append((module, own))
                if type(module) is nn.Dropout and own is None:  # the same law, by a faster draw
                    module.forward = replacement(module, functools.partial(dropout, p=module.p))
                else:
                    module.forward = replacement(module, module.forward)

        def enter(pass_number: Tensor) -> None:
            state["pass"] = pass_number

        yield enter
    finally:
        for module, forward in replaced:
            if forward is None:
                del module.forward
            else:
                module.forward = forward


class _EachPass(torch.autograd.Function):
    """Calls a function of tensors once for each pass of vmap, outside of it, and stacks what it returns.

    If none of the tensors depends on the pass, the function is called once.
    """

    @staticmethod
    def forward(function: Callable, number: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return function(*tensors)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def vmap(info, in_dims, function: Callable, number: Tensor, *tensors: Tensor) -> tuple[tuple, tuple]:
        passes = []
        for t in range(info.batch_size):
            each = [x if dim is None else x.select(dim, t) for x, dim in zip(tensors, in_dims[2:], strict=True)]
            passes.append(function(*each))
        outputs = tuple(torch.stack(values) for values in zip(*passes, strict=True))
        return outputs, (0,) * len(outputs)
