"""What is compared: the cases, their sizes, their peers and their goals.

A :class:`Race` is the same work done in several ways, to be timed; a :class:`Count` is a number that each way has:
bytes kept, a realised rate, compilations. A goal of a race is the largest ratio ours / theirs that is good enough.
Goals of races hold for CPUs; those that rest on torch's ``bernoulli_`` being slow, for CPUs on which it is.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.bench.measure import kept_for_backward
from companion.bench.peers import find
from companion.layers.dropblock import drop_block
from companion.layers.dropconnect import DropConnectConv2d, drop_connect_linear
from companion.layers.dropout import Dropout, dropout
from companion.layers.noise import alpha_dropout, gaussian_dropout
from companion.layers.recurrent import WeightDrop, embedding_dropout, locked_dropout
from companion.layers.spatial import spatial_dropout
from companion.layers.stochastic_depth import DropPath, stochastic_depth
from companion.schedules import Ramp, linear_depth
from companion.uncertainty import mc_predict

__all__ = ["GROUPS", "Count", "Race", "Scale"]

Way = Callable[[], object]


@dataclass(frozen=True)
class Race:
    """The same work done in several ways.

    Args:
        case: what is done, with shapes.
        ours: our way.
        others: the others' ways by name; None where the peer is not installed.
        goals: for some of the others the largest ratio ours / theirs that is good enough.
        drawing: those of the others whose time is mostly torch's ``bernoulli_``.
        moved: bytes that any way must read and write at least; 0 where that says little.
    """

    case: str
    ours: Way
    others: Mapping[str, Way | None]
    goals: Mapping[str, float] = field(default_factory=dict)
    drawing: frozenset[str] = frozenset()
    moved: int = 0


@dataclass(frozen=True)
class Count:
    """A number that each way has; a way that cannot do it says why with a text, a missing one with None.

    Args:
        case: what is counted, with shapes.
        ours: counts ours.
        others: count the others', by name; None where the peer is not installed.
        low, high: our number must lie between them.
    """

    case: str
    ours: Callable[[], float]
    others: Mapping[str, Callable[[], float | str] | None]
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Scale:
    """Where the cases run and how large they are: ``scale(full, tiny)`` picks a size."""

    device: torch.device
    quick: bool = False

    def __call__(self, full, tiny):
        return tiny if self.quick else full

    def random(self, *shape: int, grad: bool = False) -> Tensor:
        return torch.randn(*shape, device=self.device).requires_grad_(grad)

    def floor(self, x: Tensor) -> dict[str, Way]:
        """What no layer can undercut: one pass over memory."""
        x = x.detach()
        if self.device.type == "cpu":
            return {"x * c": lambda: x * 1.25}
        y = torch.empty_like(x)
        return {"copy": lambda: y.copy_(x)}


def _called(function: Callable | None, *args, **kwargs) -> Way | None:
    return None if function is None else lambda: function(*args, **kwargs)


def _with_backward(ways: Mapping[str, Callable[[], Tensor] | None], *leaves: Tensor) -> dict[str, Way | None]:
    """The ways with their backward passes, all with the same gradient of the output."""
    shape = next(way for way in ways.values() if way is not None)()
    gradient = torch.randn_like(shape)
    return {
        name: way and (lambda way=way: torch.autograd.grad(way(), leaves, gradient, allow_unused=True))
        for name, way in ways.items()
    }


def _race(case: str, ways: dict[str, Way | None], *, goals=None, drawing=(), moved=0, floor=None) -> Race:
    others = {name: way for name, way in ways.items() if name != "ours"} | (floor or {})
    return Race(case, ways["ours"], others, goals or {}, frozenset(drawing), moved)


def _times(*lengths: int) -> str:
    return "×".join(map(str, lengths))


def _one_byte_and_four_passes(x: Tensor) -> Way:
    """The floor of an exact dropout without ``bernoulli_``: a random byte an element and four passes of floats."""
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)

    def way() -> Tensor:
        words.random_(-(2**63), None)
        return (x * 1.25).mul_(1.25).mul_(0.8).mul_(0.8)

    return way


BYTE_FLOOR = "a random byte and four passes"


# ------------------------------------------------------------------------------------------- one coin an element


def dropout_cases(scale: Scale) -> Iterator[Race | Count]:
    big, middle, small = scale((1024, 4096), (128, 128)), scale((64, 256), (16, 16)), (8, 64)
    goals = {
        (big, 0.5): (0.10, 0.16),
        (big, 0.1): (0.30, 0.36),
        (middle, 0.1): (0.50, None),
        (middle, 0.5): (0.50, None),
        (small, 0.1): (1.20, None),
        (small, 0.5): (1.20, None),
    }
    for (shape, p), (forward, both) in goals.items():
        x = scale.random(*shape)
        case, moved = f"{_times(*shape)}, p = {p}", 2 * x.nbytes
        ways = {"ours": _called(dropout, x, p), "F.dropout": _called(F.dropout, x, p)}
        floor = scale.floor(x)
        goal = {"F.dropout": forward}
        # A few small elements wait for Python in any case: there the ratio does not rest on bernoulli_.
        drawing = () if shape == small else ("F.dropout",)
        if shape == big and scale.device.type == "cpu":
            floor |= {BYTE_FLOOR: _one_byte_and_four_passes(x)}
            goal |= {BYTE_FLOOR: 1.25}
        yield _race(f"{case}, forward", ways, goals=goal, drawing=drawing, moved=moved, floor=floor)
        leaf = x.clone().requires_grad_()
        ways = {"ours": _called(dropout, leaf, p), "F.dropout": _called(F.dropout, leaf, p)}
        floor = {"x * c": lambda leaf=leaf: leaf * 1.25}
        yield _race(
            f"{case}, forward and backward",
            _with_backward(ways | floor, leaf),
            goals={"F.dropout": both} if both else {},
            drawing=drawing,
        )


def alpha_cases(scale: Scale) -> Iterator[Race | Count]:

    shape = scale((1024, 4096), (128, 128))
    for p, goal in {0.5: 0.14, 0.1: 0.34}.items():
        x = scale.random(*shape)
        case = f"{_times(*shape)}, p = {p}"
        peer = _called(F.alpha_dropout, x, p, training=True)
        floor, goals = scale.floor(x), {"F.alpha_dropout": goal}
        if scale.device.type == "cpu":
            floor |= {BYTE_FLOOR: _one_byte_and_four_passes(x)}
            goals |= {BYTE_FLOOR: 1.25}
        yield _race(
            f"{case}, forward",
            {"ours": _called(alpha_dropout, x, p), "F.alpha_dropout": peer},
            goals=goals,
            drawing=["F.alpha_dropout"],
            moved=2 * x.nbytes,
            floor=floor,
        )
        leaf = x.clone().requires_grad_()
        ways = {
            "ours": _called(alpha_dropout, leaf, p),
            "F.alpha_dropout": _called(F.alpha_dropout, leaf, p, training=True),
        }
        yield _race(f"{case}, forward and backward", _with_backward(ways, leaf), drawing=["F.alpha_dropout"])


def gaussian_cases(scale: Scale) -> Iterator[Race | Count]:

    shape, p = scale((1024, 4096), (128, 128)), 0.5
    deviation = math.sqrt(p / (1 - p))

    def plain(x: Tensor) -> Tensor:
        return x * (torch.randn_like(x) * deviation + 1)

    x = scale.random(*shape)
    leaf = x.clone().requires_grad_()
    case, peer = f"{_times(*shape)}, p = {p}", "x * (1 + s * randn)"
    ways = {"ours": _called(gaussian_dropout, x, p), peer: _called(plain, x)}
    yield _race(f"{case}, forward", ways, goals={peer: 0.85}, moved=2 * x.nbytes, floor=scale.floor(x))
    ways = {"ours": _called(gaussian_dropout, leaf, p), peer: _called(plain, leaf)}
    yield _race(f"{case}, forward and backward", _with_backward(ways, leaf))


# ------------------------------------------------------------------------------------- one coin a channel, a block


def spatial_cases(scale: Scale) -> Iterator[Race | Count]:

    shapes = [
        (scale((64, 256, 784), (4, 8, 16)), F.dropout1d, "F.dropout1d", torch.contiguous_format),
        (scale((64, 256, 28, 28), (4, 8, 4, 4)), F.dropout2d, "F.dropout2d", torch.contiguous_format),
        (scale((64, 256, 28, 28), (4, 8, 4, 4)), F.dropout2d, "F.dropout2d", torch.channels_last),
        (scale((16, 64, 16, 28, 28), (2, 4, 3, 4, 4)), F.dropout3d, "F.dropout3d", torch.contiguous_format),
    ]
    for shape, peer, name, memory in shapes:
        x = scale.random(*shape).contiguous(memory_format=memory)
        case = f"{_times(*shape)}{', channels last' if memory is torch.channels_last else ''}, p = 0.2"
        ways = {"ours": _called(spatial_dropout, x, 0.2), name: _called(peer, x, 0.2)}
        floor = scale.floor(x)
        yield _race(f"{case}, forward", ways, goals={name: 1.05}, moved=2 * x.nbytes, floor=floor)
        leaf = x.clone().requires_grad_()
        ways = {"ours": _called(spatial_dropout, leaf, 0.2), name: _called(peer, leaf, 0.2)}
        yield _race(f"{case}, forward and backward", _with_backward(ways, leaf))


def _drop_blocks(x: Tensor, p: float, k: int) -> dict[str, Way | None]:
    """The peers' DropBlocks with one mask a channel; miguelvr's has only one mask a sample."""
    shared = find("dropblock.dropblock", "DropBlock2D")
    return {
        "torchvision": _called(find("torchvision.ops.drop_block", "drop_block2d"), x, p, k),
        "timm": _called(find("timm.layers.drop", "drop_block_2d"), x, p, k, couple_channels=False),
        "dropblock (one mask a sample)": _called(shared and shared(p, k).train(), x),
    }


def drop_block_cases(scale: Scale) -> Iterator[Race | Count]:

    settings = [
        (scale((64, 256, 28, 28), (4, 8, 14, 14)), 7, 0.1, 0.08, 0.12),
        (scale((128, 64, 32, 32), (4, 8, 16, 16)), 3, 0.3, 0.15, 0.22),
    ]
    for shape, k, p, forward, both in settings:
        x = scale.random(*shape)
        case = f"{_times(*shape)}, k = {k}, p = {p}"
        ways = {"ours": _called(drop_block, x, p, k), **_drop_blocks(x, p, k)}
        goals = {"torchvision": forward}
        yield _race(f"{case}, forward", ways, goals=goals, moved=2 * x.nbytes, floor=scale.floor(x))
        leaf = x.clone().requires_grad_()
        ways = {"ours": _called(drop_block, leaf, p, k), **_drop_blocks(leaf, p, k)}
        ways |= {"x * c": lambda leaf=leaf: leaf * 1.25}
        yield _race(f"{case}, forward and backward", _with_backward(ways, leaf), goals={"torchvision": both})

        timm = find("timm.layers.drop", "drop_block_2d")
        ways = {"ours": _called(drop_block, x, p, k, share_channels=True), "timm": _called(timm, x, p, k)}
        yield _race(
            f"{case}, one mask a sample, forward", ways, goals={"timm": 1.05}, moved=2 * x.nbytes, floor=scale.floor(x)
        )
        ways = {"ours": _called(drop_block, leaf, p, k, share_channels=True), "timm": _called(timm, leaf, p, k)}
        yield _race(f"{case}, one mask a sample, forward and backward", _with_backward(ways, leaf))


def rate_cases(scale: Scale) -> Iterator[Race | Count]:

    def dropped(way: Way | None) -> Callable[[], float | str] | None:
        def count() -> float | str:
            try:
                return 1 - torch.count_nonzero(way()).item() / numel
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        return way and count

    k, p = 7, 0.1
    for side, maps in {6: 131072, 7: 131072, 14: 32768, 56: 4096}.items():
        x = torch.ones(scale(maps, 512), 1, side, side, device=scale.device)
        numel = x.numel()
        peers = _drop_blocks(x, p, k)
        peers["dropblock"] = peers.pop("dropblock (one mask a sample)")
        kinds = {f"ours, {kind}": _called(drop_block, x, p, k, calibrate=kind) for kind in ("uniform", "paper")}
        yield Count(
            f"{side}×{side} map, k = {k}, p = {p}",
            dropped(_called(drop_block, x, p, k)),
            {name: dropped(way) for name, way in {**kinds, **peers}.items()},
            low=p - 0.005,
            high=p + 0.005,
        )


# ------------------------------------------------------------------------------------------------ one coin a weight


def drop_connect_cases(scale: Scale) -> Iterator[Race | Count]:

    width, batch = scale((1024, 128), (32, 8))
    x = scale.random(batch, width)
    weight, bias = scale.random(width, width) / width**0.5, scale.random(width)
    peer = "F.linear(x, F.dropout(W))"
    for p, (forward, both) in {0.5: (0.28, 0.55), 0.1: (0.52, 0.76)}.items():
        for case, goal, leaves in [("forward", forward, ()), ("forward and backward", both, (x, weight, bias))]:
            v, w, b = (leaf.clone().requires_grad_() for leaf in leaves) if leaves else (x, weight, bias)
            ways = {
                "ours": lambda v=v, w=w, b=b, p=p: drop_connect_linear(v, w, b, p),
                peer: lambda v=v, w=w, b=b, p=p: F.linear(v, F.dropout(w, p), b),
                "baal": _baal_linear(w, b, p, v),
                "F.linear(x, W)": lambda v=v, w=w, b=b: F.linear(v, w, b),
            }
            if leaves:
                ways = _with_backward(ways, v, w, b)
            drawing = [peer, "baal"]
            yield _race(
                f"{width} to {width}, batch {batch}, p = {p}, {case}", ways, goals={peer: goal}, drawing=drawing
            )

    channels, side, batch = scale((256, 7, 8), (8, 7, 2))
    conv = DropConnectConv2d(channels, channels, 3, p=0.5, padding=1).to(scale.device)
    v, peer = scale.random(batch, channels, side, side), "F.conv2d(x, F.dropout(W))"
    for case, goals in [("forward", {peer: 0.45}), ("forward and backward", {})]:
        ways = {
            "ours": lambda: conv(v),
            peer: lambda: F.conv2d(v, F.dropout(conv.weight, 0.5), conv.bias, padding=1),
            "F.conv2d(x, W)": lambda: F.conv2d(v, conv.weight, conv.bias, padding=1),
        }
        if case == "forward":
            ways = {name: torch.no_grad()(way) for name, way in ways.items()}
        else:
            ways = _with_backward(ways, conv.weight, conv.bias)
        case = f"3×3 convolution, {channels} channels, {side}×{side}, batch {batch}, p = 0.5, {case}"
        yield _race(case, ways, goals=goals, drawing=[peer])


def _baal_linear(weight: Tensor, bias: Tensor, p: float, x: Tensor) -> Way | None:
    layer = find("baal.bayesian.weight_drop", "WeightDropLinear")
    if layer is None:
        return None
    linear = layer(p, in_features=weight.shape[1], out_features=weight.shape[0]).to(x.device)
    del linear.weight, linear.bias  # it takes ours, so that both ways differentiate the same parameters
    linear.weight, linear.bias = weight, bias
    return lambda: linear(x)


# ---------------------------------------------------------------------------------------------- one coin a branch


def _blocks(scale: Scale, kind: str, depth: int) -> tuple[nn.ModuleList, Tensor, str]:
    if kind == "MLP":
        width, batch = scale((256, 128), (8, 4))
        blocks = [
            nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)) for _ in range(depth)
        ]
        return nn.ModuleList(blocks), scale.random(batch, width), f"MLP {width}-{4 * width}, batch {batch}"
    channels, side, batch = scale((32, 16, 16), (4, 4, 2))
    blocks = [
        nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        for _ in range(depth)
    ]
    x = scale.random(batch, channels, side, side)
    return nn.ModuleList(blocks), x, f"convolutions with BatchNorm, {channels} channels, {side}×{side}, batch {batch}"


def stochastic_depth_cases(scale: Scale) -> Iterator[Race | Count]:

    depth = scale(50, 4)
    rates = linear_depth(depth, 0.5)
    gates = torch.Generator()

    def gated(x: Tensor, branches, mode: str) -> Tensor:
        for branch, p in zip(branches, rates, strict=True):
            x = stochastic_depth(x, branch, p, mode=mode, generator=gates)
        return x

    def surviving(seed: int) -> list[int]:
        alive: list[int] = []

        def noting(index: int):
            return lambda x: (alive.append(index), x)[1]

        gates.manual_seed(seed)
        gated(torch.zeros(1, 1), [noting(index) for index in range(depth)], "batch")
        return alive

    # One list of gates for every pass, with as many survivors as are expected: else each pass would take its own time.
    expected = round(sum(1 - p for p in rates))
    seed = next(seed for seed in range(10_000) if len(surviving(seed)) == expected)
    alive = surviving(seed)

    def passed(x: Tensor, layer: Callable[[Tensor, float], Tensor] | None) -> Callable[[], Tensor] | None:
        def way() -> Tensor:
            y = x
            for block, p in zip(blocks, rates, strict=True):
                y = y + layer(block(y), p)
            return y

        return layer and way

    def ours(x: Tensor, mode: str) -> Callable[[], Tensor]:
        def way() -> Tensor:
            gates.manual_seed(seed)
            return gated(x, blocks, mode)

        return way

    def survivors(x: Tensor) -> Callable[[], Tensor]:
        def way() -> Tensor:
            y = x
            for index in alive:
                y = y + blocks[index](y)
            return y

        return way

    timm = find("timm.layers.drop", "drop_path")
    vision = find("torchvision.ops.stochastic_depth", "stochastic_depth")
    for kind in ["MLP", "convolutions"]:
        blocks, x, name = _blocks(scale, kind, depth)
        blocks.to(scale.device).train()
        only = f"only the {expected} survivors"
        for mode, goals in [("batch", {"timm": 0.78, "torchvision": 0.78, only: 1.05}), ("sample", {"timm": 0.87})]:
            ways = {
                "ours": ours(x, mode),
                "timm": passed(x, timm and (lambda y, p: timm(y, p, True))),
                "torchvision": passed(
                    x, vision and (lambda y, p, row={"batch": "batch", "sample": "row"}[mode]: vision(y, p, row))
                ),
                "no stochastic depth": passed(x, lambda y, p: y),
            }
            if mode == "batch":
                ways[only] = survivors(x)
            case = f"{depth} blocks, {name}, a gate a {mode}"
            forward = {key: way and torch.no_grad()(way) for key, way in ways.items()}
            yield _race(f"{case}, forward", forward, goals=goals)
            yield _race(f"{case}, forward and backward", _with_backward(ways, *blocks.parameters()), goals=goals)


# ---------------------------------------------------------------------------------------------------- sequences


def locked_cases(scale: Scale) -> Iterator[Race | Count]:

    def awd(x: Tensor, p: float) -> Tensor:
        # AWD-LSTM's way (Merity et al. 2018, sec. 4.2): a float mask for the sequence, expanded over its steps.
        mask = x.detach().new_empty(1, *x.shape[1:]).bernoulli_(1 - p) / (1 - p)
        return mask.expand_as(x) * x

    shape, p = scale((70, 80, 400), (5, 4, 8)), 0.4
    x = scale.random(*shape)
    leaf = x.clone().requires_grad_()
    case, peer = f"{_times(*shape)}, p = {p}", "AWD's way"
    ways = {"ours": _called(locked_dropout, x, p, axis=0), peer: _called(awd, x, p)}
    yield _race(f"{case}, forward", ways, goals={peer: 0.65}, moved=2 * x.nbytes, floor=scale.floor(x))
    ways = {"ours": _called(locked_dropout, leaf, p, axis=0), peer: _called(awd, leaf, p)}
    yield _race(f"{case}, forward and backward", _with_backward(ways, leaf))


def embedding_cases(scale: Scale) -> Iterator[Race | Count]:

    def awd(ids: Tensor, weight: Tensor, p: float) -> Tensor:
        # AWD-LSTM's way (Merity et al. 2018, sec. 4.3): the whole table is masked, whatever the batch looks up.
        mask = weight.detach().new_empty(weight.shape[0], 1).bernoulli_(1 - p) / (1 - p)
        return F.embedding(ids, mask * weight)

    words, width, tokens = scale((33278, 400, (70, 80)), (100, 8, (5, 4)))
    weight, p = scale.random(words, width), 0.1
    ids = torch.randint(words, tokens, device=scale.device)
    leaf = weight.clone().requires_grad_()
    for case, goal, table in [("forward", 0.05, weight), ("forward and backward", 0.30, leaf)]:
        ways = {
            "ours": lambda table=table: embedding_dropout(ids, table, p),
            "AWD's way": lambda table=table: awd(ids, table, p),
            "F.embedding": lambda table=table: F.embedding(ids, table),
        }
        if table is leaf:
            ways = _with_backward(ways, leaf)
        yield _race(
            f"{words} words of {width}, {_times(*tokens)} tokens, p = {p}, {case}", ways, goals={"AWD's way": goal}
        )


def weight_drop_cases(scale: Scale) -> Iterator[Race | Count]:

    width, steps, batch = scale((400, 35, 40), (8, 5, 4))
    x, p = scale.random(steps, batch, width), 0.5
    plain = nn.LSTM(width, width).to(scale.device)
    ours = WeightDrop(nn.LSTM(width, width).to(scale.device), p)
    zeros = scale.random(1, batch, width) * 0

    def awd() -> Tensor:
        # AWD-LSTM's way (Merity et al. 2018, sec. 2): the weight is replaced by F.dropout of it before each call.
        flat = [F.dropout(w, p) if name == "weight_hh_l0" else w for name, w in plain.named_parameters()]
        return torch.lstm(x, (zeros, zeros), flat, True, 1, 0.0, True, False, False)[0]

    ways = {"ours": lambda: ours(x)[0], "AWD's way": awd, "nn.LSTM": lambda: plain(x)[0]}
    case = f"LSTM {width}, {steps} steps, batch {batch}, p = {p}"
    yield _race(f"{case}, forward", {name: torch.no_grad()(way) for name, way in ways.items()}, drawing=["AWD's way"])
    parameters = [*ours.parameters(), *plain.parameters()]
    yield _race(f"{case}, forward and backward", _with_backward(ways, *parameters), drawing=["AWD's way"])


# ---------------------------------------------------------------------------------------------------- uncertainty


def mc_cases(scale: Scale) -> Iterator[Race | Count]:

    samples = 20
    channels, side, batch = scale((32, 32, 32), (2, 8, 2))
    trunk = [nn.Conv2d(3, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, 2 * channels, 3, 2, 1), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32 * channels, 10)]
    width, rows = scale((1024, 128), (16, 4))
    mlp = [
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 10),
    ]
    cases = [
        (
            f"convolutions, dropout in the head, {_times(batch, 3, side, side)}",
            [*trunk, *head],
            (batch, 3, side, side),
            True,
        ),
        (f"MLP {width}, dropout after layer 1, batch {rows}", mlp, (rows, width), False),
    ]
    wrapped = find("torch_uncertainty.methods.mc_dropout", "mc_dropout")
    for case, layers, shape, in_head in cases:
        model, x = nn.Sequential(*layers).to(scale.device).eval(), scale.random(*shape)
        alive = nn.Sequential(*layers)  # the same layers, with dropout on
        on = [layer for layer in alive if isinstance(layer, nn.Dropout)]

        def with_dropout(way: Way, on=on) -> Way:
            def switched() -> object:
                for layer in on:
                    layer.train()
                try:
                    return way()
                finally:
                    for layer in on:
                        layer.eval()

            return torch.no_grad()(switched)

        def passes(x=x, alive=alive) -> Tensor:
            return torch.stack([alive(x) for _ in range(samples)]).softmax(-1).mean(0)

        def expanded(x=x, alive=alive) -> Tensor:
            wide = x.repeat(samples, *(1,) * (x.ndim - 1))
            return alive(wide).view(samples, x.shape[0], -1).softmax(-1).mean(0)

        loop, batchwise, once = f"a loop of {samples} passes", f"a batch {samples} times as large", "one plain pass"
        ways = {
            "ours": lambda model=model, x=x: mc_predict(model, x, samples),
            loop: with_dropout(passes),
            batchwise: with_dropout(expanded),
            once: torch.no_grad()(lambda model=model, x=x: model(x)),
        }
        for name, on_batch in [("torch-uncertainty, loop", False), ("torch-uncertainty, batch", True)]:
            peer = wrapped and wrapped(nn.Sequential(*layers), samples, on_batch=on_batch).eval()
            ways[name] = peer and with_dropout(lambda peer=peer, x=x: peer(x))
        goals = {batchwise: 0.05, loop: 0.20, once: 4.0} if in_head else {batchwise: 0.60, loop: 0.60}
        yield _race(f"{case}, T = {samples}", ways, goals=goals)


# ---------------------------------------------------------------------------------------------- memory, compiler


def bytes_cases(scale: Scale) -> Iterator[Race | Count]:

    flat, maps = scale((1024, 4096), (128, 128)), scale((16, 64, 28, 28), (8, 16, 14, 14))
    vision = find("torchvision.ops.drop_block", "drop_block2d")
    timm = find("timm.layers.drop", "drop_block_2d")
    layers = [
        ("dropout", flat, dropout, {"F.dropout": F.dropout}),
        ("alpha dropout", flat, alpha_dropout, {"F.alpha_dropout": lambda x, p: F.alpha_dropout(x, p, True)}),
        ("Gaussian dropout", flat, gaussian_dropout, {"x * randn": lambda x, p: x * torch.randn_like(x)}),
        ("spatial dropout", maps, spatial_dropout, {"F.dropout2d": F.dropout2d}),
        ("locked dropout", maps[:3], lambda x, p: locked_dropout(x, p, axis=0), {}),
        (
            "DropBlock, k = 7",
            maps,
            lambda x, p: drop_block(x, p, 7),
            {
                "torchvision": vision and (lambda x, p: vision(x, p, 7)),
                "timm": timm and (lambda x, p: timm(x, p, 7, couple_channels=False)),
            },
        ),
    ]
    for name, shape, ours, others in layers:
        x = scale.random(*shape, grad=True)

        def kept(layer, x=x) -> Callable[[], float] | None:
            return layer and (lambda: kept_for_backward(lambda: layer(x, 0.1)) / x.numel())

        # The noise of Gaussian dropout is a number, not a coin: it takes the four bytes of one.
        high = math.inf if ours is gaussian_dropout else 1.0
        counts = {peer: kept(layer) for peer, layer in others.items()}
        yield Count(f"{name}, {_times(*shape)}, float32", kept(ours), counts, high=high)


def schedule_cases(scale: Scale) -> Iterator[Race | Count]:
    rates, shape = scale(20, 3), scale((64, 256), (4, 8))

    def counted(module: nn.Module, move: Callable[[int], None]) -> tuple[int, int]:
        """Compilations, and calls that ran without a compiled graph, while ``move`` sets one rate after the other."""
        compiled = runs = eager = 0

        def backend(graph, inputs):
            nonlocal compiled
            compiled += 1

            def run(*args):
                nonlocal runs
                runs += 1
                return graph.forward(*args)

            return run

        torch._dynamo.reset()
        x, called = scale.random(*shape), torch.compile(module.train(), backend=backend)
        for call in range(rates):
            move(call)
            before = runs
            called(x)
            eager += runs == before
        torch._dynamo.reset()
        return compiled, eager

    def ours(layer: type[nn.Module]) -> tuple[int, int]:
        ramp = Ramp(0.01, 0.2, rates)
        return counted(layer(ramp), lambda call: ramp.advance())

    def theirs(module: nn.Module | None, name: str) -> tuple[int | None, int | None]:
        return counted(module, lambda call: setattr(module, name, 0.01 * (call + 1))) if module else (None, None)

    path = find("timm.layers.drop", "DropPath")
    for layer, peer, module, name in [
        (Dropout, "nn.Dropout", nn.Dropout(0.01), "p"),
        (DropPath, "timm", path and path(0.01), "drop_prob"),
    ]:
        whats = ["compilations", "calls without a compiled graph"]
        for what, wanted, mine, other in zip(whats, (1, 0), ours(layer), theirs(module, name), strict=True):
            others = {peer: other if other is None else lambda other=other: other}
            yield Count(
                f"{layer.__name__}, {rates} rates, {what}", lambda mine=mine: mine, others, low=wanted, high=wanted
            )


def compiled_cases(scale: Scale) -> Iterator[Race | Count]:
    shape = scale((1024, 4096), (128, 128))
    for p in (0.5, 0.1):
        x = scale.random(*shape)
        torch._dynamo.reset()
        # Tiny runs test the frame of the benchmark: they do without the C++ compiler.
        backend = scale("inductor", "eager")
        ours = torch.compile(lambda x, p=p: dropout(x, p), backend=backend, fullgraph=True)
        peer = torch.compile(lambda x, p=p: F.dropout(x, p), backend=backend, fullgraph=True)
        ways = {"ours": _called(ours, x), "F.dropout, compiled": _called(peer, x)}
        ways |= {"F.dropout, not compiled": _called(F.dropout, x, p)}
        goals = {"F.dropout, compiled": 0.30} if p == 0.1 else {}
        drawing = ["F.dropout, not compiled"]
        yield _race(f"{_times(*shape)}, p = {p}, forward", ways, goals=goals, drawing=drawing, moved=2 * x.nbytes)


GROUPS: dict[str, tuple[str, Callable[[Scale], Iterator[Race | Count]]]] = {
    "dropout": ("Dropout", dropout_cases),
    "alpha": ("Alpha dropout", alpha_cases),
    "gaussian": ("Gaussian dropout", gaussian_cases),
    "spatial": ("Spatial dropout", spatial_cases),
    "drop-block": ("DropBlock", drop_block_cases),
    "rates": ("DropBlock: share of cells dropped", rate_cases),
    "drop-connect": ("DropConnect", drop_connect_cases),
    "stochastic-depth": ("Stochastic depth", stochastic_depth_cases),
    "locked": ("Locked dropout", locked_cases),
    "embedding": ("Embedding dropout", embedding_cases),
    "weight-drop": ("Weight drop", weight_drop_cases),
    "mc": ("Monte Carlo dropout", mc_cases),
    "bytes": ("Bytes an element kept for the backward pass", bytes_cases),
    "schedule": ("A rate that moves, under torch.compile", schedule_cases),
    "compiled": ("Dropout under torch.compile", compiled_cases),
}
