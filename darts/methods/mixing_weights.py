"""The mixing weights of one evaluation of a supernet, and the numbers that methods add."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class MixingWeights:
    """Everything that a supernet reads besides images and its own weights.

    Args:
        operations: for every kind of cell, the weight of each operation on each edge.
        active: which operations are computed at all; None is all of them. What is not active
            contributes nothing, and its weight gets no gradient.
        edges: for every kind of cell, the weight of each edge, which multiplies all that the edge
            passes on; None is one each.
        auxiliary_skip: weight of the skip beside every edge (DARTS-); 0 is none.
        drop_path: probability that an image loses an operation that is no identity.
        skip_dropout: probability that a value of an identity is zeroed (P-DARTS).
        dropout: the same before the classifier.
    """

    operations: Mapping[str, Float[Tensor, "edges operations"]]
    active: Mapping[str, Bool[Tensor, "edges operations"]] | None = None
    edges: Mapping[str, Float[Tensor, " edges"]] | None = None
    auxiliary_skip: float = 0.0
    drop_path: float = 0.0
    skip_dropout: float = 0.0
    dropout: float = 0.0
