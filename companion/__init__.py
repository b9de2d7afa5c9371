"""Companion of the course on dropout and regularization: layers, experiments, figures, exercises.

``p`` is the probability of DROPPING, everywhere.
"""

from companion.layers.dropblock import (
    DropBlock1d,
    DropBlock2d,
    DropBlock3d,
    drop_block,
)
from companion.layers.dropconnect import (
    DropConnectConv2d,
    DropConnectLinear,
    drop_connect_conv2d,
    drop_connect_linear,
)
from companion.layers.dropout import (
    Dropout,
    NaiveDropout,
    VanillaDropout,
    dropout,
    naive_dropout,
    vanilla_dropout,
)
from companion.layers.noise import (
    AlphaDropout,
    GaussianDropout,
    alpha_dropout,
    gaussian_dropout,
)
from companion.layers.recurrent import (
    EmbeddingDropout,
    LockedDropout,
    WeightDrop,
    embedding_dropout,
    locked_dropout,
)
from companion.layers.spatial import (
    SpatialDropout1d,
    SpatialDropout2d,
    SpatialDropout3d,
    spatial_dropout,
)
from companion.layers.stochastic_depth import DropPath, StochasticDepth, drop_path, stochastic_depth

__version__ = "0.1.0"

__all__ = [
    "AlphaDropout",
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "DropConnectConv2d",
    "DropConnectLinear",
    "DropPath",
    "Dropout",
    "EmbeddingDropout",
    "GaussianDropout",
    "LockedDropout",
    "NaiveDropout",
    "SpatialDropout1d",
    "SpatialDropout2d",
    "SpatialDropout3d",
    "StochasticDepth",
    "VanillaDropout",
    "WeightDrop",
    "alpha_dropout",
    "drop_block",
    "drop_connect_conv2d",
    "drop_connect_linear",
    "drop_path",
    "dropout",
    "embedding_dropout",
    "gaussian_dropout",
    "locked_dropout",
    "naive_dropout",
    "spatial_dropout",
    "stochastic_depth",
    "vanilla_dropout",
]
