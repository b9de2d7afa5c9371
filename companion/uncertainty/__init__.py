r"""Uncertainty from dropout (Monte-Carlo dropout), and whether stated probabilities can be believed (calibration).

A network whose dropout stays on answers differently at every pass. With :math:`T` passes and their probabilities
:math:`p_t`, the entropy of the mean splits into two parts (in nats):

.. math::

    \underbrace{H\Big[\tfrac1T \sum_t p_t\Big]}_{\text{predictive entropy}}
    = \underbrace{\tfrac1T \sum_t H[p_t]}_{\text{expected entropy}}
    + \underbrace{I}_{\text{mutual information}},
    \qquad H[p] = -\sum_c p_c \log p_c

The first part is what every thinned network is unsure of (noise in the data), the second what they disagree about
(what the model does not know). A standard deviation alone tells neither.

Only the dropout is random: what stands before the first dropout is the same in every pass, so that it is computed once.
"""

from companion.uncertainty.active import dropout_active
from companion.uncertainty.calibration import (
    CalibrationInterval,
    Reliability,
    brier,
    calibration_interval,
    expected_calibration_error,
    nll,
    reliability,
)
from companion.uncertainty.monte_carlo import MCPrediction, mc_predict
from companion.uncertainty.ranking import auroc

__all__ = [
    "CalibrationInterval",
    "MCPrediction",
    "Reliability",
    "auroc",
    "brier",
    "calibration_interval",
    "dropout_active",
    "expected_calibration_error",
    "mc_predict",
    "nll",
    "reliability",
]
