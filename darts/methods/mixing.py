"""From architectural parameters to the weights of one step: expected, relaxed or sampled."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Logits = Float[Tensor, "edges operations"]
"""α, with −∞ where an edge does not have the operation."""


@dataclass(frozen=True)
class Drawn:
    """Weights of one kind of cell; `active` says which operations are computed, None: all."""

    weights: Float[Tensor, "edges operations"]
    active: Bool[Tensor, "edges operations"] | None = None


class Mixing(ABC):
    """A map from α to weights. Randomness comes from the global generator.

    A step evaluates the supernet several times; `BilevelProblem.replaying` gives each of them the
    same random state, hence the same draw, which is a function of (seed, epoch, step).

    Attributes:
        samples: only drawn operations are computed, so that on a batch most weights of the
            supernet have no influence.
        random: the weights of a step hang on chance.
        independent: the weight of an operation is a function of its own α alone, so that the
            weights of an edge do not add up to one.
    """

    samples: ClassVar[bool] = False
    random: ClassVar[bool] = True
    independent: ClassVar[bool] = False

    @abstractmethod
    def draw(self, logits: Logits, progress: float) -> Drawn:
        """The weights of one step, `progress` in [0, 1) of the way through the search."""

    def deterministic(self, logits: Logits) -> Drawn:
        """The weights without randomness, by which a supernet is evaluated: `strengths`."""
        return Drawn(self.strengths(logits))

    def strengths(self, logits: Logits) -> Float[Tensor, "edges operations"]:
        """Of all operations, by which a genotype is chosen: the softmax over those of an edge."""
        return torch.softmax(logits, dim=-1)


@dataclass(frozen=True)
class Softmax(Mixing):
    """DARTS (Liu et al. 2019, Eq. 2): every operation by its softmax weight."""

    random: ClassVar[bool] = False

    def draw(self, logits: Logits, progress: float) -> Drawn:
        return self.deterministic(logits)


@dataclass(frozen=True)
class Sigmoid(Mixing):
    """FairDARTS (Chu et al. 2020, §4.1): every operation by the sigmoid of its own α.

    Operations do not compete: that one's α grows takes nothing from the others. All begin at
    about 1/2. `none` adds nothing whatever its weight, so that where it cannot be chosen in the
    end its weight is 0 and its α has no influence.
    """

    random: ClassVar[bool] = False
    independent: ClassVar[bool] = True

    def draw(self, logits: Logits, progress: float) -> Drawn:
        return self.deterministic(logits)

    def strengths(self, logits: Logits) -> Float[Tensor, "edges operations"]:
        return torch.sigmoid(logits)


@dataclass(frozen=True)
class GumbelSoftmax(Mixing):
    """SNAS (Xie et al. 2019, Eq. 4): softmax((α + Gumbel noise)/τ); all operations are computed.

    In the limit τ → 0 one operation is drawn, with its softmax probability.

    Args:
        start: τ at the beginning (their code: 1).
        end: τ at the end, approached linearly (their code: 0.03).
    """

    start: float = 1.0
    end: float = 0.03

    def __post_init__(self) -> None:
        _require_temperatures(self, self.start, self.end)

    def draw(self, logits: Logits, progress: float) -> Drawn:
        return Drawn(_relaxed(logits, self.start + (self.end - self.start) * progress))


@dataclass(frozen=True)
class SampledPath(Mixing):
    """GDAS (Dong & Yang 2019, Eq. 6): one operation an edge, forward; backward, the relaxed one.

    The weight of the drawn operation is 1 in value, with the gradient of its Gumbel-softmax
    probability at temperature τ. The others are not computed: time and memory are those of one
    path. A supernet of this kind is evaluated by its most probable path.

    Args:
        start: τ at the beginning (their code: 10).
        end: τ at the end, approached linearly (their code: 0.1).
    """

    start: float = 10.0
    end: float = 0.1
    samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _require_temperatures(self, self.start, self.end)

    def draw(self, logits: Logits, progress: float) -> Drawn:
        relaxed = _relaxed(logits, self.start + (self.end - self.start) * progress)
        return _straight_through(relaxed, relaxed.argmax(dim=-1))

    def deterministic(self, logits: Logits) -> Drawn:
        return _strongest(logits)


@dataclass(frozen=True)
class TwoPaths(Mixing):
    """ProxylessNAS (Cai et al. 2019, §3.2): two operations an edge are drawn, one gate is open.

    Both are drawn by softmax(α), without replacement, and their probabilities rescaled to add up
    to one; by these the gate opens for one of them. (So a strong operation is open more often than
    its softmax says, as in theirs.) α gets ∂L/∂α_i = Σ_j ∂L/∂g_j · ∂p_j/∂α_i over
    the two. The other operations are not computed, so memory is that of two paths.

    Their update then rescales the two so that the others' probabilities stay; here α moves by
    the gradient alone. Their two-step alternation with a separate single path for ω is one draw
    here: ω learns from the open gate only.
    """

    samples: ClassVar[bool] = True

    def draw(self, logits: Logits, progress: float) -> Drawn:
        ranked = (logits + gumbel(logits)).detach()
        pair = ranked.topk(min(2, logits.shape[-1]), dim=-1).indices
        active = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, pair, True)
        active &= torch.isfinite(logits)  # an edge may have a single operation
        chosen = logits.masked_fill(~active, float("-inf"))
        probabilities = torch.softmax(chosen, dim=-1)
        opened = (chosen + gumbel(logits)).argmax(dim=-1)
        return Drawn(_straight_through(probabilities, opened).weights, active)

    def deterministic(self, logits: Logits) -> Drawn:
        return _strongest(logits)


def gumbel(like: Tensor) -> Tensor:
    """Standard Gumbel noise, drawn on the CPU so that a seed means the same on every device."""
    exponential = torch.empty(like.shape, dtype=like.dtype).exponential_()
    return -exponential.log().to(like.device)


def _relaxed(logits: Logits, temperature: float) -> Tensor:
    """The Gumbel-softmax: softmax((α + noise)/τ)."""
    return torch.softmax((logits + gumbel(logits)) / temperature, dim=-1)


def _straight_through(relaxed: Tensor, index: Tensor) -> Drawn:
    """One-hot in value, `relaxed` in gradient; active where it is one."""
    hard = torch.zeros_like(relaxed).scatter(-1, index[:, None], 1.0)
    return Drawn(hard + (relaxed - relaxed.detach()), hard.bool())


def _strongest(logits: Logits) -> Drawn:
    hard = torch.zeros_like(logits).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    return Drawn(hard, hard.bool())


def _require_temperatures(mixing: Mixing, start: float, end: float) -> None:
    if not 0 < end <= start:
        raise ValueError(
            f"{type(mixing).__name__}(start={start}, end={end}): temperatures are positive and do "
            "not grow. Give 0 < end ≤ start."
        )
