"""TensorBoard event files beside the records, written as they come by TensorBoard's own writer."""

from pathlib import Path
from typing import Any

from darts.records.run_folder import Listener, Record
from darts.records.writing import unwritable
from darts.reports.scalars import epoch_scalars


class TensorBoardEvents(Listener):
    """A listener: every number of an epoch's record as a scalar, and the shares of skip and `none`.

    `tensorboard --logdir runs` then compares runs. The records remain the source: an event
    file can be lost without loss. What a resumed run had written of later epochs is hidden. Each
    epoch is flushed, so that a full disk is an error here, not only in the writer's thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._writer: Any = None

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.close()
        self._path = self._folder / "events" / stage
        try:
            self._writer = SummaryWriter(str(self._path), purge_step=position[0] or None)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def record(self, stream: str, record: Record) -> None:
        numbers = epoch_scalars(stream, record)
        if self._writer is None or not numbers:
            return
        try:
            for name, value in numbers.items():
                self._writer.add_scalar(name, value, record["epoch"])
            self._writer.flush()
        except OSError as error:
            self._writer = None
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
