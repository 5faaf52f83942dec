"""DARTS-: a skip beside every edge, which fades, so that skip-connect need not do its work."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AuxiliarySkip:
    """DARTS- (Chu et al. 2021, Eq. 5): an edge gives β·x + Σ_o w_o · o(x), and β falls to 0.

    The skip is the identity, or a factorised reduction where the edge halves the resolution. It
    is no candidate and does not reach the genotype.

    Args:
        start: β at the beginning (theirs: 1).
        end: β at the end, approached linearly (theirs: 0).
    """

    start: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        if not self.start >= self.end >= 0:
            raise ValueError(
                f"AuxiliarySkip(start={self.start}, end={self.end}): the skip fades. Give "
                "start ≥ end ≥ 0."
            )

    def weight(self, progress: float) -> float:
        """β, `progress` in [0, 1) of the way through the search."""
        return self.start + (self.end - self.start) * progress
