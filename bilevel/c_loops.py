"""C for array operations on fixed buffers: arithmetic of one shape shares a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FORMULAS: dict[Any, str] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.copyto: "{0}",
}
FUNCTION = """namespace in_{name} {{
typedef {scalar} real;
typedef void (*multiply)(char *, char *, int *, int *, int *, real *, real *, int *, real *, int *,
                         real *, real *, int *);
static real one = 1, nothing = 0;
extern "C" void {name}(real **at, multiply gemm) {{
{body}
}}
}}
"""


def layout(matrix: Array) -> tuple[bool, int] | None:
    """Whether the matrix lies by rows (else by columns), and from one to the next of them.

    None where it does neither.
    """
    (rows, columns), (down, across) = matrix.shape, matrix.strides
    unit = matrix.itemsize
    if (across == unit or columns == 1) and (rows == 1 or down >= unit * columns):
        return True, columns if rows == 1 else down // unit
    if (down == unit or rows == 1) and (columns == 1 or across >= unit * rows):
        return False, rows if columns == 1 else across // unit
    return None


@dataclass(frozen=True)
class View:
    """Where an array's elements lie, as seen in a shape that it is spread to."""

    array: Array = field(compare=False)
    address: int
    strides: tuple[int, ...]

    @staticmethod
    def of(array: Array, shape: tuple[int, ...]) -> View:
        spread = np.broadcast_to(array, shape)
        strides = (
            0 if n == 1 else s // array.itemsize
            for n, s in zip(spread.shape, spread.strides, strict=True)
        )
        return View(array, array.ctypes.data, tuple(strides))

    def clashes(self, other: View) -> bool:
        """Other elements of the same memory: an order between the two must be kept."""
        return self != other and bool(np.may_share_memory(self.array, other.array))

    def element(self, pointer: str, nest: Sequence[tuple[int, int]]) -> str:
        """The element that the loops are at."""
        terms = [f"i{axis} * {self.strides[axis]}" for axis, _ in nest if self.strides[axis]]
        return f"{pointer}[{' + '.join(terms) or '0'}]"


class Source:
    """The body of one function, step by step.

    Attributes:
        arrays: those whose addresses the function takes, in this order.
    """

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.numbers: dict[int, int] = {}
        self.loop: _Loop | None = None
        self.lines: list[str] = []

    def text(self, name: str, scalar: str) -> str:
        """The function of that name, on the C type `scalar`."""
        self._close()
        return FUNCTION.format(name=name, scalar=scalar, body="\n".join(self.lines))

    def elementwise(self, function: Any, operands: Sequence[Any], out: Array) -> None:
        """out = function(*operands), one of `FORMULAS`, of arrays and numbers."""
        shape = out.shape
        write = View.of(out, shape)
        seen = [View.of(x, shape) if isinstance(x, np.ndarray) else x for x in operands]
        reads = [x for x in seen if isinstance(x, View)]
        if self.loop is None or self.loop.shape != shape or not self.loop.takes(reads, write):
            self._close()
            self.loop = _Loop(shape)
        self.loop.add(FORMULAS[function], seen, write)

    def product(self, a: Array, b: Array, out: Array) -> None:
        """out = ab. Fortran's BLAS sees a matrix by rows as its transpose: outᵀ = bᵀaᵀ."""
        self._close()
        by_rows, distance = _layout(out)
        left, right, result = (b, a, out) if by_rows else (a.T, b.T, out.T)
        (plain_left, of_left), (plain_right, of_right) = _layout(left), _layout(right)
        sizes = (result.shape[1], result.shape[0], left.shape[0], of_left, of_right, distance)
        first, second, third = (self._pointer(x) for x in (left, right, result))
        self.lines += [
            "{",
            f"char first = '{'NT'[not plain_left]}', second = '{'NT'[not plain_right]}';",
            f"int s[] = {{{', '.join(map(str, sizes))}}};",
            f"gemm(&first, &second, s, s + 1, s + 2, &one, {first}, s + 3, {second}, s + 4,",
            f"     &nothing, {third}, s + 5);",
            "}",
        ]

    def sum(self, source: Array, axes: Sequence[int], out: Array) -> None:
        """out = the sum over some axes, which `out` has not, or with length 1."""
        self._close()
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(source.shape))
        target, view = View.of(out.reshape(kept), source.shape), View.of(source, source.shape)
        nest = _nest(source.shape, [view, target])
        clear = _nest(kept, [(cleared := View.of(target.array, kept))])
        to, read = target.element("to", nest), view.element("from", nest)
        self.lines += [
            "{",
            f"real *__restrict from = {self._pointer(source)};",
            f"real *__restrict to = {self._pointer(out)};",
            *_loops(clear, f"{cleared.element('to', clear)} = 0;"),
        ]
        if not nest or target.strides[nest[-1][0]]:  # each step of the inner loop has its own sum
            self.lines += _loops(nest, f"{to} += {read};", pragma="#pragma GCC ivdep")
        else:
            lanes = "#pragma omp simd reduction(+ : sum)"
            inner = _loops(nest[-1:], f"sum += {read};", pragma=lanes)
            self.lines += _loops(nest[:-1], "real sum = 0;", *inner, f"{to} += sum;")
        self.lines.append("}")

    def _pointer(self, array: Array) -> str:
        """The array's first element, by its place in the table of addresses."""
        address = array.ctypes.data
        if address not in self.numbers:
            self.numbers[address] = len(self.arrays)
            self.arrays.append(array)
        return f"at[{self.numbers[address]}]"

    def _close(self) -> None:
        if self.loop is not None:
            pointers = {view: self._pointer(view.array) for view in self.loop.views}
            self.lines += self.loop.text(pointers)
            self.loop = None


