"""A control: the amended term on two batches of its own, which are independent of the step's."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.experiments.around import Around
from benchmarks.experiments.searched import SearchedByOwnSteps
from bilevel import BilevelProblem, Vector
from bilevel.estimators import Hypergradient
from darts.data import Batch
from darts.training.searching import Searching


@dataclass(frozen=True)
class OnTwoPairs(BilevelProblem):
    """The losses on the batches of a step, and the same losses on another pair of batches.

    Attributes:
        others: those on the other pair.
    """

    others: BilevelProblem


@dataclass(frozen=True)
class OnOtherBatches(Around):
    """g₁ on the batches of the step, and the inner estimator's term on the other pair.

    The term keeps its mean over batches and its size. What it loses is any dependence on the
    batches that g₁ and the step of ω see. Costs the inner estimator and a gradient of L_val in α.

    Args:
        inner: whose term is taken on the other pair.

    Raises:
        TypeError: the problem has one pair of batches.
    """

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        if not isinstance(problem, OnTwoPairs):
            raise TypeError(
                f"OnOtherBatches on a {type(problem).__name__}: it needs a second pair of batches. "
                "Search with SearchedApart, which gives OnTwoPairs."
            )
        outer_loss, direct = problem.outer_gradient_alpha(omega, alpha)
        found = self.inner(problem.others, omega.tree(), alpha.tree())
        return Hypergradient(direct.tree(), found.implicit, outer_loss)


class SearchingApart(Searching):
    """A search whose steps have a second pair of batches: of the same step, one search later.

    Batches are a function of seed, epoch and step, and every epoch has a permutation of its own.
    So the pair is independent of all that the search has seen, and a resumed search has it again.
    """

    def problem_on(self, epoch: int, step: int, train: Batch, val: Batch) -> BilevelProblem:
        own = super().problem_on(epoch, step, train, val)
        later = self.batches.at(epoch + self.config.epochs, step)
        return OnTwoPairs(own.inner, own.outer, super().problem_on(epoch, step, *later))


class SearchedApart(SearchedByOwnSteps):
    """A search as in the setting, whose steps have a second pair of batches."""

    searching = SearchingApart
    why_not_captured = (
        "a replayed step would have the second pair of batches of the step that was captured"
    )
