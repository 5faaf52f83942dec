"""The native kernels: compiled on first use with the machine's own C++ compiler, if it has one."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from darts.kernels.compiled import NotBuiltError, compiler, library

SOURCES = ("units.cpp", "norm.cpp", "node.cpp")
"""Files that make one source, in order."""
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fopenmp", "-fPIC", "-shared"),
    *("-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi"),
)
SWITCH = "DARTS_KERNELS"
"""Environment variable: `off` leaves the kernels out, and everything runs in plain PyTorch."""
ARGUMENTS = {
    "node_forward": "pdpppppppppppdi",
    "node_backward": "pppppppppppppppi",
}
_TYPES = {"p": ctypes.c_void_p, "d": ctypes.c_double, "i": ctypes.c_int}


def flags() -> tuple[str, ...]:
    """The compiler's, without AVX-512 where PyTorch does without.

    That is where the processor lacks it, or where ATEN_CPU_CAPABILITY=avx2 asks for the bits of
    such a processor.
    """
    narrow = torch.backends.cpu.get_cpu_capability() == "AVX2"
    return (*FLAGS, "-mno-avx512f") if narrow else FLAGS


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
    try:
        source = "\n".join(
            Path(__file__).with_name(name).read_text(encoding="utf-8") for name in SOURCES
        )
        built = library(source, "units", flags())
    except NotBuiltError as error:
        return Kernels(None, str(error))
    for name, arguments in ARGUMENTS.items():
        for suffix in ("f32", "f64"):
            function = getattr(built, f"{name}_{suffix}")
            function.argtypes = [_TYPES[kind] for kind in arguments]
            function.restype = None
    return Kernels(built, f"built with {compiler()}")
