"""What an experiment is: a question, the runs that answer it, and the rule, fixed before them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.experiments.record import Key, RunRecord
from darts.data import ImageSet
from darts.data.digits import Digits
from darts.data.published import Published
from darts.parallel.launch import Devices
from darts.records.run_folder import Record, RunFolder


@dataclass(frozen=True)
class Setting:
    """What all runs of a comparison have in common; their records lie in a folder of its name.

    Attributes:
        name: of the setting.
        data: the images; a `root` is filled in where it runs.
        words: the setting in a sentence, for pages.
    """

    name: str
    data: Published | Digits
    words: str


@dataclass(frozen=True)
class Planned(ABC):
    """One run: a setting, a method and a seed.

    Runs of one seed share the images, the split, the initial ω and α, the batches and their
    augmentation, so that differences between methods are paired.
    """

    setting: Setting
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method}-seed-{self.seed}"

    @property
    def key(self) -> Key:
        """As its records have it."""
        return self.setting.name, self.method, self.seed

    @property
    @abstractmethod
    def content(self) -> Any:
        """Every setting of the run as JSON; a run folder with others is refused."""

    @abstractmethod
    def perform(self, images: ImageSet, run: RunFolder, devices: Devices) -> None:
        """Do, or go on with, the run in its folder."""

    @abstractmethod
    def line(self, stream: str, record: Record) -> Record | None:
        """What the journal keeps of a record of the run; None if nothing."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and what the records say about it by the experiment's rule.

    Attributes:
        where: in the paper.
        text: the claim, in words.
        rule: when it counts as supported and when as not; else it is undecided at this scale.
        judge: the rule, as a function of all records: a verdict and the numbers it rests on.
    """

    where: str
    text: str
    rule: str
    judge: Callable[[Sequence[RunRecord]], tuple[str, str]]


SUPPORTED = "supported at this scale"
NOT_SUPPORTED = "not supported at this scale"
UNDECIDED = "undecided at this scale"
NOT_RUN = "not run"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_RUN)


class Report(Protocol):
    """How the runs of an experiment are shown."""

    def table(self, records: Sequence[RunRecord]) -> str:
        """All runs as a table in Markdown."""

    def draw(self, records: Sequence[RunRecord], path: Path, digest: str) -> None:
        """The figure; the file holds the digest of the records."""


@dataclass(frozen=True)
class Experiment:
    """A question and its runs, in the order in which they say most for their time.

    Attributes:
        name: as commands take it.
        title: of its page.
        question: in plain words.
        measure: what is read from the runs.
        runs: in order.
        claims: of the paper that it is about.
        rules: what holds for all claims, fixed before the runs.
        deviations: from the paper's setting, one sentence each.
        report: how the runs are shown.
        reading: the answer in a few sentences, written by hand after the runs.
        cost: what a run is estimated to take, and from what.
        read_from: the digest of the records that it was written from; a test compares it.
    """

    name: str
    title: str
    question: str
    measure: str
    runs: tuple[Planned, ...]
    claims: tuple[Claim, ...]
    rules: str
    deviations: tuple[str, ...]
    report: Report
    reading: str = ""
    cost: str = ""
    read_from: str = ""

    def mine(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """The records of its runs, in the order of the runs."""
        found = {record.key: record for record in records}
        return [found[run.key] for run in self.runs if run.key in found]

    def others(self, everything: Sequence[RunRecord]) -> list[RunRecord]:
        """Records of its runs on further machines, beside those that `mine` takes."""
        keys = {run.key for run in self.runs}
        return [record for record in everything if record.key in keys]
