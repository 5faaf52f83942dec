"""StageCheckpoints that are whole or absent, belong to one config, and are checked before use."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from darts.config.as_json import differences
from darts.parallel.ranks import ALONE, Ranks
from darts.records.run_folder import RunFolder
from darts.records.writing import write_atomically
from darts.training.evaluation import NonFiniteLossError
from darts.training.state import State, find_non_finite, pack, unpack

Position = tuple[int, int]
"""(whole epochs done, steps done of the next one)."""

MAGIC = b"darts checkpoint, SHA-256 of what follows: "


@dataclass(frozen=True)
class Saved:
    """The state at a position, and how many bytes each of the stage's records had then."""

    position: Position
    records: dict[str, int]
    state: State


@dataclass
class StageCheckpoints:
    """The last few states of one stage, in `<stage>/checkpoints/`.

    `epoch-000012-step-000345.checkpoint` is one line with the SHA-256 of the rest; a line of JSON,
    the label, with position, config and the lengths of the records; and the state in the
    safetensors format. The file is flushed to disk and appears whole or not at all. Nothing is
    unpickled.

    A state is due as soon as writing has taken no more than `share` of the time: after every step
    where a step takes 1/share times as long as a write, less often where steps are short. A run
    that is killed so loses the step it was in, or at most 1/share writes' worth of time.

    Args:
        run: where they are; hears of a damaged checkpoint that was passed over.
        stage: folder of the stage in the run.
        config: the stage's config as JSON; a state from another one is refused.
        share: largest share of the time for writing, in (0, 1]; 1 is a state after every step.
        keep: states kept, the latest ones.
        ranks: of several processes the first one writes, and tells all what it reads.
    """

    run: RunFolder
    stage: str
    config: Any
    share: float = 0.02
    keep: int = 2
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
        """Write the state, then remove all but the last `keep`.

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
        line = json.dumps(label, ensure_ascii=False).encode() + b"\n"
        content = pack(state)
        digest = hashlib.sha256(line)
        digest.update(content)
        path = self._path(position)
        write_atomically(path, MAGIC + digest.hexdigest().encode() + b"\n", line, content)
        for old in self._paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        for torn in self.folder.glob("*.part"):
            torn.unlink(missing_ok=True)
        self._began, self._took = began, time.perf_counter() - began

    @property
    def whereabouts(self) -> str:
        """A sentence about the last state, for a run that has to stop."""
        if not self._paths():
            return "No checkpoint had been written yet."
        return f"The last good state is in {self.folder}."

    def latest(self) -> Saved | None:
        """The last undamaged state; None if there was never one.

        Raises:
            ValueError: it is from another config, or every checkpoint is damaged.
        """
        damage = []
        for path in reversed(self._paths()):
            try:
                return self._load(path)
            except _DamageError as defect:
                damage.append(str(defect))
                self.run.note(f"{defect} Going on from the checkpoint before it.")
        if damage:
            raise ValueError(
                f"None of the {len(damage)} checkpoints in {self.folder} can be used: "
                f"{' '.join(damage)} Delete {self.folder.parent} to begin the stage again."
            )
        return None

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

    def _load(self, path: Path) -> Saved:
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise _DamageError(f"{path} is missing.") from error
        first, _, rest = content.partition(b"\n")
        found = hashlib.sha256(rest).hexdigest()
        if first != MAGIC + found.encode():
            raise _DamageError(
                f"{path} is damaged: the SHA-256 of its {len(rest)} bytes is {found[:12]}…, and "
                f"its first line says {first[len(MAGIC) :][:12].decode(errors='replace') or None}…."
            )
        line, _, packed = rest.partition(b"\n")
        try:
            label = json.loads(line)
            (epoch, step), records, config = label["position"], label["records"], label["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise _DamageError(f"{path} is damaged: it has no label.") from error
        if self._path((epoch, step)) != path:
            raise _DamageError(
                f"{path} holds the state of epoch {epoch}, step {step}: it was moved."
            )
        unequal = differences(config, self.config)
        if unequal:
            raise ValueError(
                f"The checkpoint {path} is from another config ({'; '.join(unequal)}). Resume "
                "with the config it was made with, or start a new run folder."
            )
        lost = self.run.shorter_than(self.stage, records)
        if lost:
            raise _DamageError(f"{path} does not fit the records: {lost}.")
        try:
            return Saved((epoch, step), records, unpack(packed))
        except ValueError as error:
            raise _DamageError(f"{path} is {error}") from error

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*-step-*.checkpoint"))

    def _path(self, position: Position) -> Path:
        epoch, step = position
        return self.folder / f"epoch-{epoch:06d}-step-{step:06d}.checkpoint"


class _DamageError(Exception):
    """A checkpoint that cannot be used, and why."""
