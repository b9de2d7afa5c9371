"""Companion of the course on dropout and regularization: layers, experiments, figures, exercises.

``p`` is the probability of DROPPING, everywhere.
"""

from companion.layers.dropout import (
    Dropout,
    NaiveDropout,
    VanillaDropout,
    dropout,
    naive_dropout,
    vanilla_dropout,
)

__version__ = "0.1.0"

__all__ = [
    "Dropout",
    "NaiveDropout",
    "VanillaDropout",
    "dropout",
    "naive_dropout",
    "vanilla_dropout",
]
