"""C and C++ source as a loaded library: compiled once a machine, kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path


class NotBuiltError(RuntimeError):
    """No compiler, or it could not build the source; the message says which."""


def compiler() -> str | None:
    """`CXX`, g++ or clang++, in this order."""
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def library(source: str, name: str, flags: Sequence[str]) -> ctypes.CDLL:
    """The source built for this processor.

    What the compiler made lies in `XDG_CACHE_HOME` (or ~/.cache)
    under `amended-darts`, named by `name` and a hash of source, flags, compiler and processor,
    and is loaded from there the next time.

    Raises:
        NotBuiltError: there is no compiler, it failed, or the cache cannot be written.
    """
    command = compiler()
    if command is None:
        raise NotBuiltError("no C++ compiler: neither CXX, g++ nor clang++")
    try:
        return ctypes.CDLL(str(_built(command, source, name, flags)))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise NotBuiltError(f"{command} could not build {name}: {detail.strip()[-300:]}") from error


def _built(command: str, source: str, name: str, flags: Sequence[str]) -> Path:
    known = (source, _version(command), " ".join(flags), _processor())
    key = hashlib.sha256("\0".join(known).encode()).hexdigest()[:20]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "amended-darts"
    target = folder / f"{name}-{key}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / f"{name}.so"
        subprocess.run(
            [command, *flags, "-x", "c++", "-", "-o", str(made)],
            input=source,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=300,
        )
        made.replace(target)  # atomic: another process sees all of it or nothing
    return target


@cache
def _version(command: str) -> str:
    return subprocess.run(
        [command, "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@cache
def _processor() -> str:
    """The processor, on which -march=native depends."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
