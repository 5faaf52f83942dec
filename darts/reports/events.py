"""A TensorBoard event file beside the records, written as they come."""

from pathlib import Path
from typing import Any

from darts.reports.scalars import epoch_scalars
from darts.runs.records import Record


class TensorBoardEvents:
    """A listener: every number of an epoch's record as a scalar, and the shares of skip and none.

    `tensorboard --logdir runs` then compares runs. The records remain the source: an event
    file can be lost without loss.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.close()
        self._writer = SummaryWriter(
            str(self._folder / "events" / stage), purge_step=position[0] or None
        )

    def tick(self, stage: str, epoch: int, step: int) -> None:
        pass

    def record(self, stream: str, record: Record) -> None:
        if self._writer is None:
            return
        for name, value in epoch_scalars(stream, record).items():
            self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
