"""What a verdict rests on: objects that verify themselves again, as strictly as they can."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any, ClassVar

import numpy as np
import sympy
import z3
from scipy.stats import beta

from proofs_checks.outcome import Evidence as Evidence
from proofs_checks.outcome import Numbers, show
from proofs_checks.outcome import Outcome as Outcome
from proofs_checks.rational import Matrix, Scalar


def refuse_floats(value: Any, where: str) -> None:
    """Exact evidence carries no rounding: raise if a float hides in it."""
    if isinstance(value, Matrix | list | tuple):
        for entry in value:
            refuse_floats(entry, where)
    elif isinstance(value, float | np.floating) or (
        isinstance(value, sympy.Basic) and value.has(sympy.Float)
    ):
        raise TypeError(f"{where}: {value!r} is a float in exact evidence; use fractions")


def is_zero(value: Scalar) -> bool:
    """Exact: a fraction by value, a SymPy expression by simplification to 0."""
    if isinstance(value, sympy.Basic):
        attempts = (sympy.expand, sympy.cancel, sympy.simplify)  # the cheapest that succeeds
        return any(attempt(value) == 0 for attempt in attempts)
    return bool(value == 0)


@dataclass(frozen=True)
class ExactIdentity(Evidence):
    """Two sides that agree as expressions, in rational or symbolic arithmetic.

    Attributes:
        sides: gives (name, left, right) for every equation.
    """

    sides: Callable[[], Sequence[tuple[str, Any, Any]]]
    kind: ClassVar[str] = "exact identity"

    def examine(self) -> Outcome:
        numbers: Numbers = {}
        for name, left, right in self.sides():
            refuse_floats(left, name)
            refuse_floats(right, name)
            if isinstance(left, Matrix):
                gaps = list(left - right)
            else:
                gaps = [left - right]
            wrong = [gap for gap in gaps if not is_zero(gap)]
            if wrong:
                return Outcome(False, numbers, f"{name}: the sides differ by {show(wrong[0])}")
            numbers[name] = "equal" if len(str(right)) > 60 else f"both {show(right)}"
        return Outcome(True, numbers)


@dataclass(frozen=True)
class Exhibit:
    """Exact objects and what is true of them.

    Attributes:
        objects: what is shown, by name.
        premises: facts that must be true.
        conclusion: what follows (`ExactExample`), or is seen to be false (`ExactCounterexample`).
    """

    objects: Mapping[str, Any]
    premises: Mapping[str, bool]
    conclusion: Mapping[str, bool]


@dataclass(frozen=True)
class _Shown(Evidence):
    exhibit: Callable[[], Exhibit]
    wanted: ClassVar[bool]

    def examine(self) -> Outcome:
        shown = self.exhibit()
        for name, value in shown.objects.items():
            refuse_floats(value, name)
        numbers = {name: show(value) for name, value in shown.objects.items()}
        for name, holds in shown.premises.items():
            if not bool(holds):
                return Outcome(False, numbers, f"the premise '{name}' is false here")
        for name, holds in shown.conclusion.items():
            if bool(holds) is not self.wanted:
                return Outcome(False, numbers, f"'{name}' is {bool(holds)} here")
        if not shown.conclusion:
            return Outcome(False, numbers, "nothing is concluded")
        return Outcome(True, numbers)


@dataclass(frozen=True)
class ExactExample(_Shown):
    """An instance in rational numbers where premises and conclusion all hold."""

    kind: ClassVar[str] = "exact example"
    wanted: ClassVar[bool] = True


@dataclass(frozen=True)
class ExactCounterexample(_Shown):
    """An instance in rational numbers where all premises hold and every conclusion is false."""

    kind: ClassVar[str] = "exact counterexample"
    wanted: ClassVar[bool] = False


@dataclass(frozen=True)
class SmtProof(Evidence):
    """A proof by z3 over the reals: premises have a model, premises and ¬conclusion have none.

    Two limits, of z3's own steps and of time; "unknown" is a failure. The questions asked here
    take less than a second, so neither decides an answer.

    Attributes:
        question: gives (premises, conclusion).
        limit: z3's resource limit.
        seconds: its limit in time, with room for a loaded machine.
    """

    question: Callable[[], tuple[Sequence[z3.BoolRef], z3.BoolRef]]
    limit: int = 20_000_000
    seconds: int = 30
    kind: ClassVar[str] = "z3 proof over ℝ"

    def examine(self) -> Outcome:
        premises, conclusion = self.question()
        possible = self._ask(*premises)
        if possible.check() != z3.sat:
            return Outcome(False, reason="the premises have no model: the claim would be empty")
        solver = self._ask(*premises, z3.Not(conclusion))
        answer = solver.check()
        if answer == z3.unsat:
            return Outcome(True, {"negation": "unsat", "premises": "sat"})
        if answer == z3.sat:
            return Outcome(False, reason=f"z3 found a model of the negation: {solver.model()}")
        return Outcome(False, reason=f"z3 gave up: {solver.reason_unknown()}", undecided=True)

    def _ask(self, *constraints: z3.BoolRef) -> z3.Solver:
        solver = z3.Tactic("qfnra-nlsat").solver()
        solver.set("rlimit", self.limit)
        solver.set("timeout", 1000 * self.seconds)
        solver.add(*constraints)
        return solver


@dataclass(frozen=True)
class Bound:
    """A number known only to lie in an interval, and where it is claimed to lie (open interval).

    Attributes:
        name: what is bounded.
        interval: a rigorous enclosure (lower, upper).
        within: the open interval that must contain it.
    """

    name: str
    interval: tuple[Any, Any]
    within: tuple[Any, Any] = (0, math.inf)


@dataclass(frozen=True)
class Enclosure(Evidence):
    """Floating point with a proved bound on its error, so that the sign or size is certain."""

    bounds: Callable[[], Sequence[Bound]]
    kind: ClassVar[str] = "rigorous enclosure"

    def examine(self) -> Outcome:
        numbers: Numbers = {}
        for bound in self.bounds():
            (lower, upper), (least, most) = bound.interval, bound.within
            numbers[bound.name] = f"in [{float(lower):.6g}, {float(upper):.6g}]"
            if not (least < lower <= upper < most):
                return Outcome(
                    False, numbers, f"{bound.name} is not shown to lie in {show((least, most))}"
                )
        return Outcome(bool(numbers), numbers, "" if numbers else "nothing is bounded")


@dataclass(frozen=True)
class PropertyTest(Evidence):
    """A margin that must not be negative, on random instances in rational arithmetic.

    Attributes:
        draw: an instance, or None where the random attempt does not meet the premises.
        margin: of one instance; ≥ 0 (or > 0, if strict) is what is claimed.
        count: instances that must pass.
        seed: of the generator handed to `draw`.
    """

    draw: Callable[[Random], Any]
    margin: Callable[[Any], Scalar]
    count: int = 200
    seed: int = 0
    strict: bool = False
    kind: ClassVar[str] = "property test, exact arithmetic"

    def examine(self) -> Outcome:
        rng = Random(self.seed)
        tried, margins = 0, list[Scalar]()
        while len(margins) < self.count:
            tried += 1
            if tried > 200 * self.count:
                return Outcome(False, reason=f"{tried} draws gave {len(margins)} instances")
            case = self.draw(rng)
            if case is None:
                continue
            margin = self.margin(case)
            refuse_floats(margin, self.label)
            if margin < 0 or (self.strict and margin == 0):
                at = show(case) if isinstance(case, Mapping) else _show_all(case)
                return Outcome(
                    False,
                    {"instances": str(len(margins) + 1), "seed": str(self.seed)},
                    f"instance {len(margins) + 1} has margin {show(margin)}: {at}",
                )
            margins.append(margin)
        return Outcome(
            True,
            {
                "instances": str(self.count),
                "seed": str(self.seed),
                "least margin": f"{float(min(margins)):.4g}",
            },
        )


def _show_all(case: Any) -> str:
    return "; ".join(map(show, case)) if isinstance(case, Sequence) else show(case)


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """The exact two-sided 95 % interval for a proportion."""
    tail = (1 - 0.95) / 2
    lower = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    upper = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return lower, upper


@dataclass(frozen=True)
class MonteCarlo(Evidence):
    """A share of random draws, whose 95 % Clopper–Pearson interval must meet what is expected.

    Attributes:
        n: draws.
        seed: of the NumPy generator.
        hits: (generator, n) -> n booleans.
        expected: gives the probability, or an interval of probabilities (a rounded table entry).
    """

    n: int
    seed: int
    hits: Callable[[np.random.Generator, int], np.ndarray]
    expected: Callable[[], float | tuple[float, float]]
    kind: ClassVar[str] = "Monte Carlo, 95 % interval"

    def examine(self) -> Outcome:
        hit = np.asarray(self.hits(np.random.default_rng(self.seed), self.n))
        if hit.shape != (self.n,) or hit.dtype != bool:
            raise ValueError(f"hits: want {self.n} booleans, got {hit.dtype} of shape {hit.shape}")
        interval = clopper_pearson(int(hit.sum()), self.n)
        expected = self.expected()
        least, most = expected if isinstance(expected, tuple) else (expected, expected)
        numbers = {
            "n": str(self.n),
            "seed": str(self.seed),
            "share": show(hit.mean()),
            "95 %": show(interval),
            "expected": show(expected),
        }
        if interval[0] <= most and least <= interval[1]:
            return Outcome(True, numbers)
        return Outcome(False, numbers, f"{show(interval)} misses the expected {show(expected)}")


@dataclass(frozen=True)
class MonteCarloMean(Evidence):
    """A mean of random draws, whose 95 % normal interval must contain what is expected."""

    n: int
    seed: int
    values: Callable[[np.random.Generator, int], np.ndarray]
    expected: Callable[[], float]
    kind: ClassVar[str] = "Monte Carlo mean, 95 % interval"

    def examine(self) -> Outcome:
        values = np.asarray(self.values(np.random.default_rng(self.seed), self.n), dtype=float)
        if values.shape != (self.n,):
            raise ValueError(f"values: want {self.n} numbers, got shape {values.shape}")
        mean, half = values.mean(), 1.96 * values.std(ddof=1) / math.sqrt(self.n)
        interval, expected = (mean - half, mean + half), self.expected()
        numbers = {
            "n": str(self.n),
            "seed": str(self.seed),
            "mean": show(mean),
            "95 %": show(interval),
            "expected": show(expected),
        }
        if interval[0] <= expected <= interval[1]:
            return Outcome(True, numbers)
        return Outcome(False, numbers, f"{show(interval)} misses the expected {show(expected)}")


@dataclass(frozen=True)
class Rate(Evidence):
    """Errors that must fall like stepᵒʳᵈᵉʳ: the order is read from each pair of steps.

    Attributes:
        errors: gives (step, error) pairs, steps falling.
        order: what is claimed.
        tolerance: how far from it any observed order may lie.
    """

    errors: Callable[[], Sequence[tuple[Scalar, Scalar]]]
    order: float
    tolerance: float
    kind: ClassVar[str] = "rate of convergence"

    def examine(self) -> Outcome:
        pairs = list(self.errors())
        orders = [
            float(math.log(float(e0 / e1)) / math.log(float(h0 / h1)))
            for (h0, e0), (h1, e1) in pairwise(pairs)
        ]
        numbers = {
            "steps": f"{show(float(pairs[0][0]))} to {show(float(pairs[-1][0]))}",
            "errors": f"{float(pairs[0][1]):.3g} to {float(pairs[-1][1]):.3g}",
            "order": ", ".join(f"{order:.3f}" for order in orders),
        }
        wrong = [order for order in orders if abs(order - self.order) > self.tolerance]
        if wrong:
            return Outcome(False, numbers, f"order {wrong[0]:.3f}, claimed {self.order:g}")
        return Outcome(bool(orders), numbers)


def certainly(value: Fraction | int, name: str) -> Bound:
    """An exact number as a degenerate enclosure, for a list that mixes both."""
    return Bound(name, (Fraction(value), Fraction(value)))
