"""A control: first order's steps, divided by the second moment that Adam takes of amended's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from benchmarks.experiments.around import Around
from benchmarks.experiments.searched import SearchedByOwnSteps
from bilevel import BilevelProblem, Vector
from bilevel.estimators import Hypergradient
from darts.spaces import Space
from darts.training.searching import Searching
from darts.training.step_terms import StepTerms


class TwoMoments(Adam):
    """Adam whose first moment is of one gradient, and whose second is of another.

    Weight decay is added to both. With one gradient for both, its step is Adam's, to rounding.
    """

    @torch.no_grad()
    def move(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> None:
        """One step of the parameters, in place.

        Args:
            first: gradients for the first moment, in the parameters' order and shapes.
            second: gradients for the second.
        """
        (group,) = self.param_groups
        beta, beta_of_squares = group["betas"]
        for weight, one, other in zip(group["params"], first, second, strict=True):
            state = self.state[weight]
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in "mv")
            decay = group["weight_decay"] * weight
            state["step"] += 1
            state["exp_avg"].lerp_(one + decay, 1 - beta)
            state["exp_avg_sq"].lerp_((other + decay).square(), 1 - beta_of_squares)
            steps = float(state["step"])
            mean = state["exp_avg"] / (1 - beta**steps)
            squares = state["exp_avg_sq"] / (1 - beta_of_squares**steps)
            weight -= group["lr"] * mean / (squares.sqrt() + group["eps"])


@dataclass(frozen=True)
class InSecondMoment(Around):
    """The inner estimator, for a search that takes only its second moment.

    `SearchedOnTwoMoments` moves α by it: Adam's first moment is of g₁, its second of g₁ and the
    inner estimator's term. With any other optimiser it is the inner estimator.

    Args:
        inner: whose total Adam squares.
    """

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        return self.inner(problem, omega.tree(), alpha.tree())


class SearchingOnTwoMoments(Searching):
    """A search whose α moves by `TwoMoments`: of g₁, and of the whole estimate."""

    def _begin_stage(self, stage: int, space: Space) -> None:
        super()._begin_stage(stage, space)
        config = self.config
        self.outer: TwoMoments = TwoMoments(
            self.alpha.values(),
            lr=config.alpha_learning_rate,
            betas=config.alpha_betas,
            weight_decay=config.alpha_weight_decay,
        )

    def _update(self, problem: BilevelProblem, frozen: bool) -> StepTerms:
        if frozen:
            return super()._update(problem, frozen)
        config = self.config
        estimator = config.estimator.following(self.inner, self.omega, clip=config.clip)
        found = estimator(problem, self.omega, self.alpha)
        direct, total = Vector.of(found.direct), Vector.of(found.total)
        self.outer.move(direct.leaves, total.leaves)
        term = Vector.of(found.implicit)
        return StepTerms(found.outer_loss, *self._inner_step(problem), direct, term)


class SearchedOnTwoMoments(SearchedByOwnSteps):
    """A search as in the setting, whose α moves by `TwoMoments`."""

    searching = SearchingOnTwoMoments
    why_not_captured = "its steps of α cannot be captured"
