"""An architecture of which a part is decided, or taken away for a trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from darts.methods.mixing_weights import MixingWeights
from darts.methods.removal import Masks
from darts.networks.architecture import Architecture


@dataclass(frozen=True)
class DecidedArchitecture(Architecture):
    """The mixing weights without chance, through masks; operations of weight 0 are not computed.

    Args:
        masks: what is decided and what is taken away.
    """

    masks: Masks = field(default_factory=lambda: Masks({}, {}))

    def draw(self, alpha: Mapping[str, Tensor], progress: float) -> MixingWeights:
        """As `deterministic`: a draw would hide what an operation is worth."""
        return self.deterministic(alpha)

    def deterministic(self, alpha: Mapping[str, Tensor]) -> MixingWeights:
        """The mixing's weights without randomness, through the masks."""
        mixing = super().deterministic(alpha)
        return replace(
            mixing,
            operations={
                kind: self.masks.weights(kind, row) for kind, row in mixing.operations.items()
            },
            active={kind: self.masks.active(kind) for kind in mixing.operations},
        )
