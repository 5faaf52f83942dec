"""States in a folder: each file is whole or absent, and is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.state import State, pack, unpack

MAGIC = b"checkpoint 2, SHA-256 of what follows: "
"""How a file begins. The number is that of the format."""

Label = dict[str, Any]
"""What a state belongs to, as JSON."""


class DamageError(Exception):
    """A checkpoint that cannot be used, and why."""


@dataclass(frozen=True)
class CheckpointFiles:
    """The last few checkpoints of one thing.

    A file is one line with the SHA-256 of the rest; a line of JSON, the label; and the state in
    the safetensors format. Nothing is unpickled, so that no file can run code.

    Args:
        folder: made when first needed.
        keep: files kept, those whose names sort last.
    """

    folder: Path
    keep: int = 2

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.checkpoint"))

    def save(self, name: str, label: Label, state: State) -> None:
        """Write a file, then remove all but the last `keep`.

        Raises:
            TypeError: the state holds something that `State` does not allow.
            OSError: it could not be written; the files before it are kept.
        """
        line, content = json.dumps(label, ensure_ascii=False).encode() + b"\n", pack(state)
        digest = hashlib.sha256(line)
        digest.update(content)
        self.folder.mkdir(parents=True, exist_ok=True)
        first = MAGIC + digest.hexdigest().encode() + b"\n"
        write_whole(self.folder / f"{name}.checkpoint", first, line, content)
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        for torn in self.folder.glob("*.part"):
            torn.unlink(missing_ok=True)

    def latest(
        self, check: Callable[[Path, Label], None], tell: Callable[[str], None], remedy: str
    ) -> tuple[Label, State] | None:
        """The last undamaged checkpoint; None if there was never one.

        Args:
            check: raises if the label belongs to something else. After a `DamageError` the
                checkpoint before is tried.
            tell: called with a line about each damaged checkpoint that was passed over.
            remedy: advice for the error where none is left.

        Raises:
            ValueError: every one is damaged, or the last one has another format.
        """
        damage = []
        for path in reversed(self.paths()):
            try:
                label, state = _read(path)
                check(path, label)
                return label, state
            except DamageError as defect:
                damage.append(f"{path} {defect}.")
                tell(f"{path} {defect}. Going on from the checkpoint before it.")
        if damage:
            raise ValueError(
                f"None of the {len(damage)} checkpoints in {self.folder} can be used: "
                f"{' '.join(damage)} {remedy}"
            )
        return None


def _read(path: Path) -> tuple[Label, State]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamageError("is missing") from error
    first, _, rest = content.partition(b"\n")
    if first.startswith(b"darts checkpoint"):
        raise ValueError(
            f"{path} has format 1, of an earlier version, and this version reads format 2. Begin "
            "again in a new folder, or go on with the version that wrote it."
        )
    found = hashlib.sha256(rest).hexdigest()
    if first != MAGIC + found.encode():
        raise DamageError(
            f"is damaged: the SHA-256 of its {len(rest)} bytes is {found[:12]}…, and "
            f"its first line says {first[len(MAGIC) :][:12].decode(errors='replace') or None}…"
        )
    line, _, packed = rest.partition(b"\n")
    try:
        return json.loads(line), unpack(packed)
    except ValueError as error:
        raise DamageError(f"is damaged: {error}") from error


def write_whole(path: Path, *content: bytes) -> None:
    """Write beside `path`, flush to disk, and rename over it: no reader or crash sees a part.

    Of several writers at once, the last to end has its content there. One that is killed leaves a
    file `<name>.<its mark>.part`.

    Raises:
        OSError: the file could not be written; an old file at `path` is unchanged.
    """
    beside = beside_it(path)
    try:
        with beside.open("xb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def beside_it(path: Path) -> Path:
    """A file that no other writer has, to be renamed to `path` when it is whole."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
