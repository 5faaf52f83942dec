"""How the feature maps of a network lie in memory, which goes with it when it is pickled."""

from typing import Any

import torch
from torch import nn


class LaidOut(nn.Module):
    """A network with a memory layout; `torch.save` cannot write one, and so writes its name."""

    layout: torch.memory_format = torch.channels_last
    """How feature maps lie in memory."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "layout": str(self.layout).removeprefix("torch.")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        known = {**state, "layout": getattr(torch, state["layout"])}
        super().__setstate__(known)  # type: ignore[no-untyped-call]
