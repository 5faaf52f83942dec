"""Checkpoints that are whole or absent, belong to one config, and are checked before use."""

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from darts.runs.config import differences
from darts.runs.records import write_atomically

State = dict[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """The last few states of one stage.

    A state is a dictionary of tensors, numbers and text. `epoch-000012.pt` holds it, and
    `epoch-000012.json`, written after it, holds its SHA-256 and the config; without the second
    file the first does not count. Nothing is unpickled beyond tensors and plain containers.

    Args:
        folder: where they are.
        config: the stage's config as JSON; a state from another one is refused.
        keep: states kept, the latest ones.
        note: is told of a damaged checkpoint that was passed over.
    """

    folder: Path
    config: Any
    keep: int = 2
    note: Callable[[str], None] = lambda text: None

    def save(self, epoch: int, state: State) -> None:
        """Write the state after `epoch` epochs, then remove all but the last `keep`."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        write_atomically(self._path(epoch, "pt"), content)
        label = {
            "epoch": epoch,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "config": self.config,
        }
        write_atomically(self._path(epoch, "json"), (json.dumps(label, indent=2) + "\n").encode())
        for old in self._epochs()[: -self.keep]:
            self._path(old, "json").unlink(missing_ok=True)
            self._path(old, "pt").unlink(missing_ok=True)

    @property
    def whereabouts(self) -> str:
        """A sentence about the last state, for a run that has to stop."""
        if not self._epochs():
            return "No checkpoint had been written yet."
        return f"The last good state is in {self.folder}."

    def latest(self) -> State | None:
        """The last undamaged state; None if there was never one.

        Raises:
            ValueError: it is from another config, or every checkpoint is damaged.
        """
        damage = []
        for epoch in reversed(self._epochs()):
            state, defect = self._load(epoch)
            if state is not None:
                return state
            damage.append(defect)
            self.note(f"{defect} Going on from the checkpoint before it.")
        if damage:
            raise ValueError(
                f"None of the {len(damage)} checkpoints in {self.folder} can be used: "
                f"{' '.join(damage)} Delete the folder to begin the stage again."
            )
        return None

    def _load(self, epoch: int) -> tuple[State | None, str]:
        path = self._path(epoch, "pt")
        try:
            label = json.loads(self._path(epoch, "json").read_text())
            expected, config = label["sha256"], label["config"]
        except (ValueError, KeyError, TypeError):
            return None, f"{self._path(epoch, 'json')} is damaged: it is not a checkpoint's label."
        unequal = differences(config, self.config)
        if unequal:
            raise ValueError(
                f"The checkpoint {path} is from another config ({'; '.join(unequal)}). Resume "
                "with the config it was made with, or start a new run folder."
            )
        if not path.is_file():
            return None, f"{path} is missing."
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            return None, (
                f"{path} is damaged: its SHA-256 is {found[:12]}…, its label says "
                f"{expected[:12]}… ({len(content)} bytes, {label.get('bytes')} expected)."
            )
        try:
            return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"), ""
        except (pickle.UnpicklingError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            return None, f"{path} holds more than tensors and plain containers ({reason})."

    def _epochs(self) -> list[int]:
        return sorted(int(path.stem.removeprefix("epoch-")) for path in self._labels())

    def _labels(self) -> list[Path]:
        return list(self.folder.glob("epoch-*.json"))

    def _path(self, epoch: int, suffix: str) -> Path:
        return self.folder / f"epoch-{epoch:06d}.{suffix}"
