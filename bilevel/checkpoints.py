"""States of a solve on disk, to go on from after an interruption."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from bilevel.arguments import check_count
from bilevel.checkpoint_files import CheckpointFiles, Label
from bilevel.state import State


@dataclass(frozen=True)
class Checkpoints:
    """The last states of one solve in a folder, to go on from after an interruption.

    `step-00000012.checkpoint` holds the state after 12 steps, and its origin. It appears
    whole or not at all, and its SHA-256 is checked before it is used. Nothing is unpickled.

    Args:
        folder: made when first needed.
        every: steps between states; the last step is always one.
        keep: states kept, the latest ones.

    Raises:
        ValueError: every or keep is no whole number of at least 1.
    """

    folder: Path | str
    every: int = 100
    keep: int = 2

    def __post_init__(self) -> None:
        check_count(self, every=self.every, keep=self.keep)

    @property
    def _files(self) -> CheckpointFiles:
        return CheckpointFiles(Path(self.folder), self.keep)

    def save(self, step: int, state: State, belongs_to: dict[str, str]) -> None:
        """Write the state after `step` steps, then remove all but the last `keep`."""
        self._files.save(f"step-{step:08d}", {"step": step, "belongs_to": belongs_to}, state)

    def latest(self, belongs_to: dict[str, str]) -> State | None:
        """The last undamaged state; None if none was ever written.

        Raises:
            ValueError: the state belongs to another solve, all of them are damaged, or an earlier
                version wrote them.
        """

        def check(path: Path, label: Label) -> None:
            for name, value in belongs_to.items():
                found = label["belongs_to"].get(name, "not recorded")
                if found != value:
                    raise ValueError(
                        f"the checkpoint {path} was made with {name} = {found}, and this solve "
                        f"has {value}. Resume with what it was made with, or give another folder."
                    )

        if any(Path(self.folder).glob("step-*.pt")):
            raise ValueError(
                f"{self.folder} holds states of format 1 (step-*.pt), of an earlier version, and "
                "this version reads format 2. Give another folder."
            )
        remedy = "Delete the folder to start from the beginning."
        found = self._files.latest(check, lambda note: warnings.warn(note, stacklevel=5), remedy)
        return None if found is None else found[1]
