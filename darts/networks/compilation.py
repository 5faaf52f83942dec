"""A network compiled for training, where there is a compiler."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compiled(network: nn.Module) -> Callable[..., Any]:
    """The network under torch.compile, with the same weights; they stay the network's own.

    Its masks are others than the network's own from the same seed, drawn by the compiler's own
    generator. Sums round otherwise.
    """
    made: Callable[..., Any] = torch.compile(network)
    return made


def require_compiler(device: str) -> None:
    """Raise ValueError, with the reason, unless a small function can be compiled here."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(8, device=device))
    except Exception as error:  # whatever a compiler, or a lack of one, raises
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(
            f"--compile: torch.compile does not work here ({type(error).__name__}: {reason}). It "
            "needs a C++ compiler for a CPU, and Triton for a GPU. Install one, or leave it out."
        ) from error
    finally:
        torch.compiler.reset()
