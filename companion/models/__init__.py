"""Networks whose parameters carry a leading model axis, so that arms x seeds train at once.

Model ``a * seeds + s`` belongs to arm a and seed s. All arms of a seed start from the same weights, so that they differ
in nothing but what the arm changes. M stacked models are M independent networks: a batched product never mixes them.
"""

from companion.models.batchnorm import ORDERS, StackedBatchNormMLP
from companion.models.conv import Drop, StackedConvNet
from companion.models.mlp import SCHEMES, StackedMLP
from companion.models.placed import PlacedConvNet, PlacedMLP, PlacedResidualMLP
from companion.models.recurrent import StackedRecurrent
from companion.models.residual import StackedResidualMLP
from companion.models.stacked import Stacked
from companion.models.transformer import SITES, StackedTransformer

__all__ = [
    "ORDERS",
    "SCHEMES",
    "SITES",
    "Drop",
    "PlacedConvNet",
    "PlacedMLP",
    "PlacedResidualMLP",
    "Stacked",
    "StackedBatchNormMLP",
    "StackedConvNet",
    "StackedMLP",
    "StackedRecurrent",
    "StackedResidualMLP",
    "StackedTransformer",
]
