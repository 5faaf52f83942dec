"""The base of ready problems: a bilevel problem together with a point of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bilevel.problem import BilevelProblem
from bilevel.problems.inner_solution import solve_inner
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class ReadyProblem:
    """Two losses and a point to begin at: call `estimator(*ready.point)`.

    Attributes:
        problem: L_train and L_val.
        params: ω.
        hyperparams: α.
    """

    problem: BilevelProblem
    params: Tree
    hyperparams: Tree

    @property
    def point(self) -> tuple[BilevelProblem, Tree, Tree]:
        """(problem, ω, α): what estimators, `compare` and `recommend` take."""
        return self.problem, self.params, self.hyperparams

    @property
    def sizes(self) -> tuple[int, int]:
        """(n, m): the numbers of inner and of outer parameters."""
        return Vector.of(self.params).numel, Vector.of(self.hyperparams).numel

    def at_inner_solution(self, *, tolerance: float = 1e-12) -> ReadyProblem:
        """The same problem at ω = ω*(α), where hypergradients are defined; see `solve_inner`."""
        solution = solve_inner(*self.point, tolerance=tolerance)
        return replace(self, params=solution.params)
