"""Every setting of a search: its default is the paper's with its section, or DARTS's."""

from dataclasses import dataclass, field

import torch

from bilevel.estimators import Amended, Estimator
from bilevel.reverse_over_forward import ReverseOverForward
from darts.config.forward_mode import require_forward_mode
from darts.config.ranges import (
    require_checkpoint_share,
    require_decay,
    require_ranges,
    require_share,
)
from darts.data import Augmentation, Images
from darts.methods import (
    AuxiliarySkip,
    Mixing,
    PartialChannels,
    Perturbation,
    Progressive,
    Softmax,
    Stop,
)
from darts.methods.combination import require_combination
from darts.spaces import S1_FIXED, Space
from darts.spaces.operations import require_shapes, search_recipe

AMENDED = Amended(eta=0.1, derivatives=ReverseOverForward())
"""The paper's estimator (§4.1.1), with its two products in the way that is faster for few."""


@dataclass(frozen=True)
class SearchConfig:
    """Search of one supernet.

    A section after a setting is where the paper's text has the default; the text leaves those of
    DARTS to DARTS (Liu et al. 2019, §3.1, and its code). `darts/config/paper_presets.py` has the
    paper's runs.

    Args:
        space: what is searched; the paper's S1 has fixed edges (§4.1.2).
        estimator: of the hypergradient; η = 0.1 (§4.1.1) belongs to the mean cross-entropy of a
            batch. How exact products are taken changes rounding, time and memory (docs/METHODS.md).
        seed: of the split, the initial ω and α, the order of images and the augmentation.
        epochs: passes over the training half (§4.1.1: 500 there, 100 later); with `progressive`,
            of all stages together.
        batch_size: images in each of the two batches of a step (§4.1.1).
        train_share: share of the training part that ω sees; α sees the rest (DARTS).
        channels: initial channels C (§4.1.1).
        cells: cells in the supernet (§4.1.3); those at 1/3 and 2/3 reduce (DARTS).
        stem_multiplier: channels of the stem, in units of C; None is the space's own, DARTS's 3.
        alpha_learning_rate: of Adam on α (§4.1.1).
        alpha_betas: decay rates of Adam's two averages (§4.1.1).
        alpha_weight_decay: of Adam on α, per step (§4.1.1).
        learning_rate: of SGD on ω at the first step (DARTS).
        learning_rate_end: the same after the last step, along half a cosine (DARTS).
        momentum: of SGD on ω (DARTS).
        weight_decay: λ in L_train + λ/2 ‖ω‖², so that H holds λI (DARTS).
        clip: largest norm of ∇_ω L_train (DARTS).
        padding: border in pixels before the random crop (DARTS).
        cutout: side in pixels of the erased square; 0 is none.
        statistics_batches: training batches from which batch norm's averages are taken
            before each evaluation.
        evaluation_images: of α's half, evenly spaced, on which the supernet is judged after each
            epoch; None takes all. With 5,000 a figure of 80 % has a standard error of 0.6 %.
        checkpoint_share: largest share of the time for writing checkpoints; 1 writes one after
            every step.
        mixing: how α becomes the weights of a step.
        partial_channels: operations see a share of the channels (PC-DARTS).
        auxiliary_skip: a fading skip beside every edge (DARTS-).
        perturbation: ω learns at perturbed mixing weights (SDARTS).
        progressive: stages that deepen the network and drop operations (P-DARTS).
        stop: a rule that ends the search early (DARTS+, RobustDARTS).
        still_epochs: epochs at the beginning, of each stage, in which α stands still.
        drop_path: probability of dropping a path in the last epoch, growing linearly from 0, as
            in retraining (a consistency of §4.1.2).
        dropout: probability of zeroing a feature before the classifier (§4.1.2).
        auxiliary_weight: of an auxiliary head's loss in L_train (§4.1.2); 0 builds no head.
    """

    space: Space = S1_FIXED
    estimator: Estimator = AMENDED
    seed: int = 0
    epochs: int = 100
    batch_size: int = 96
    train_share: float = 0.5
    channels: int = 16
    cells: int = 8
    stem_multiplier: int | None = None
    alpha_learning_rate: float = 3e-4
    alpha_betas: tuple[float, float] = (0.5, 0.999)
    alpha_weight_decay: float = 1e-3
    learning_rate: float = 0.025
    learning_rate_end: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    padding: int = 4
    cutout: int = 0
    statistics_batches: int = 20
    evaluation_images: int | None = 5000
    checkpoint_share: float = 0.02
    mixing: Mixing = field(default_factory=Softmax)
    partial_channels: PartialChannels | None = None
    auxiliary_skip: AuxiliarySkip | None = None
    perturbation: Perturbation | None = None
    progressive: Progressive | None = None
    stop: Stop | None = None
    still_epochs: int = 0
    drop_path: float = 0.0
    dropout: float = 0.0
    auxiliary_weight: float = 0.0

    def __post_init__(self) -> None:
        require_ranges(
            self,
            at_least_one="epochs batch_size channels cells statistics_batches",
            positive="alpha_learning_rate learning_rate clip",
            not_negative=(
                "alpha_weight_decay learning_rate_end weight_decay padding cutout seed "
                "still_epochs auxiliary_weight"
            ),
        )
        for entry in ("stem_multiplier", "evaluation_images"):
            if getattr(self, entry) is not None:
                require_ranges(self, at_least_one=entry, positive="", not_negative="")
        require_decay(self, "drop_path", self.drop_path)
        require_decay(self, "dropout", self.dropout)
        stages = 1 if self.progressive is None else self.progressive.stages
        if self.epochs % stages:
            raise ValueError(
                f"SearchConfig(epochs={self.epochs}) for {stages} stages of equal length: give a "
                f"multiple of {stages}."
            )
        require_combination(
            self.space,
            cells=self.cells,
            channels=self.channels,
            weight_decay=self.weight_decay,
            mixing=self.mixing,
            partial_channels=self.partial_channels,
            perturbation=self.perturbation,
            progressive=self.progressive,
            stop=self.stop,
        )
        share = 1 if self.partial_channels is None else self.partial_channels.share
        halving = any(place.reduction for place in self.space.arrangement.places(self.cells))
        require_shapes(
            self.space.operations,
            self.channels // share,
            (1, 2) if halving else (1,),
            search_recipe(pools=not self.space.arrangement.bare),
        )
        require_forward_mode(self.space, self.estimator, self.channels // share)
        require_share(self, "train_share", self.train_share)
        require_decay(self, "momentum", self.momentum)
        require_checkpoint_share(self)
        for beta in self.alpha_betas:
            require_decay(self, "alpha_betas", beta)

    def augmentation(self, mirror: bool) -> Augmentation:
        return Augmentation(padding=self.padding, mirror=mirror, cutout=self.cutout)

    def judged(self, val: Images) -> Images:
        """The images of α's half on which the supernet is judged after each epoch."""
        most = self.evaluation_images
        if most is None or most >= len(val):
            return val
        return val.take(torch.arange(most) * len(val) // most)
