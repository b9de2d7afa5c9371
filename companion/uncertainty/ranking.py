"""How well a score ranks: area under the receiver operating characteristic."""

import torch
from torch import Tensor


def auroc(inside: Tensor, outside: Tensor) -> Tensor:
    r"""Probability that a score is higher for an example from outside than for one from inside, ties counted half.

    .. math:: \mathrm{AUROC} = \Pr[s_\text{out} > s_\text{in}] + \tfrac12 \Pr[s_\text{out} = s_\text{in}]

    1 if the score parts the two perfectly, 0.5 if it does not tell them apart, below 0.5 if it is higher for what is
    inside: a measure of uncertainty that is *surer* of what it never saw.

    Args:
        inside: Tensor[..., n], scores of examples like those trained on; leading axes are models, say.
        outside: Tensor[..., m], scores of the others.

    Returns:
        Tensor[...] of ``torch.float64``.

    Raises:
        ValueError: if the leading axes differ, or there are no scores or some that are no numbers.

    Cost: sorts n + m scores.

    Reference: Hanley & McNeil (1982).
    """
    if inside.ndim < 1 or outside.ndim < 1 or inside.shape[:-1] != outside.shape[:-1]:
        shapes = f"{tuple(inside.shape)} and {tuple(outside.shape)}"
        raise ValueError(f"inside and outside must have the shapes (..., n) and (..., m), got {shapes}")
    if not inside.shape[-1] or not outside.shape[-1]:
        raise ValueError("inside and outside must hold one score or more each, got none")
    for name, scores in (("inside", inside), ("outside", outside)):
        if torch.isnan(scores).any():
            raise ValueError(f"{name} must hold numbers, got NaN")
    ordered = inside.double().sort(-1).values.contiguous()
    asked = outside.double().contiguous()
    below = torch.searchsorted(ordered, asked)  # how many of the inside are smaller
    up_to = torch.searchsorted(ordered, asked, right=True)  # ... smaller or equal
    return (below + up_to).double().mean(-1) / (2 * inside.shape[-1])
