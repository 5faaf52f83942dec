"""A run folder that several processes share: the first one reads, writes and speaks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.parallel.ranks import ALONE, Ranks
from darts.records.run_folder import Record, RunFolder


@dataclass(frozen=True)
class SharedRun(RunFolder):
    """The folder of a run on several processes, as each of them sees it.

    What is read is read by the first process and told to all, so that the folder may be on its
    disk alone; all have to ask. What is written, only the first one writes. The others have no
    listeners.
    """

    ranks: Ranks = ALONE

    @staticmethod
    def of(run: RunFolder, ranks: Ranks) -> RunFolder:
        """The run as it is if there is one process."""
        if ranks.count == 1:
            return run
        return SharedRun(run.path, run.listeners if ranks.first else (), ranks)

    def write(self, name: str, content: Any) -> Path:
        return super().write(name, content) if self.ranks.first else self.path / name

    def read(self, name: str) -> Any:
        return self.ranks.from_first(lambda: RunFolder.read(self, name))

    def has(self, name: str) -> bool:
        found: bool = self.ranks.from_first(lambda: RunFolder.has(self, name))
        return found

    def append(self, stream: str, record: Record) -> None:
        if self.ranks.first:
            super().append(stream, record)

    def records(self, stream: str) -> list[Record]:
        found: list[Record] = self.ranks.from_first(lambda: RunFolder.records(self, stream))
        return found
