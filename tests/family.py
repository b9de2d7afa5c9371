"""The family: every public layer with an input that suits it, so that a convention is one test over all of them.

A new function is one entry in FUNCTIONS and a new module one in MODULES; ``test_conventions.py`` fails while a public
layer stands in neither.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import companion


def generator(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def random(*shape: int, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 1) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed)).to(device, dtype)


@dataclass(frozen=True)
class Function:
    """A layer function in one form, whatever its own arguments are: ``f(x, p, training, *, generator)`` gives a tensor.

    name: the public name; ``variant`` tells entries of one name apart.
    shape: of an ordinary input. The first axis may be made longer, or empty.
    large: of an input with more elements than float16 can count, 65,504.
    call: the one form; default: the public function itself.
    clean: what p = 0 gives for x; default: the input object itself.
    evaluated: what evaluation gives for x and p; default: what p = 0 gives.
    gone: what p = 1 gives for x; default: zeros.
    masks: whether an output is its input times 0 or times one factor.
    factor: this factor, for p; None where it follows from the draw.
    x: how the public function calls this input in its messages.
    wrong: a shape that it must refuse.
    default: its default rate.
    saved: bytes an element of a float32 input that may be kept for the backward pass; None: not stated.
    one_coin: whether one coin decides about everything, so that two draws often agree.
    compiled: whether it works in torch.compile(fullgraph=True).
    batched: whether it works in torch.func.vmap.
    """

    name: str
    shape: tuple[int, ...]
    large: tuple[int, ...]
    variant: str = ""
    call: Callable[..., Tensor] | None = None
    clean: Callable[[Tensor], Tensor] | None = None
    evaluated: Callable[[Tensor, float], Tensor] | None = None
    gone: Callable[[Tensor], Tensor] = torch.zeros_like
    masks: bool = True
    factor: Callable[[float], float] | None = lambda p: 1 / (1 - p)
    x: str = "x"
    wrong: tuple[int, ...] | None = None
    default: float = 0.5
    saved: float | None = 1.0
    one_coin: bool = False
    compiled: bool = True
    batched: bool = True

    def __call__(self, x: Tensor, p: float | Tensor = 0.5, training: bool = True, **options) -> Tensor:
        return (self.call or getattr(companion, self.name))(x, p, training, **options)

    def __str__(self) -> str:
        return f"{self.name} {self.variant}".strip()


@dataclass(frozen=True)
class Module:
    """A layer module: ``module(p)`` makes one, ``module.x()`` gives an input for it.

    name: the public name; ``variant`` tells entries of one name apart.
    shape: of an ordinary input.
    make: from p; default: the public class.
    words: the input is a tensor of this many different ids, not of real numbers.
    keys: names in its state_dict.
    default: its default rate.
    one_coin, compiled: as for a function.
    """

    name: str
    shape: tuple[int, ...]
    variant: str = ""
    make: Callable[..., nn.Module] | None = None
    words: int = 0
    keys: tuple[str, ...] = ()
    default: float = 0.5
    one_coin: bool = False
    compiled: bool = True

    def __call__(self, p=0.5) -> nn.Module:
        return (self.make or getattr(companion, self.name))(p)

    def x(self, times: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
        """An input whose first axis is ``times`` as long as usual."""
        shape = (times * self.shape[0], *self.shape[1:])
        if self.words:
            return torch.arange(torch.Size(shape).numel()).remainder(self.words).view(shape)
        return random(*shape, dtype=dtype)

    def __str__(self) -> str:
        return f"{self.name} {self.variant}".strip()


def once(p: float) -> float:
    return 1.0


# Few bits, so that they are the same numbers in every dtype.
WEIGHT = (4 * random(5, 8)).round() / 4
KERNEL = (4 * random(5, 3, 2, 3)).round() / 4
BIAS = (4 * random(5)).round() / 4


def linear(x, p, training=True, per_example=False, **options):
    real = isinstance(x, Tensor) and x.is_floating_point()
    weight, bias = (t.to(x) if real else t for t in (WEIGHT, BIAS))
    return companion.drop_connect_linear(x, weight, bias, p, training, per_example, **options)


def convolution(x, p, training=True, per_example=False, **options):
    real = isinstance(x, Tensor) and x.is_floating_point()
    weight, bias = (t.to(x) if real else t for t in (KERNEL, BIAS))
    return companion.drop_connect_conv2d(x, weight, bias, p, training, per_example, **options)


def look_up(weight, p, training=True, **options):
    """Every word once, backwards."""
    ids = torch.arange(len(weight), device="cpu").flip(0)
    ids = ids.to(weight.device) if isinstance(weight, Tensor) else ids
    return companion.embedding_dropout(ids, weight, p, training, **options)


def block(block_size, calibrate="exact", share_channels=False):
    def call(x, p, training=True, **options):
        return companion.drop_block(x, p, block_size, training, calibrate, share_channels, **options)

    return call


def depth(mode):
    def call(x, p, training=True, **options):
        return companion.stochastic_depth(x, torch.tanh, p, training, mode, **options)

    return call


def plain_linear(x):
    return F.linear(x, WEIGHT.to(x), BIAS.to(x))


def only_bias(x):
    return BIAS.to(x).expand(*x.shape[:-1], 5)


def residual(x):
    return x + torch.tanh(x)


CONNECT = {"clean": plain_linear, "gone": only_bias, "masks": False, "wrong": (6, 7), "saved": None}
CONVOLVE = {
    "clean": lambda x: F.conv2d(x, KERNEL.to(x), BIAS.to(x)),
    "gone": lambda x: BIAS.to(x)[:, None, None].expand(len(x), 5, x.shape[2] - 1, x.shape[3] - 2),
    "masks": False,
    "wrong": (6, 7),
    "saved": None,
}
DEPTH = {"clean": residual, "gone": lambda x: x, "masks": False, "saved": 5.0, "compiled": False, "batched": False}
BLOCK = {"wrong": (4, 6), "default": 0.1, "factor": None}

FUNCTIONS = [
    Function("naive_dropout", (6, 8), (300, 300), factor=once),
    Function("vanilla_dropout", (6, 8), (300, 300), factor=once, evaluated=lambda x, p: x * (1 - p)),
    Function("dropout", (6, 8), (300, 300)),
    Function("dropout", (4, 3, 5, 7), (9, 40, 14, 14), "of maps"),
    Function("spatial_dropout", (4, 6, 5), (40, 50, 40), "1d", wrong=(4, 6)),
    Function("spatial_dropout", (4, 6, 5, 7), (20, 40, 11, 11), "2d", wrong=(4, 6)),
    Function("spatial_dropout", (4, 3, 4, 5, 3), (20, 40, 5, 5, 5), "3d", wrong=(4,)),
    Function("drop_connect_linear", (6, 8), (9000, 8), call=linear, **CONNECT),
    Function(
        "drop_connect_linear",
        (6, 8),
        (9000, 8),
        "per example",
        call=lambda x, p, training=True, **options: linear(x, p, training, True, **options),
        **CONNECT,
    ),
    Function("drop_connect_conv2d", (4, 3, 4, 5), (160, 3, 12, 12), call=convolution, **CONVOLVE),
    Function("drop_path", (6, 4, 3, 5), (300, 6, 7, 7), x="y", wrong=()),
    Function("stochastic_depth", (6, 8), (300, 300), "by batch", call=depth("batch"), one_coin=True, **DEPTH),
    Function("stochastic_depth", (6, 4, 3, 5), (300, 6, 7, 7), "by sample", call=depth("sample"), **DEPTH),
    Function("drop_block", (4, 3, 12), (40, 50, 40), "1d", call=block(4), **BLOCK),
    Function("drop_block", (4, 3, 9, 8), (20, 40, 11, 11), "2d", call=block(3), **BLOCK),
    Function("drop_block", (4, 3, 5, 6, 4), (20, 40, 5, 5, 5), "3d", call=block(2), **BLOCK),
    Function("drop_block", (4, 3, 9, 8), (20, 40, 11, 11), "uniform", call=block(3, "uniform"), **BLOCK),
    Function("drop_block", (4, 3, 9, 8), (20, 40, 11, 11), "shared", call=block(4, "paper", True), **BLOCK),
    Function("locked_dropout", (4, 5, 6), (30, 50, 50), wrong=(6,)),
    Function(
        "embedding_dropout",
        (12, 16),
        (4500, 16),
        call=look_up,
        clean=lambda x: x.flip(0),
        masks=False,
        x="weight",
        wrong=(12,),
        default=0.1,
    ),
    Function("gaussian_dropout", (6, 8), (300, 300), masks=False, saved=4.0),
    Function("alpha_dropout", (6, 8), (300, 300), masks=False),
]

RECURRENT = ("module.weight_ih_l0", "module.weight_hh_l0", "module.bias_ih_l0", "module.bias_hh_l0")

MODULES = [
    Module("NaiveDropout", (6, 8)),
    Module("VanillaDropout", (6, 8)),
    Module("Dropout", (6, 8)),
    Module("SpatialDropout1d", (4, 6, 5)),
    Module("SpatialDropout2d", (4, 6, 5, 7)),
    Module("SpatialDropout3d", (4, 3, 4, 5, 3)),
    Module("DropConnectLinear", (6, 8), make=lambda p: companion.DropConnectLinear(8, 5, p=p), keys=("weight", "bias")),
    Module(
        "DropConnectConv2d",
        (4, 3, 6, 7),
        make=lambda p: companion.DropConnectConv2d(3, 5, 3, p=p),
        keys=("weight", "bias"),
    ),
    Module("DropPath", (6, 8)),
    Module(
        "StochasticDepth",
        (6, 8),
        "by batch",
        make=lambda p: companion.StochasticDepth(nn.Tanh(), p),
        one_coin=True,
        compiled=False,
    ),
    Module(
        "StochasticDepth",
        (6, 8),
        "by sample",
        make=lambda p: companion.StochasticDepth(nn.Tanh(), p, "sample"),
        compiled=False,
    ),
    Module("DropBlock1d", (4, 3, 12), make=lambda p: companion.DropBlock1d(p, 4), default=0.1),
    Module("DropBlock2d", (4, 3, 9, 8), make=lambda p: companion.DropBlock2d(p, 3), default=0.1),
    Module("DropBlock3d", (4, 3, 5, 6, 4), make=lambda p: companion.DropBlock3d(p, 2), default=0.1),
    Module("LockedDropout", (4, 5, 6)),
    Module(
        "WeightDrop",
        (4, 7, 6),
        "of an LSTM",
        make=lambda p: companion.WeightDrop(nn.LSTM(6, 5, batch_first=True), p),
        keys=RECURRENT,
        compiled=False,
    ),
    Module(
        "WeightDrop",
        (6, 8),
        "of a linear layer",
        make=lambda p: companion.WeightDrop(nn.Linear(8, 5), p),
        keys=("module.weight", "module.bias"),
    ),
    Module(
        "EmbeddingDropout",
        (4, 16),
        make=lambda p: companion.EmbeddingDropout(nn.Embedding(64, 5), p),
        words=64,
        keys=("embedding.weight",),
        default=0.1,
    ),
    Module("GaussianDropout", (6, 8)),
    Module("AlphaDropout", (6, 8)),
]