class _Loop:
    """Elementwise steps of one shape, in one loop: what one hands the next is not stored."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.names: dict[View, str] = {}
        self.read: list[View] = []
        self.written: list[View] = []
        self.lines: list[str] = []

    @property
    def views(self) -> list[View]:
        return list(dict.fromkeys([*self.read, *self.written]))

    def takes(self, reads: Sequence[View], write: View) -> bool:
        """Whether one more step leaves the meaning of all as it is."""
        return not any(v.clashes(w) for v in reads for w in self.written) and not any(
            write.clashes(w) for w in self.views
        )

    def add(self, formula: str, operands: Sequence[Any], write: View) -> None:
        terms = []
        for operand in operands:
            if not isinstance(operand, View):
                terms.append(f"(real){float(operand).hex()}")
                continue
            if operand not in self.names:
                self.names[operand] = f"r{len(self.read)}"
                self.read.append(operand)
            terms.append(self.names[operand])
        self.names[write] = f"t{len(self.lines)}"
        self.lines.append(f"real {self.names[write]} = {formula.format(*terms)};")
        if write not in self.written:
            self.written.append(write)

    def text(self, pointers: dict[View, str]) -> list[str]:
        nest = _nest(self.shape, [self.written[0], *self.views])
        local = {view: f"p{i}" for i, view in enumerate(pointers)}
        return [
            "{",
            *(f"real *__restrict {local[view]} = {pointers[view]};" for view in pointers),
            *_loops(
                nest,
                *(f"real r{i} = {v.element(local[v], nest)};" for i, v in enumerate(self.read)),
                *self.lines,
                *(f"{v.element(local[v], nest)} = {self.names[v]};" for v in self.written),
                pragma="#pragma GCC ivdep",
            ),
            "}",
        ]


def _nest(shape: tuple[int, ...], views: Sequence[View]) -> list[tuple[int, int]]:
    """(axis, length) from the outermost loop in, in the order of the first view's memory.

    Axes that lie behind each other in every view become one.
    """
    order = sorted(
        (axis for axis, n in enumerate(shape) if n > 1), key=lambda axis: -views[0].strides[axis]
    )
    nest: list[tuple[int, int]] = []
    for axis in order:
        if nest:
            outer, length = nest[-1]
            if all(v.strides[outer] == v.strides[axis] * shape[axis] for v in views):
                nest[-1] = axis, length * shape[axis]
                continue
        nest.append((axis, shape[axis]))
    return nest


def _loops(nest: Sequence[tuple[int, int]], *body: str, pragma: str = "") -> list[str]:
    """The body in loops, with the pragma before the innermost."""
    heads = [f"for (long i{axis} = 0; i{axis} < {length}; i{axis}++) {{" for axis, length in nest]
    if not heads:
        return ["{", *body, "}"]
    return [*heads[:-1], pragma, heads[-1], *body, "}" * len(heads)]


def _layout(matrix: Array) -> tuple[bool, int]:
    found = layout(matrix)
    assert found is not None
    return found
