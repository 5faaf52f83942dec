"""Array operations on fixed buffers, run by compiled code where there is a compiler."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import Any

import numpy as np

from bilevel.c_loops import FORMULAS, Array, Source, View, layout
from bilevel.native import NotBuiltError, library

Step = Callable[[], Any]
SWITCH = "BILEVEL_NATIVE"
"""Environment variable: `off` leaves the compiler out, and NumPy takes every step."""
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fopenmp-simd", "-fPIC", "-shared"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
SCALARS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


def compiled(*lists: Sequence[Step]) -> list[list[Step]]:
    """The same lists of steps, those that follow each other and have a formula as one call.

    A step is a `partial` of a NumPy function that writes into `out`: elementwise arithmetic,
    `np.copyto`, `np.add.reduce` or `np.matmul` of matrices, on floating arrays. Arithmetic of one
    shape shares a loop, and what one step hands the next stays in a register; products are
    SciPy's BLAS. The last bits differ from NumPy's: sums are taken in another order, and a·b + c
    is rounded once.

    Cost: the compiler, 0.2 to 1 s, for operations and shapes that are new to this machine. Where
    there is none, or with `BILEVEL_NATIVE=off`, the steps come back as they are.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        return [list(steps) for steps in lists]
    result: list[list[Any]] = []
    calls: list[_Call] = []
    for steps in lists:
        result.append([])
        for scalar, some in groupby(steps, _scalar):
            run = list(some)
            if scalar is None or len(run) == 1:
                result[-1] += run
            else:
                calls.append(_Call(f"run{len(calls)}", scalar, run))
                result[-1].append(calls[-1])
    if not calls:
        return result
    try:
        built = library("\n".join(call.text for call in calls), "steps", FLAGS)
    except NotBuiltError:
        return [list(steps) for steps in lists]
    for call in calls:
        call.load(built)
    return result


class _Call:
    """Steps as one compiled function on the arrays whose addresses it is given."""

    def __init__(self, name: str, scalar: str, steps: Sequence[Step]) -> None:
        source = Source()
        for step in steps:
            parts = _Parts.of(step)
            assert parts is not None
            parts.write(source)
        self.name, self.text = name, source.text(name, scalar)
        self.arrays = source.arrays  # their memory must live as long as the addresses are used
        self.table = np.array([array.ctypes.data for array in self.arrays], dtype=np.uintp)
        self.arguments = self.table.ctypes.data, _gemm(scalar)

    def load(self, built: ctypes.CDLL) -> None:
        self.function = getattr(built, self.name)
        self.function.argtypes, self.function.restype = (ctypes.c_void_p, ctypes.c_void_p), None

    def __call__(self) -> None:
        self.function(*self.arguments)


def is_silent(steps: Sequence[Step]) -> bool:
    """Whether no step is NumPy's, which would warn of numbers that are not finite."""
    return all(isinstance(step, _Call) for step in steps)


@cache
def _gemm(scalar: str) -> int:
    """The address of the BLAS product that SciPy publishes for compiled code."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__["dgemm" if scalar == "double" else "sgemm"]
    named = ctypes.pythonapi.PyCapsule_GetName
    named.restype, named.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address: int = pointer(capsule, named(capsule))
    return address


@dataclass(frozen=True)
class _Parts:
    """A step taken apart: function, what it reads, where it writes."""

    function: Any
    operands: list[Any]
    out: Array
    axes: tuple[int, ...] = ()

    @staticmethod
    def of(step: Any) -> _Parts | None:
        """None for a step of another kind."""
        if not isinstance(step, partial):
            return None
        function, arguments = step.func, list(step.args)
        if function is np.copyto:
            return _Parts(function, arguments[1:], arguments[0])
        if function == np.add.reduce:
            source, axes, _, out = arguments[:4]
            return _Parts(np.add.reduce, [source], out, tuple(a % source.ndim for a in axes))
        if function is np.matmul or function in FORMULAS:
            return _Parts(function, arguments, step.keywords["out"])
        return None

    def write(self, source: Source) -> None:
        if self.function is np.matmul:
            left, right = self.operands
            source.product(left, right, self.out)
        elif self.function in FORMULAS:
            source.elementwise(self.function, self.operands, self.out)
        else:
            source.sum(self.operands[0], self.axes, self.out)

    @property
    def can_be_written(self) -> bool:
        """Floating arrays of one type, in a layout that the loops and BLAS know, and apart."""
        arrays = [x for x in self.operands if isinstance(x, np.ndarray)]
        numbers = [x for x in self.operands if not isinstance(x, np.ndarray)]
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers):
            return False
        kind = self.out.dtype
        if kind not in SCALARS or not all(a.dtype == kind and _is_plain(a) for a in arrays):
            return False
        if not _is_plain(self.out):
            return False
        if self.function in FORMULAS:
            out = View.of(self.out, self.out.shape)
            return not any(View.of(a, self.out.shape).clashes(out) for a in arrays)
        if any(np.may_share_memory(self.out, a) for a in arrays):
            return False
        matrices = [self.out, *arrays]
        return self.function is not np.matmul or all(
            a.ndim == 2 and layout(a) is not None for a in matrices
        )


def _scalar(step: Step) -> str | None:
    """The C type of a step that can be written in C, None for any other."""
    parts = _Parts.of(step)
    return SCALARS[parts.out.dtype] if parts is not None and parts.can_be_written else None


def _is_plain(array: Array) -> bool:
    """Not empty, and its strides whole elements forward."""
    strides = array.strides
    return array.size > 0 and all(s >= 0 and s % array.itemsize == 0 for s in strides)
