"""The layers: one file per variant, the function first, the module a thin shell over it."""
