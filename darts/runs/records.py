"""A run folder: what was asked, where it ran, and what happened, line by line."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Record = dict[str, Any]


class Listener(Protocol):
    """Follows a run while it goes on: a progress bar, an event file."""

    def begin(self, stage: str, epochs: int, steps_per_epoch: int, epochs_done: int) -> None: ...

    def tick(self, stage: str, epoch: int, step: int) -> None: ...

    def record(self, stream: str, record: Record) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class RunFolder:
    """One run on disk.

    `config.json` and `environment.json` are written before any work. Streams such as
    `search/epochs.jsonl` only grow; a line that a crash tore is ignored by readers and removed
    by the next writer. A resumed run writes the epochs since its checkpoint again, and readers
    take the later line. Every other file appears whole or not at all.
    """

    path: Path
    listeners: tuple[Listener, ...] = field(default=(), compare=False)

    @staticmethod
    def create(
        path: Path, config: Any, environment: Any, listeners: tuple[Listener, ...] = ()
    ) -> "RunFolder":
        """A new folder with its config and environment.

        Raises:
            FileExistsError: the folder has something in it already.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(
                f"The run folder {path} exists and is not empty. Give --run-dir a new name, or "
                f"--resume {path} to go on with the run in it."
            )
        path.mkdir(parents=True, exist_ok=True)
        run = RunFolder(path, listeners)
        run.write("config.json", config)
        run.write("environment.json", environment)
        return run

    @staticmethod
    def open(path: Path, listeners: tuple[Listener, ...] = ()) -> "RunFolder":
        """A folder that `create` made.

        Raises:
            FileNotFoundError: there is no config.json in it.
        """
        if not (path / "config.json").is_file():
            raise FileNotFoundError(
                f"{path} is not a run folder: it has no config.json. Name the folder that a run "
                "printed as it began, by default runs/<preset>-<seed>-<time>."
            )
        return RunFolder(path, listeners)

    def write(self, name: str, content: Any) -> Path:
        """Write JSON to `name`, whole or not at all."""
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        return write_atomically(self.path / name, text.encode())

    def read(self, name: str) -> Any:
        """The JSON in `name`.

        Raises:
            FileNotFoundError, ValueError: it is not there, or not JSON.
        """
        path = self.path / name
        if not path.is_file():
            raise FileNotFoundError(
                f"The run folder {self.path} has no {name}: the run has not come that far. "
                f"Go on with --resume {self.path}."
            )
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON ({error}). Restore the file.") from error

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def append(self, stream: str, record: Record) -> None:
        """Add one line to `<stream>.jsonl` and tell the listeners."""
        path = self.path / f"{stream}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        with path.open("ab+") as file:
            _remove_torn_line(file)
            file.write(line.encode())
        for listener in self.listeners:
            listener.record(stream, record)

    def records(self, stream: str) -> list[Record]:
        """The records of a stream in order of (epoch, step), the later of two for the same."""
        latest: dict[tuple[int, int], Record] = {}
        for record in self._lines(stream):
            latest[(record["epoch"], record.get("step", 0))] = record
        return [latest[position] for position in sorted(latest)]

    def begin(self, stage: str, epochs: int, steps_per_epoch: int, epochs_done: int) -> None:
        for listener in self.listeners:
            listener.begin(stage, epochs, steps_per_epoch, epochs_done)

    def tick(self, stage: str, epoch: int, step: int) -> None:
        for listener in self.listeners:
            listener.tick(stage, epoch, step)

    def note(self, text: str) -> None:
        """Say something to whoever follows the run."""
        for listener in self.listeners:
            listener.note(text)

    def _lines(self, stream: str) -> Iterator[Record]:
        path = self.path / f"{stream}.jsonl"
        if not path.is_file():
            return
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(
            lines[:-1], start=1
        ):  # after the last newline: torn, or empty
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number} is not JSON ({error}). Only a last line can be torn by "
                    "a crash; this file was changed. Restore it, or delete the line."
                ) from error
            yield record


def write_atomically(path: Path, content: bytes) -> Path:
    """Write beside `path`, flush to disk, and rename over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    return path


def _remove_torn_line(file: Any) -> None:
    """Cut the file after its last newline."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
