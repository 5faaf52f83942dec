"""The size of a network: its parameters, and the multiply-adds of one image."""

import copy
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


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
    """Multiply-adds for one image: those of convolutions and matrix products, nothing else.

    The convention of published figures ("FLOPs" in many tables). Norms, activations, pools and
    additions are not counted, nor biases. The network is run in evaluation mode on PyTorch's meta
    device: shapes alone, no arithmetic.

    Args:
        module: the network; it is left as it is.
        input_shape: (channels, height, width) of an image.
        inputs: further arguments of its forward.
    """
    shadow = copy.deepcopy(module).to("meta").eval()
    image = torch.zeros(1, *input_shape, device="meta")
    with torch.no_grad():
        return multiply_adds_of(lambda: shadow(image, *inputs))


def multiply_adds_of(work: Callable[[], Any]) -> int:
    """Do the work and count the multiply-adds of its convolutions and matrix products.

    Gradients and products of second derivatives are counted too. Meanwhile PyTorch's own
    operations stand in for the native kernels, which cannot be counted.
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops}
    )
    with counter:
        work()
    return int(counter.get_total_flops()) // 2


def _backward_flops(
    gradient: Sequence[int],
    images: Sequence[int],
    weight: Sequence[int],
    *arguments: Any,
    **_: Any,
) -> int:
    """As many as the convolution itself for each of the two gradients that are asked for.

    PyTorch's own count takes every channel of a grouped convolution to meet every other.
    """
    transposed, output_mask = arguments[4], arguments[7]
    near = images if transposed else gradient
    each = prod(near) * prod(weight[1:])
    return 2 * each * sum(map(bool, output_mask[:2]))
