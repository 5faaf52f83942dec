"""The optimisers of ω and α: PyTorch's own, in forms that read no number from a GPU."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from bilevel.state import State


def weights_optimizer(
    weights: Iterable[Tensor],
    rate: float,
    momentum: float,
    weight_decay: float = 0.0,
    *,
    on_device: str | None,
) -> SGD:
    """SGD of weights. A search's ω has its decay in the inner loss, where the Hessian sees it.

    Args:
        weights: the tensors that it moves.
        rate: the learning rate at first; `set_rate` changes it.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD, added to the gradient.
        on_device: device that holds the learning rate, so that a captured step reads it there;
            None keeps it as a number.
    """
    if on_device is None:
        return SGD(weights, lr=rate, momentum=momentum, weight_decay=weight_decay)
    lr = torch.tensor(rate, device=on_device)
    fused = numbers_in_memory(on_device)  # the only form of SGD that reads its rate there
    optimizer = SGD(
        weights, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused or None
    )
    if fused:
        optimizer.register_step_pre_hook(_lay_out)
    return optimizer


def alpha_optimizer(
    alpha: Iterable[Tensor],
    rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    *,
    on_device: str | None,
) -> Adam:
    """Adam of α; with `on_device` a GPU, its count of steps lies there."""
    capturable = on_device is not None and numbers_in_memory(on_device)
    return Adam(alpha, lr=rate, betas=betas, weight_decay=weight_decay, capturable=capturable)


def numbers_in_memory(device: str) -> bool:
    """Whether optimisers there take rates and counts from the device's memory, step by step."""
    return torch.device(device).type == "cuda"


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, in place where it lies on a device."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def restore(optimizer: Optimizer, state: State) -> None:
    """Put a state in place; where numbers lie stays as the optimiser was made.

    A state comes from a file, with its tensors on the CPU, and may be from a run elsewhere.
    """
    kept = [
        {name: group.get(name) for name in ("lr", "capturable", "fused", "foreach")}
        for group in optimizer.param_groups
    ]
    rates = [float(group["lr"]) for group in state["param_groups"]]
    optimizer.load_state_dict(_with_settings(state, kept))
    for group, settings, rate in zip(optimizer.param_groups, kept, rates, strict=True):
        lr = settings["lr"]
        group["lr"] = lr.fill_(rate) if isinstance(lr, Tensor) else rate


def _with_settings(state: State, kept: list[dict[str, Any]]) -> State:
    """The state with the settings of the optimiser at hand, by which it places its tensors."""
    groups = [
        {**group, **{name: value for name, value in settings.items() if name in group}}
        for group, settings in zip(state["param_groups"], kept, strict=True)
    ]
    return {**state, "param_groups": groups}


def _lay_out(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Gradients and momentum in the layout of their parameters, which a fused step insists on."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            gradient = weight.grad
            if gradient is not None and not _laid_out_alike(gradient, weight):
                weight.grad = torch.empty_like(weight).copy_(gradient)
            state = optimizer.state[weight]
            momentum = state.get("momentum_buffer")
            if momentum is not None and not _laid_out_alike(momentum, weight):  # a CPU's state
                state["momentum_buffer"] = torch.empty_like(weight).copy_(momentum)


def _laid_out_alike(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one shape go through memory in one order."""
    steps = zip(first.shape, first.stride(), second.stride(), strict=True)
    return all(length == 1 or one == other for length, one, other in steps)
