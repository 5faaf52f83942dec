"""A TensorBoard event file beside the records, written as they come."""

import os
import time
from pathlib import Path
from typing import Any

from darts.records.run_folder import Record
from darts.records.writing import unwritable
from darts.reports.scalars import epoch_scalars


class TensorBoardEvents:
    """A listener: every number of an epoch's record as a scalar, and the shares of skip and none.

    `tensorboard --logdir runs` then compares runs. The records remain the source: an event
    file can be lost without loss. Events are written at once, by no thread of their own, so that a
    full disk is an error here and not in the background.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._writer: Any = None

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.close()
        folder = self._folder / "events" / stage
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter(self._path.open("xb"))
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if position[0]:  # what an interrupted run wrote of later epochs does not count
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=position[0], session_log=start))

    def tick(self, stage: str, epoch: int, step: int) -> None:
        pass

    def record(self, stream: str, record: Record) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self._writer is None:
            return
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in epoch_scalars(stream, record).items()
        ]
        if values:
            summary = Summary(value=values)
            self._write(Event(wall_time=time.time(), step=record["epoch"], summary=summary))

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, event: Any) -> None:
        try:
            self._writer.write(event.SerializeToString())
            self._writer.flush()
        except OSError as error:
            self._writer = None
            raise unwritable(self._path, error) from error
