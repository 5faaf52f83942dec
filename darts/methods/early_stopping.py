"""When a search ends before its epochs do: too many skip-connects, or too sharp a minimum."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from darts.spaces.genotype import Genotype
from darts.spaces.space import SKIP, Space


@dataclass(frozen=True)
class Epoch:
    """An epoch as a stopping rule sees it: its genotype, and λ_max(∇²_αα L_val) if needed."""

    genotype: Genotype
    eigenvalue: float | None = None


@dataclass(frozen=True)
class Stopped:
    """The search ends, and its result is the genotype of epoch `keep`, for this reason."""

    keep: int
    reason: str


class Stop(ABC):
    """A rule on the epochs so far.

    Attributes:
        needs_eigenvalue: the largest eigenvalue of ∇²_αα L_val is wanted after each epoch.
    """

    needs_eigenvalue: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, epochs: Sequence[Epoch]) -> Stopped | None:
        """Whether to stop after the last of `epochs`, all those since the first."""

    def require(self, space: Space) -> None:
        """Raise ValueError if the rule means nothing in `space`."""
        return


@dataclass(frozen=True)
class SkipLimit(Stop):
    """DARTS+ (Liang et al. 2019, §3.2, Criterion 1): two or more skip-connects in a normal cell.

    The result is the genotype of the epoch before, which had fewer; that of the first epoch, if
    already it has so many. In a space without sharing every cell but the reductions counts, and
    the fullest decides.

    Args:
        skips: so many are too many.
    """

    skips: int = 2

    def __post_init__(self) -> None:
        if self.skips < 1:
            raise ValueError(f"SkipLimit(skips={self.skips}): give 1 or more.")

    def __call__(self, epochs: Sequence[Epoch]) -> Stopped | None:
        counts = {
            cell.kind: sum(operation == SKIP for operation, _ in cell.edges)
            for cell in epochs[-1].genotype.cells
            if cell.kind != "reduce"
        }
        kind = max(counts, key=lambda name: counts[name])
        if counts[kind] < self.skips:
            return None
        return Stopped(
            max(0, len(epochs) - 2),
            f"the {kind} cell has {counts[kind]} skip-connects; {self.skips} are the limit",
        )

    def require(self, space: Space) -> None:
        if SKIP not in space.operations:
            raise ValueError(
                f"SkipLimit(skips={self.skips}) in space {space.name!r}, which has no {SKIP}: it "
                "would never stop. Leave the rule out."
            )


@dataclass(frozen=True)
class EigenvalueGrowth(Stop):
    """RobustDARTS, DARTS-ES (Zela et al. 2020, §4.3): λ_max(∇²_αα L_val) grows too fast.

    With λ̄(i) the mean over the `window` epochs up to i, the search stops when
    λ̄(i − window)/λ̄(i) < `ratio`, and its result is the genotype of epoch i − window. It costs a
    few dozen Hessian products of one validation batch after each epoch.

    Args:
        window: k, epochs averaged and looked back (theirs: 5).
        ratio: theirs is 0.75.
    """

    window: int = 5
    ratio: float = 0.75
    needs_eigenvalue: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.window < 1 or not 0 < self.ratio < 1:
            raise ValueError(
                f"EigenvalueGrowth(window={self.window}, ratio={self.ratio}): the window is 1 or "
                "more epochs, and the ratio of earlier to later eigenvalue between 0 and 1."
            )

    def __call__(self, epochs: Sequence[Epoch]) -> Stopped | None:
        k = self.window
        last = len(epochs) - 1
        if last + 1 < 2 * k:  # two whole windows
            return None
        values = [epoch.eigenvalue for epoch in epochs]
        assert all(value is not None for value in values)  # needs_eigenvalue
        now = sum(values[last - k + 1 :]) / k  # type: ignore[arg-type]
        before = sum(values[last - 2 * k + 1 : last - k + 1]) / k  # type: ignore[arg-type]
        if not (now > 0 and before / now < self.ratio):
            return None
        return Stopped(
            last - k,
            f"the largest eigenvalue of ∇²_αα L_val rose from {before:.3g} to {now:.3g} (means of "
            f"{k} epochs), by more than 1/{self.ratio:g}",
        )
