"""`bilevel.check`: do the losses and their derivatives meet the assumptions of estimators?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bilevel.derivatives import Autograd, Curvature, Derivatives
from bilevel.diagnostics.agreement import (
    STEPS,
    Agreement,
    Compared,
    Direction,
    compared,
    gaussian,
)
from bilevel.diagnostics.check_report import CheckReport, Cost, Finding
from bilevel.diagnostics.closures import read_past_arguments
from bilevel.diagnostics.connections import connections
from bilevel.diagnostics.culprit import culprits
from bilevel.diagnostics.in_double import doubled, faithful_in_double
from bilevel.diagnostics.inner_alpha_gradient import InnerAlphaGradient
from bilevel.diagnostics.leaves import unusable_leaves
from bilevel.diagnostics.outer_gradients import outer_gradients
from bilevel.diagnostics.padding import Rows, padding_that_counts
from bilevel.diagnostics.steadiness import unsteady
from bilevel.diagnostics.symmetry import asymmetries
from bilevel.diagnostics.undecided import too_coarse, undecided
from bilevel.losses import Loss, like
from bilevel.problem import BilevelProblem
from bilevel.unsupported import UnsupportedDerivativeError
from bilevel.vector import Tree, Vector

MANY = 16
"""How often a loss is evaluated that looks smooth at no step: it may be another one now and then.
A coin that falls one way nine times out of ten falls so sixteen times with probability 0.19."""


@torch.inference_mode(False)
def check(
    problem: BilevelProblem,
    params: Tree,
    hyperparams: Tree,
    *,
    derivatives: Derivatives | None = None,
    seed: int = 0,
) -> CheckReport:
    """Look for faults that would make hypergradients of this problem wrong, and name them.

    Looks at (ω, α), and in float64 where the losses can be evaluated so, whether: ω and α have
    usable leaves; both losses are finite numbers that depend on them, and on no other trainable
    tensor; two evaluations give equal bits; both losses' gradients are the derivatives of their
    values; Hv and Bv along a random v agree with differences of gradients; ⟨u, Hv⟩ = ⟨v, Hu⟩ and
    ⟨Bᵀy, v⟩ = ⟨y, Bv⟩. Where a product is wrong, the operations of L_train are tried one by one.

    Kinks (ReLU, max pooling) are no faults: differences are taken at smaller steps there. A
    product counts as wrong only where its error is ten times the disagreement of two steps, at
    every step and again at another point.

    Cost: about thirty gradients, printed with the report; more where something is wrong. What is
    right at this point along random directions is not proved for others.

    Args:
        params: ω, any point that training visits.
        hyperparams: α.
        derivatives: the ones to check; `Autograd()` by default.
        seed: seed of the random directions.

    Returns:
        The report. Faults of the problem raise nothing: see `report.ok` and
        `report.raise_if_wrong()`.
    """
    return _Check(problem, derivatives or Autograd(), seed).run(params, hyperparams)


@dataclass(frozen=True)
class _Point:
    """A problem and where it is looked at, in the precision of the point."""

    problem: BilevelProblem
    omega: Vector
    alpha: Vector

    @property
    def double(self) -> bool:
        return self.omega.dtype == torch.float64


class _Check:
    """One check: what has been spent and found."""

    def __init__(self, problem: BilevelProblem, taken: Derivatives, seed: int) -> None:
        self.problem = BilevelProblem(self._counted(problem.inner), self._counted(problem.outer))
        self.taken, self.seed = taken, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.gradients = self.values = self.products = 0
        self.findings: list[Finding] = []
        self.precision = "not taken"
        self.padding: Rows = ()
        self.coarsest = torch.float64

    def run(self, params: Tree, hyperparams: Tree) -> CheckReport:
        found, given = unusable_leaves(params, hyperparams)
        self.findings += found
        if not any(finding.wrong for finding in self.findings):
            try:
                self._look(given)
            except Exception as error:  # whatever it is, it is the losses' own
                self._add("the losses", _said(error))
        cost = Cost(self.gradients, self.values, self.products)
        return CheckReport(tuple(self.findings), self.taken, self.precision, cost)

    def _look(self, given: dict[str, Vector]) -> None:
        """Everything, at copies: a loss that writes to what it gets writes to those."""
        omega, alpha = (
            Vector(tuple(leaf.detach().clone() for leaf in point.leaves), point.treespec)
            for point in given.values()
        )
        point = _Point(self.problem, omega, alpha)
        if self._evaluate(point, given) and self._unwritten(point, given):
            steady = self._steady(point)
            if steady is not None:
                self._closures(steady, given)
                self._derivatives(steady)

    def _closures(self, point: _Point, given: dict[str, Vector]) -> None:
        told = {finding.where for finding in self.findings}
        before = self.gradients
        found = read_past_arguments(point.problem, point.omega, point.alpha, **given)
        self.findings += [finding for finding in found if finding.where not in told]
        self.values += self.gradients - before  # no gradients were taken
        self.gradients = before

    def _unwritten(self, point: _Point, given: dict[str, Vector]) -> bool:
        """Whether the copies are still what was given, after evaluations."""
        for (symbol, original), copy in zip(given.items(), (point.omega, point.alpha), strict=True):
            for leaf, own, name in zip(copy.leaves, original.leaves, original.names(), strict=True):
                if not torch.equal(leaf, own):
                    self._add(
                        f"{symbol}{name}",
                        "a loss writes to it in place (clamp_, copy_, an embedding with max_norm, "
                        "...), so that it moves while it is differentiated. Compute a new tensor "
                        "from it instead.",
                    )
                    return False
        return True

    def _counted(self, loss: Loss) -> Loss:
        @like(loss)
        def evaluate(omega: Tree, *others: Any) -> Tensor:
            self.gradients += 1
            return loss(omega, *others)

        return evaluate

    def _add(self, where: str, text: str, *, wrong: bool = True) -> None:
        self.findings.append(Finding(where, text, wrong))

    # -- values and first derivatives

    def _evaluate(self, point: _Point, given: dict[str, Vector]) -> bool:
        """Whether anything can be differentiated; what the losses depend on."""
        found, self.padding, self.coarsest = connections(
            point.problem, point.omega, point.alpha, **given
        )
        self.findings += found
        hopeless = ("L_train", *(f"ω{path}" for path in point.omega.names()))
        return not any(finding.wrong and finding.where in hopeless for finding in self.findings)

    def _steady(self, point: _Point) -> _Point | None:
        """The point, with randomness replayed if need be, if two evaluations of each loss agree."""
        found, replayable = unsteady(point.problem, point.omega, point.alpha)
        self.findings += found
        if found and replayable:
            point = _Point(point.problem.replaying(self.seed), point.omega, point.alpha)
            found, _ = unsteady(point.problem, point.omega, point.alpha)
            self.findings += found
        return None if found else point

    # -- second derivatives

    def _derivatives(self, own: _Point) -> None:
        wide = faithful_in_double(own.problem, own.omega, own.alpha, self.coarsest)
        point = own if wide is None else _Point(*wide)
        direction = Direction.random(point.omega, point.alpha, self.generator, self.padding)
        if wide is None and self.coarsest != own.omega.dtype:
            self._uncompared(own, direction)
            return
        outer = outer_gradients(point.problem, point.omega, point.alpha, direction, self.generator)
        rows = padding_that_counts(
            point.problem, point.omega, point.alpha, direction, self.generator
        )
        for looked in (outer, rows):
            self.findings += looked.findings
            self.gradients -= looked.values
            self.values += looked.values
        _, gradient, in_alpha = point.problem.inner_gradients(point.omega, point.alpha)
        self._look_at_alpha(point, in_alpha, direction)
        with self._products_taken(point):
            curvature = self._taken_at(point)
            found = self._compared(point, curvature, gradient, direction)
            if self._not_finite(found):
                return
            if found.hessian.wrong or found.mixed.wrong or found.gradient.wrong:
                point, found = self._elsewhere(point, found)
                curvature = self._taken_at(point)
            self._say_of_differences(point, curvature, found)
            if curvature.exact and not (found.hessian.wrong or found.mixed.wrong):
                self.products += 4
                self.findings += asymmetries(curvature, direction, self.generator)
                if wide is not None:
                    self._own_precision(own, point, direction)

    def _uncompared(self, point: _Point, direction: Direction) -> None:
        """Where parts of the losses round too much, products are taken and not compared."""
        self.precision = "not compared"
        self.findings.append(too_coarse(self.coarsest, point.omega.dtype))
        with self._products_taken(point):
            curvature = self._taken_at(point)
            self.products += 2
            for operator in (curvature.hessian, curvature.mixed):
                operator @ direction.v

    @contextmanager
    def _products_taken(self, point: _Point) -> Iterator[None]:
        """Errors in this block are findings."""
        try:
            yield
        except UnsupportedDerivativeError as error:
            self._add("L_train", str(error))
        except (RuntimeError, ValueError) as error:
            self._add("L_train", f"{self._how()} cannot take a product: {_said(error)}")
            self._blame(point)

    def _how(self) -> str:
        return f"{type(self.taken).__name__}()"

    def _taken_at(self, point: _Point) -> Curvature:
        return self.taken(point.problem, point.omega, point.alpha)

    def _look_at_alpha(self, point: _Point, gradient: Vector, direction: Direction) -> None:
        if not point.double:
            return
        beside = InnerAlphaGradient(point.problem, direction.sizes_alpha, self.generator)
        self.findings += beside.look(point.omega, point.alpha, gradient)
        self.gradients -= beside.values
        self.values += beside.values

    def _compared(
        self, point: _Point, curvature: Curvature, gradient: Vector, direction: Direction
    ) -> Compared:
        self.products += 2
        steps = STEPS if point.double else (1e-2, 1e-3)
        return compared(
            point.problem, point.omega, point.alpha, curvature, gradient, direction, steps
        )

    def _elsewhere(self, point: _Point, found: Compared) -> tuple[_Point, Compared]:
        """Look again a little way off, along another direction: a fault is there too."""
        step = gaussian(point.omega, self.generator, _small(point.omega))
        near = _Point(point.problem, point.omega + step, point.alpha)
        direction = Direction.random(near.omega, near.alpha, self.generator, self.padding)
        _, gradient, _ = near.problem.inner_gradients(near.omega, near.alpha)
        again = self._compared(near, self._taken_at(near), gradient, direction)

        def both(first: Agreement, second: Agreement) -> Agreement:
            return second if first.wrong else first

        return near, Compared(
            both(found.hessian, again.hessian),
            both(found.mixed, again.mixed),
            both(found.gradient, again.gradient),
        )

    def _not_finite(self, found: Compared) -> bool:
        bad = [
            name
            for name, agreement in (("H", found.hessian), ("B", found.mixed))
            if not math.isfinite(agreement.error)
        ]
        for name in bad:
            self._add(
                "L_train",
                f"products with {name} by {self._how()} are NaN or infinite at this point, though "
                "the gradient is not. A square root, norm, power or logarithm has no finite second "
                "derivative here: add a small number inside it, or begin elsewhere.",
            )
        return bool(bad)

    def _say_of_differences(self, point: _Point, curvature: Curvature, found: Compared) -> None:
        self.precision = (
            f"relative to differences of gradients Hv is off by {found.hessian.relative:.1g} and "
            f"Bv by {found.mixed.relative:.1g}"
        )
        if found.gradient.wrong:
            self._add(
                "L_train",
                "∇_ω L_train is not the derivative of its values: they differ by "
                f"{found.gradient.relative:.2g} of ‖∇_ω L_train‖ along a random direction. Look "
                "for detach(), no_grad(), .data or .item() on the way from ω to the loss, for a "
                "straight-through estimator, a derivative by forward mode inside the loss (jvp, "
                "jacfwd, torch.func.hessian), a gradient reversal and a custom backward.",
            )
            return
        for name, agreement, names in (
            ("H", found.hessian, point.omega.names()),
            ("B", found.mixed, point.alpha.names()),
        ):
            if not agreement.wrong:
                if not agreement.decided:
                    if again := unsteady(point.problem, point.omega, point.alpha, times=MANY)[0]:
                        self.findings += again
                        return
                    self.findings.append(undecided(name, double=point.double))
                continue
            off = f"products with {name} by {self._how()} are off by {agreement.relative:.2g}"
            if not curvature.exact:
                self._add(
                    "L_train", f"{off}, relative, at this step.", wrong=agreement.relative > 0.5
                )
            elif not point.double:
                self._add(
                    "L_train",
                    f"{off} of differences in {point.omega.dtype}, in which kinks and rounding "
                    "cannot be told from errors. Pass a problem in float64 to know.",
                    wrong=False,
                )
            else:
                most = agreement.worst(names)
                self._add("L_train", f"{off}, relative, most in leaf {most}. {self._blamed(point)}")

    def _blamed(self, point: _Point) -> str:
        found = culprits(point.problem, point.omega, point.alpha, self.taken, self.seed)
        way = "Autograd()" if not isinstance(self.taken, Autograd) else "CentralDifference()"
        mend = f"Spell it out by elementary operations, or take {way} and check again."
        if not found:
            return f"No operation is wrong alone, so it is how they are combined. {mend}"
        return f"At fault: {', '.join(found)}. {mend}"

    def _blame(self, point: _Point) -> None:
        found = culprits(point.problem, point.omega, point.alpha, self.taken, self.seed)
        if found:
            self._add(", ".join(found), f"{self._how()} cannot differentiate it, tried alone.")

    def _own_precision(self, own: _Point, wide: _Point, direction: Direction) -> None:
        """The product in the caller's precision beside that in float64."""
        v = direction.v
        narrow = Vector(tuple(leaf.to(own.omega.dtype) for leaf in v.leaves), v.treespec)
        self.products += 2
        found = doubled(self._taken_at(own).hessian @ narrow)
        right = self.taken(wide.problem, doubled(own.omega), wide.alpha).hessian @ v
        size = float(right.norm())
        error = float((found - right).norm()) / size if size > 0 else 0.0
        if error > 1e-2:
            self._add(
                "L_train",
                f"in {self.coarsest} a product with H is off by {error:.2g}, relative to float64. "
                "Take float64, or scale the problem.",
                wrong=error > 0.1,
            )


def _small(at: Vector) -> tuple[float, ...]:
    whole = float(at.norm()) / at.numel**0.5
    return tuple(1e-3 * (whole or 1.0) for _ in at.leaves)


def _said(error: BaseException) -> str:
    """An error's first line."""
    first = str(error).partition("\n")[0]
    ours = isinstance(error, (ValueError, TypeError, UnsupportedDerivativeError))
    return first if ours else f"{type(error).__name__}: {first}"
