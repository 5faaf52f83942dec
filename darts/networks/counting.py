"""How large a network is: its parameters, and the multiply-adds of one image."""

import copy
from math import prod
from typing import Any

import torch
from torch import Tensor, nn


def count_parameters(module: nn.Module, *, auxiliary: bool = False) -> int:
    """The number of parameters; those of an auxiliary head only if `auxiliary`.

    Published figures leave the auxiliary head out: it is not there at test time.
    """
    return sum(
        parameter.numel()
        for name, parameter in module.named_parameters()
        if auxiliary or not name.startswith("auxiliary_head.")
    )


def count_multiply_adds(module: nn.Module, input_shape: tuple[int, int, int], *inputs: Any) -> int:
    """Multiply-adds for one image: those of convolutions and linear layers, nothing else.

    The convention of published figures ("FLOPs" in many tables). Norms, activations, pools and
    additions are not counted, nor biases. The network is run in evaluation mode on PyTorch's meta
    device: shapes alone, no arithmetic.

    Args:
        module: the network; it is left as it is.
        input_shape: (channels, height, width) of an image.
        inputs: what else its forward takes.
    """
    shadow = copy.deepcopy(module).to("meta").eval()
    total = 0

    def add(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        match layer:
            case nn.Conv2d():
                each = prod(layer.kernel_size) * layer.in_channels // layer.groups
                total += output[0].numel() * each
            case nn.Linear():
                total += output[0].numel() * layer.in_features

    for layer in shadow.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(add)
    with torch.no_grad():
        shadow(torch.zeros(1, *input_shape, device="meta"), *inputs)
    return total
