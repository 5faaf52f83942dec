"""The native kernels: compiled on first use with the machine's own C++ compiler, if it has one."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("units.cpp")
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fopenmp", "-fPIC", "-shared"),
    *("-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi"),
)
SWITCH = "DARTS_KERNELS"
"""Environment variable: `off` leaves the kernels out, and everything runs in plain PyTorch."""
POINTERS = {
    "unit_forward": "ppppppppppp",
    "unit_backward": "pppppppppppppppippp",
    "moments": "pplllp",
    "combine": "lllpppi",
    "dots": "lllppp",
}
_TYPES = {"p": ctypes.c_void_p, "l": ctypes.c_long, "i": ctypes.c_int}


@dataclass(frozen=True)
class Kernels:
    """The compiled kernels, or why there are none."""

    library: ctypes.CDLL | None
    reason: str


@cache
def kernels() -> Kernels:
    """Compile (once a machine; a few seconds) or load the kernels. Never raises."""
    if os.environ.get(SWITCH, "").lower() == "off":
        return Kernels(None, f"{SWITCH}=off")
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return Kernels(None, "no C++ compiler: neither CXX, g++ nor clang++")
    try:
        library = ctypes.CDLL(str(_built(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        return Kernels(None, f"{compiler} could not build the kernels: {detail.strip()[-300:]}")
    for name, arguments in POINTERS.items():
        for suffix in ("f32", "f64"):
            function = getattr(library, f"{name}_{suffix}")
            function.argtypes = [_TYPES[kind] for kind in arguments + "i"]
            function.restype = None
    return Kernels(library, f"built with {compiler}")


def _built(compiler: str) -> Path:
    """The library in the user's cache, built now if this source, compiler and CPU are new to it."""
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    known = (SOURCE.read_text(), version, " ".join(FLAGS), _processor())
    key = hashlib.sha256("\0".join(known).encode()).hexdigest()[:20]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "amended-darts"
    target = folder / f"units-{key}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "units.so"
        subprocess.run(
            [compiler, *FLAGS, str(SOURCE), "-o", str(made)],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        made.replace(target)  # atomic: another process sees all of it or nothing
    return target


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
