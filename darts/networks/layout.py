"""How the feature maps of a network lie in memory, which goes with it when it is pickled."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from darts.spaces.feature_map import FeatureMap
from darts.spaces.operations import Recipe


class LaidOut(nn.Module):
    """A network with a memory layout; `torch.save` cannot write one, and so writes its name."""

    layout: torch.memory_format = torch.channels_last
    """How feature maps lie in memory."""
    in_channels: int
    recipe: Recipe

    def require_images(self, images: Tensor) -> None:
        """Raise ValueError unless images are a batch of as many channels as it takes."""
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(
                f"{type(self).__name__}(in_channels={self.in_channels}) got images of shape "
                f"{tuple(images.shape)}; it needs (batch, {self.in_channels}, height, width)."
            )

    def laid_out(self, outputs: Iterable[Tensor]) -> list[FeatureMap]:
        """What a stem gives as feature maps, in the layout that lasts to the classifier."""
        return [
            FeatureMap(x.contiguous(memory_format=self.layout), self.recipe.activation)
            for x in outputs
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "layout": str(self.layout).removeprefix("torch.")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        known = {**state, "layout": getattr(torch, state["layout"])}
        super().__setstate__(known)  # type: ignore[no-untyped-call]
