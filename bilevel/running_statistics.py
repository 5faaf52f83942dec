"""Running statistics of a normalisation in a loss: training mode writes some, others are read."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


class RunningStatistics:
    """The statistics of one normalisation, a copy for each mode.

    Training mode writes them and reads none; evaluation mode reads them and writes none. Of one
    copy for both, a call in evaluation mode would read what a call in training mode had written in
    the same loss, and no derivative sees that; or PyTorch's backward of the former would, for it
    takes them as they are then.
    """

    def __init__(self, part: _NormBase, copies: dict[str, Tensor]) -> None:
        """Take the part and copies of its statistics by their places, made for its mode."""
        self._part = part
        self._own = dict(zip(copies, part.buffers(recurse=False), strict=True))
        self._mode, self._of_mode = part.training, {part.training: copies}

    def follow(self, slots: dict[str, Tensor]) -> None:
        """Put the copies for the part's mode into their places, unless a loss put others there."""
        if self._part.training == self._mode:
            return
        before, self._mode = self._of_mode[self._mode], self._part.training
        if self._mode not in self._of_mode:
            self._of_mode[self._mode] = {place: own.clone() for place, own in self._own.items()}
        for place, copy in self._of_mode[self._mode].items():
            if slots.get(place) is before[place]:
                slots[place] = copy


def normalisation(part: nn.Module) -> _NormBase | None:
    """The part, if it keeps running statistics."""
    return part if isinstance(part, _NormBase) and part.track_running_stats else None
