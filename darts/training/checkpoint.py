"""Checkpoints of a stage: they belong to one config, and know how long its records were."""

import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from bilevel.checkpoint_files import CheckpointFiles, DamageError, Label
from bilevel.state import State, find_non_finite, pack, unpack
from darts.config.as_json import differences
from darts.parallel.ranks import ALONE, Ranks
from darts.records.run_folder import RunFolder
from darts.records.writing import unwritable
from darts.training.evaluation import NonFiniteLossError

Position = tuple[int, int]
"""(whole epochs done, steps done of the next one)."""


@dataclass(frozen=True)
class Saved:
    """The state at a position, and how many bytes each of the stage's records had then."""

    position: Position
    records: dict[str, int]
    state: State


@dataclass
class StageCheckpoints:
    """The last few states of one stage, in `<stage>/checkpoints/`.

    `epoch-000012-step-000345.checkpoint` is in the format of `bilevel.checkpoint_files`; its label
    has position, config and the lengths of the records.

    A state is due as soon as writing has taken no more than `share` of the time: after every step
    where a step takes 1/share times as long as a write, less often where steps are short. A run
    that is killed so loses the step it was in, or at most 1/share writes' worth of time.

    Args:
        run: the run folder; it notes each damaged checkpoint that was passed over.
        stage: name of the stage's folder in the run.
        config: the stage's config as JSON; a state from another one is refused.
        share: largest share of the time for writing, in (0, 1]; 1 is a state after every step.
        ranks: the processes of the run; the first one writes, and sends all what it reads.
    """

    run: RunFolder
    stage: str
    config: Any
    share: float = 0.02
    ranks: Ranks = ALONE
    _began: float = field(default=-inf, init=False)
    _took: float = field(default=0.0, init=False)

    @property
    def folder(self) -> Path:
        return self.run.path / self.stage / "checkpoints"

    @property
    def due(self) -> bool:
        """Whether writing now keeps to the share, by what the last write took."""
        if not self.ranks.first:
            return False
        return time.perf_counter() - self._began >= self._took / self.share

    def save(self, position: Position, state: State) -> None:
        """Write the state, then remove all but the last two.

        Raises:
            NonFiniteLossError: the state holds a number that is not finite; nothing is written.
            OSError: it could not be written; the states before it are kept.
        """
        began = time.perf_counter()
        bad = find_non_finite(state)
        if bad is not None:
            raise NonFiniteLossError(
                f"After epoch {position[0]}, step {position[1]} of the {self.stage}, {bad} is not "
                f"finite. {self.whereabouts} Lower the learning rates or η in a new run."
            )
        if not self.ranks.first:
            return
        label = {
            "position": position,
            "records": self.run.lengths(self.stage),
            "config": self.config,
        }
        try:
            self._files.save(_name(position), label, state)
        except OSError as error:
            raise unwritable(self.folder / f"{_name(position)}.checkpoint", error) from error
        self._began, self._took = began, time.perf_counter() - began

    @property
    def whereabouts(self) -> str:
        """A sentence about the last state, for a run that has to stop."""
        if not self._files.paths():
            return "No checkpoint had been written yet."
        return f"The last good state is in {self.folder}."

    def latest(self) -> Saved | None:
        """The last undamaged state; None if there was never one.

        Raises:
            ValueError: it is from another config, or every checkpoint is damaged.
        """
        remedy = f"Delete {self.folder.parent} to begin the stage again."
        found = self._files.latest(self._check, self.run.note, remedy)
        if found is None:
            return None
        label, state = found
        epoch, step = label["position"]
        return Saved((epoch, step), label["records"], state)

    def resume(self) -> Saved | None:
        """`latest`, with the records of the stage cut back to where they were then.

        So no step has two records, and none is without one.
        """
        found: Saved | None = None

        def resumed() -> tuple[Position, dict[str, int]] | None:
            nonlocal found
            found = self.latest()
            self.run.rewind(self.stage, found.records if found else {})
            return (found.position, found.records) if found else None

        told = self.ranks.from_first(resumed)
        if told is None or self.ranks.count == 1:
            return found
        (epoch, step), records = told
        content = self.ranks.bytes_from_first(pack(found.state) if found else b"")
        return Saved((epoch, step), records, unpack(content))

    def _check(self, path: Path, label: Label) -> None:
        """Refuse a state of another config, and pass over one that does not fit the records."""
        try:
            (epoch, step), records, config = label["position"], label["records"], label["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise DamageError("is damaged: it has no label") from error
        if _name((epoch, step)) != path.stem:
            raise DamageError(f"holds the state of epoch {epoch}, step {step}: it was moved")
        unequal = differences(config, self.config)
        if unequal:
            raise ValueError(
                f"The checkpoint {path} is from another config ({'; '.join(unequal)}). Resume "
                "with the config it was made with, or start a new run folder."
            )
        lost = self.run.changed_within(self.stage, records)
        if lost:
            raise DamageError(f"does not fit the records: {lost}")

    @property
    def _files(self) -> CheckpointFiles:
        return CheckpointFiles(self.folder)


def _name(position: Position) -> str:
    epoch, step = position
    return f"epoch-{epoch:06d}-step-{step:06d}"
