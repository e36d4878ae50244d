"""Penalties on the weights, which are added to the training loss."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn


def l1_penalty(model: nn.Module) -> Float[Tensor, ""]:
    """Sum of the absolute values of the trained matrices (the lasso, Tibshirani 1996).

    Its gradient is the sign of each weight whatever the size, which brings small weights to zero.

    Args:
        model: Its biases and other vectors are left out, as are frozen weights; a matrix that two
            layers share counts once.
    """
    return _total(matrix.abs().sum() for matrix in _matrices(model))


def l2_penalty(model: nn.Module) -> Float[Tensor, ""]:
    """Half the sum of squares of the trained matrices (ridge, Hoerl & Kennard 1970).

    The half makes its gradient the weight itself, so that under plain SGD a penalty and a weight
    decay of the same size are the same. Under AdamW they are not (Loshchilov & Hutter 2019,
    arXiv:1711.05101): the penalty's gradient goes through the moments and is divided by the size
    of the weight's past gradients, so that weights with large gradients are held less; weight
    decay shrinks every weight by the same share.

    Args:
        model: Its biases and other vectors are left out, as are frozen weights; a matrix that two
            layers share counts once.
    """
    return 0.5 * _total(matrix.square().sum() for matrix in _matrices(model))


def _matrices(model: nn.Module) -> Iterator[nn.Parameter]:
    """What `core.optim.make_optimizer` decays."""
    return (p for p in model.parameters() if p.requires_grad and p.ndim > 1)


def _total(parts: Iterator[Tensor]) -> Tensor:
    return sum(parts, start=torch.zeros(()))
