"""A run folder: the config, the environment, and the records of a run, line by line."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from darts.config.as_json import with_current_names
from darts.config.damage import damage
from darts.names import TYPES
from darts.records.lock import is_empty
from darts.records.untrusted import read_json
from darts.records.writing import unwritable, write_atomically

Record = dict[str, Any]
CONFIG, ENVIRONMENT = "config.json", "environment.json"


class Listener(Protocol):
    """Follows a run while it goes on: a progress bar, an event file.

    One that inherits from it does nothing where it has no method of its own.
    """

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        return

    def tick(self, stage: str, epoch: int, step: int) -> None:
        return

    def record(self, stream: str, record: Record) -> None:
        return

    def note(self, text: str) -> None:
        return

    def close(self) -> None:
        return


@dataclass(frozen=True)
class RunFolder:
    """One run on disk.

    `config.json` and `environment.json` are written before any work. Streams such as
    `search/epochs.jsonl` only grow; a line that a crash tore is ignored by readers and removed
    by the next writer. A resumed stage cuts its streams back to where its checkpoint was written,
    so that no step has two lines. Every other file appears whole or not at all.
    """

    path: Path
    listeners: tuple[Listener, ...] = field(default=(), compare=False)

    @staticmethod
    def create(
        path: Path,
        config: Any,
        environment: Any,
        listeners: tuple[Listener, ...] = (),
        genotype: Any = None,
    ) -> "RunFolder":
        """A new folder with its config and environment, and the genotype if it begins from one.

        The config comes last: a folder that has one is a whole run, and can be resumed.

        Raises:
            FileExistsError: the folder has something in it already.
            OSError: it could not be written.
        """
        if path.exists() and not (path.is_dir() and is_empty(path)):
            raise FileExistsError(
                f"The run folder {path} exists and is not empty. Give --run-dir a new name, or "
                f"--resume {path} to go on with the run in it."
            )
        run = RunFolder(path, listeners)
        run.write(ENVIRONMENT, environment)
        if genotype is not None:
            run.write("genotype.json", genotype)
        run.write("config.json", config)
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
                "printed as it began, by default runs/<preset>-<seed>-<time>. If it was killed at "
                "that moment, delete the folder and begin again."
            )
        return RunFolder(path, listeners)

    def write(self, name: str, content: Any) -> Path:
        """Write JSON to `name`, whole or not at all."""
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        return write_atomically(self.path / name, _bytes(text))

    def read(self, name: str) -> Any:
        """The JSON in `name`, its settings by the names that they have today.

        Raises:
            FileNotFoundError, ValueError: it is not there, no object in JSON, or a config.json with
                an entry that is not what its setting declares.
        """
        path = self.path / name
        if not path.is_file():
            raise FileNotFoundError(
                f"The run folder {self.path} has no {name}: the run has not come that far. "
                f"Go on with --resume {self.path}."
            )
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError(
                f"{path} holds {json.dumps(content)[:40]} and no object. Restore the file."
            )
        content = with_current_names(content)
        if name == CONFIG and "type" in content:
            wrong = damage(content, TYPES)
            if wrong is not None:
                raise ValueError(f"{path}: {wrong}. Restore the file.")
        return content

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def append(self, stream: str, record: Record) -> None:
        """Add one line to `<stream>.jsonl` and tell the listeners."""
        path = self.path / f"{stream}.jsonl"
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab+") as file:
                _remove_torn_line(file)
                file.write(_bytes(line))
        except OSError as error:
            raise unwritable(path, error) from error
        for listener in self.listeners:
            listener.record(stream, record)

    def records(self, stream: str) -> list[Record]:
        """The records of a stream in the order in which they were written."""
        return list(self._lines(stream))

    def lengths(self, stage: str) -> dict[str, int]:
        """The bytes in each stream of a stage, by file name, after flushing them to disk."""
        lengths = {}
        for path in self._streams(stage):
            try:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                    lengths[path.name] = file.seek(0, os.SEEK_END)
            except OSError as error:
                raise unwritable(path, error) from error
        return lengths

    def changed_within(self, stage: str, lengths: dict[str, int]) -> str | None:
        """The first stream that is not as it was when it had its length, in words.

        That is one which is shorter now, or in which no line ends there: it was edited, or its
        bytes are gone after a power cut. None if there is none.
        """
        for name, length in lengths.items():
            path = self.path / stage / name
            found = path.stat().st_size if path.is_file() else 0
            if found < length:
                return f"{path} has {found} bytes and had {length}"
            if length and not _ends_a_line(path, length):
                return f"{path} was changed: no line ends at byte {length}, where one did"
        return None

    def rewind(self, stage: str, lengths: dict[str, int]) -> None:
        """Cut each stream of a stage back to its length; one without a length is emptied.

        Files that a killed process had half written are removed.
        """
        for path in self._streams(stage):
            length = lengths.get(path.name, 0)
            try:
                if path.stat().st_size > length:
                    os.truncate(path, length)
            except OSError as error:
                raise unwritable(path, error) from error
        for folder in (self.path, self.path / stage):
            for torn in folder.glob("*.part"):
                torn.unlink(missing_ok=True)

    def begin(
        self, stage: str, epochs: int, steps_per_epoch: int, position: tuple[int, int]
    ) -> None:
        """A stage begins, or goes on, at `position` = (whole epochs done, steps done)."""
        for listener in self.listeners:
            listener.begin(stage, epochs, steps_per_epoch, position)

    def tick(self, stage: str, epoch: int, step: int) -> None:
        for listener in self.listeners:
            listener.tick(stage, epoch, step)

    def note(self, text: str) -> None:
        """Pass a line of text to the listeners."""
        for listener in self.listeners:
            listener.note(text)

    def _streams(self, stage: str) -> list[Path]:
        return sorted((self.path / stage).glob("*.jsonl"))

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


def _bytes(text: str) -> bytes:
    """JSON in UTF-8; a byte of a file name that is no UTF-8 stays what it is, as JSON's escape."""
    return text.encode(errors="backslashreplace")


def _ends_a_line(path: Path, length: int) -> bool:
    with path.open("rb") as file:
        file.seek(length - 1)
        return file.read(1) == b"\n"


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
