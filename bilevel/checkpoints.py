"""States of a solve on disk: each one whole or absent, and checked before it is used."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]
"""Tensors, numbers, text and plain containers of them: what `torch.load` reads safely."""


@dataclass(frozen=True)
class Checkpoints:
    """The last states of one solve in a folder, to go on from after an interruption.

    `step-00000012.pt` holds a state; `step-00000012.json`, written after it, its SHA-256 and
    what it belongs to. Both appear whole or not at all, and without the second the first does
    not count. Nothing is unpickled beyond tensors and plain containers.

    Args:
        folder: made when first needed.
        every: steps between states; the last step is always one.
        keep: states kept, the latest ones.

    Raises:
        ValueError: every or keep is not positive.
    """

    folder: Path | str
    every: int = 100
    keep: int = 2

    def __post_init__(self) -> None:
        if self.every < 1 or self.keep < 1:
            raise ValueError(
                f"Checkpoints(every={self.every}, keep={self.keep}): both must be at least 1."
            )

    @property
    def _folder(self) -> Path:
        return Path(self.folder)

    def save(self, step: int, state: State, belongs_to: dict[str, str]) -> None:
        """Write the state after `step` steps, then remove all but the last `keep`."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        label = {
            "step": step,
            "sha256": hashlib.sha256(content).hexdigest(),
            "belongs_to": belongs_to,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        _write_whole(self._path(step, "pt"), content)
        _write_whole(self._path(step, "json"), (json.dumps(label, indent=2) + "\n").encode())
        for old in self._steps()[: -self.keep]:
            self._path(old, "json").unlink(missing_ok=True)
            self._path(old, "pt").unlink(missing_ok=True)

    def latest(self, belongs_to: dict[str, str]) -> State | None:
        """The last undamaged state; None if none was ever written.

        Raises:
            ValueError: it belongs to another solve, or every one of them is damaged.
        """
        damage = []
        for step in reversed(self._steps()):
            label, content = self._read(step)
            if label is None:
                damage.append(f"{self._path(step, 'pt')} does not match its label.")
                continue
            for name, value in belongs_to.items():
                found = label["belongs_to"].get(name, "not recorded")
                if found != value:
                    raise ValueError(
                        f"the checkpoint {self._path(step, 'pt')} was made with {name} = {found}, "
                        f"and this solve has {value}. Resume with what it was made with, or give "
                        "another folder."
                    )
            for defect in damage:
                warnings.warn(f"{defect} Going on from an earlier one.", stacklevel=3)
            state: State = torch.load(io.BytesIO(content), weights_only=True)
            return state
        if damage:
            raise ValueError(
                f"none of the {len(damage)} checkpoints in {self.folder} can be used: "
                f"{' '.join(damage)} Delete the folder to start from the beginning."
            )
        return None

    def _read(self, step: int) -> tuple[dict[str, Any] | None, bytes]:
        try:
            label = json.loads(self._path(step, "json").read_text())
            content = self._path(step, "pt").read_bytes()
            whole = label["sha256"] == hashlib.sha256(content).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            return None, b""
        return (label, content) if whole else (None, b"")

    def _steps(self) -> list[int]:
        labels = self._folder.glob("step-*.json")
        return sorted(int(path.stem.removeprefix("step-")) for path in labels)

    def _path(self, step: int, suffix: str) -> Path:
        return self._folder / f"step-{step:08d}.{suffix}"


def _write_whole(path: Path, content: bytes) -> None:
    """Write under another name and rename, so that a reader or a crash never sees a part."""
    partial = path.with_suffix(path.suffix + ".part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
