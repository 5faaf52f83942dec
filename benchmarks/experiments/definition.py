"""What an experiment is: a question, the runs that answer it, and the rule, fixed before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.experiments.record import RunRecord
from bilevel.estimators import Estimator
from darts.data.published import Published
from darts.runs.config import SearchConfig


@dataclass(frozen=True)
class Setting:
    """What all runs of a comparison have in common; their records lie in a folder of its name.

    Attributes:
        name: of the setting.
        data: the images; `root` is filled in where it runs.
        search: settings of the search; a run replaces estimator and seed alone.
        words: the setting in a sentence, for pages.
    """

    name: str
    data: Published
    search: SearchConfig
    words: str


@dataclass(frozen=True)
class Planned:
    """One run: a setting, an estimator and a seed.

    Runs of one seed share the images, the split, the initial ω and α, the batches and their
    augmentation, so that differences between methods are paired.
    """

    setting: Setting
    method: str
    estimator: Estimator
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method}-seed-{self.seed}"

    @property
    def config(self) -> SearchConfig:
        return replace(self.setting.search, estimator=self.estimator, seed=self.seed)


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
        deviations: from the paper's setting, one sentence each.
    """

    name: str
    title: str
    question: str
    measure: str
    runs: tuple[Planned, ...]
    claims: tuple[Claim, ...]
    deviations: tuple[str, ...]

    def mine(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """The records of its runs, in the order of the runs."""
        by_name = {(r.setting, r.method, r.seed): r for r in records}
        keys = [(run.setting.name, run.method, run.seed) for run in self.runs]
        return [by_name[key] for key in keys if key in by_name]
