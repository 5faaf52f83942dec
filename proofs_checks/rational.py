"""Small matrices over any exact field: fractions, SymPy expressions, z3 reals, intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from random import Random
from typing import Any

Scalar = Any  # a Fraction, a SymPy expression, a z3 real, an interval: + − × ÷ is all we use


def exact(value: Scalar) -> Scalar:
    """An integer as a fraction; a float is refused, for it would carry rounding into a proof."""
    if isinstance(value, float):
        raise TypeError(
            f"exact({value!r}): a float cannot enter an exact check. Write Fraction('{value!r}')."
        )
    return Fraction(value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Matrix:
    """A dense matrix of exact scalars, written by rows; vectors are columns."""

    entries: tuple[tuple[Scalar, ...], ...]

    @staticmethod
    def of(rows: Iterable[Iterable[Scalar]]) -> Matrix:
        entries = tuple(tuple(exact(x) for x in row) for row in rows)
        if not entries or len({len(row) for row in entries}) != 1:
            raise ValueError(f"Matrix.of: rows of lengths {[len(r) for r in entries]}; want equal")
        return Matrix(entries)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.entries), len(self.entries[0])

    @property
    def T(self) -> Matrix:  # noqa: N802 (the field's name for a transpose)
        return Matrix(tuple(zip(*self.entries, strict=True)))

    def __getitem__(self, at: tuple[int, int]) -> Scalar:
        return self.entries[at[0]][at[1]]

    def __iter__(self) -> Iterator[Scalar]:
        return (x for row in self.entries for x in row)

    def map(self, f: Callable[[Scalar], Scalar]) -> Matrix:
        return Matrix(tuple(tuple(f(x) for x in row) for row in self.entries))

    def _paired(self, other: Matrix, f: Callable[[Scalar, Scalar], Scalar]) -> Matrix:
        if self.shape != other.shape:
            raise ValueError(f"shapes {self.shape} and {other.shape} do not match")
        pairs = zip(self.entries, other.entries, strict=True)
        return Matrix(tuple(tuple(map(f, a, b)) for a, b in pairs))

    def __add__(self, other: Matrix) -> Matrix:
        return self._paired(other, lambda a, b: a + b)

    def __sub__(self, other: Matrix) -> Matrix:
        return self._paired(other, lambda a, b: a - b)

    def __neg__(self) -> Matrix:
        return self.map(lambda x: -x)

    def __rmul__(self, factor: Scalar) -> Matrix:
        return self.map(lambda x: exact(factor) * x)

    def __matmul__(self, other: Matrix) -> Matrix:
        if self.shape[1] != other.shape[0]:
            raise ValueError(f"cannot multiply {self.shape} by {other.shape}")
        columns = other.T.entries
        return Matrix(tuple(tuple(_dot(row, col) for col in columns) for row in self.entries))

    def power(self, k: int) -> Matrix:
        """The k-th power, k ≥ 0."""
        result = identity(self.shape[0])
        for _ in range(k):
            result = result @ self
        return result

    def trace(self) -> Scalar:
        return sum((self[i, i] for i in range(self.shape[0])), start=Fraction(0))

    def determinant(self) -> Scalar:
        """By Laplace along the first row: division-free, so it holds for symbols and z3 reals."""
        if self.shape == (1, 1):
            return self[0, 0]
        return _dot(self.entries[0], [self._cofactor(0, j) for j in range(self.shape[1])])

    def _cofactor(self, i: int, j: int) -> Scalar:
        if self.shape == (1, 1):
            return Fraction(1)
        rows = [row[:j] + row[j + 1 :] for k, row in enumerate(self.entries) if k != i]
        minor = Matrix(tuple(rows)).determinant()
        return minor if (i + j) % 2 == 0 else -minor

    def adjugate(self) -> Matrix:
        n = self.shape[0]
        return Matrix(tuple(tuple(self._cofactor(j, i) for j in range(n)) for i in range(n)))

    def inverse(self) -> Matrix:
        """Gauss–Jordan on fractions, adjugate over determinant on anything else."""
        if not all(isinstance(x, Fraction) for x in self):
            determinant = self.determinant()
            return self.adjugate().map(lambda x: x / determinant)
        n = self.shape[0]
        work = [list(a) + list(b) for a, b in zip(self.entries, identity(n).entries, strict=True)]
        for k in range(n):
            pivot = next((i for i in range(k, n) if work[i][k] != 0), None)
            if pivot is None:
                raise ZeroDivisionError(f"the {n}×{n} matrix {self} has no inverse")
            work[k], work[pivot] = work[pivot], work[k]
            work[k] = [x / work[k][k] for x in work[k]]
            for i in range(n):
                if i != k and work[i][k] != 0:
                    work[i] = [x - work[i][k] * y for x, y in zip(work[i], work[k], strict=True)]
        return Matrix(tuple(tuple(row[n:]) for row in work))

    def __str__(self) -> str:
        if self.shape[1] == 1:
            return "(" + ", ".join(str(x) for x in self) + ")ᵀ"
        return "[" + ", ".join("[" + ", ".join(map(str, r)) + "]" for r in self.entries) + "]"


def _dot(a: Sequence[Scalar], b: Sequence[Scalar]) -> Scalar:
    terms = [x * y for x, y in zip(a, b, strict=True)]
    return sum(terms[1:], start=terms[0])


def matrix(*rows: Sequence[Scalar]) -> Matrix:
    return Matrix.of(rows)


def column(*entries: Scalar) -> Matrix:
    return Matrix.of([x] for x in entries)


def identity(n: int) -> Matrix:
    return Matrix.of([int(i == j) for j in range(n)] for i in range(n))


def diagonal(*entries: Scalar) -> Matrix:
    n = len(entries)
    return Matrix.of([entries[i] if i == j else 0 for j in range(n)] for i in range(n))


def dot(x: Matrix, y: Matrix) -> Scalar:
    """⟨x, y⟩ of two columns of one length."""
    if x.shape != y.shape or x.shape[1] != 1:
        raise ValueError(f"dot: want two columns of one length, got {x.shape} and {y.shape}")
    return (x.T @ y)[0, 0]


def square(x: Matrix) -> Scalar:
    """‖x‖² of a column: a norm itself may be irrational."""
    return dot(x, x)


def root(x: Fraction) -> Fraction:
    """The rational square root, where there is one."""
    x = Fraction(x)
    top, bottom = isqrt(x.numerator), isqrt(x.denominator)
    if top * top != x.numerator or bottom * bottom != x.denominator:
        raise ValueError(f"root({x}): the square root is irrational; choose a perfect square")
    return Fraction(top, bottom)


def negative_direction(form: Matrix) -> Matrix | None:
    """A rational u with uᵀSu < 0, or None, which proves S ⪰ 0 (symmetric Gaussian elimination)."""
    n = form.shape[0]
    if form != form.T:
        raise ValueError(f"negative_direction: {form} is not symmetric")
    work = form
    basis = identity(n)  # work = basisᵀ · form · basis throughout
    done: set[int] = set()
    for _ in range(n):
        for i in range(n):
            if work[i, i] < 0:
                return _column_of(basis, i)
        live = [i for i in range(n) if i not in done]
        pivot = next((i for i in live if work[i, i] > 0), None)
        if pivot is None:
            for i in live:
                for j in live:
                    if work[i, j] != 0:  # two zero diagonal entries, so (eᵢ ∓ eⱼ) is negative
                        sign = -1 if work[i, j] > 0 else 1
                        return _column_of(basis, i) + sign * _column_of(basis, j)
            return None
        done.add(pivot)
        step = [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]
        for j in range(n):
            if j not in done:
                step[pivot][j] = -work[pivot, j] / work[pivot, pivot]
        elimination = Matrix.of(step)
        work = elimination.T @ work @ elimination
        basis = basis @ elimination
    return None


def _column_of(m: Matrix, j: int) -> Matrix:
    return column(*(row[j] for row in m.entries))


def is_semidefinite(form: Matrix) -> bool:
    return negative_direction(form) is None


def is_definite(form: Matrix) -> bool:
    """S ≻ 0, by Sylvester: all leading minors are positive."""
    n = form.shape[0]
    return all(
        Matrix(tuple(row[:k] for row in form.entries[:k])).determinant() > 0
        for k in range(1, n + 1)
    )


def parallel(x: Matrix, y: Matrix) -> bool:
    """Whether two columns are multiples of one another."""
    return bool(square(x) * square(y) == dot(x, y) ** 2)


def random_fraction(rng: Random, size: int = 6) -> Fraction:
    return Fraction(rng.randint(-size, size), rng.randint(1, 3))


def random_matrix(rng: Random, rows: int, cols: int, size: int = 6) -> Matrix:
    return Matrix.of([random_fraction(rng, size) for _ in range(cols)] for _ in range(rows))


def random_column(rng: Random, n: int) -> Matrix:
    """A non-zero rational column."""
    while True:
        x = random_matrix(rng, n, 1)
        if square(x) != 0:
            return x


def random_rotation(rng: Random, n: int) -> Matrix:
    """A rational orthogonal matrix: a product of Householder reflections I − 2uuᵀ/‖u‖²."""
    q = identity(n)
    for _ in range(n):
        u = random_column(rng, n)
        q = q @ (identity(n) - Fraction(2) / square(u) * (u @ u.T))
    return q


def random_spectrum(rng: Random, n: int, largest: int = 12) -> list[Fraction]:
    return [Fraction(rng.randint(1, largest), rng.randint(1, 4)) for _ in range(n)]


def with_spectrum(rng: Random, eigenvalues: Sequence[Scalar]) -> Matrix:
    """A symmetric rational matrix with these eigenvalues and rational eigenvectors."""
    q = random_rotation(rng, len(eigenvalues))
    return q @ diagonal(*eigenvalues) @ q.T
