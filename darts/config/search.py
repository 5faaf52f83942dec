"""Every setting of a search: its default is the paper's with its section, or DARTS's."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch

from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended, Estimator
from darts.config.declared import (
    Batch,
    Cells,
    CheckpointShare,
    Count,
    Decay,
    NotNegative,
    Pixels,
    Positive,
    Share,
    Whole,
    at_most,
    require_declared,
)
from darts.config.forward_mode import require_forward_mode
from darts.config.spelling import SHORT, Seed
from darts.data import Augmentation, Images, ImageSet, SearchData
from darts.methods import (
    AlphaPenalty,
    AuxiliarySkip,
    Mixing,
    PartialChannels,
    Perturbation,
    Progressive,
    Removal,
    Softmax,
    Stop,
    Target,
)
from darts.methods.combination import require_combination
from darts.networks.stem_and_head import SMALL_IMAGES, StemAndHead
from darts.networks.width import MOST
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
        space: search space: s1 (DARTS's 14 edges), s1-fixed (the paper's S1, §4.1.2), s2
            (s2:cells=N for N cells), robust-s1 to robust-s4, nasbench201, s1-fixed-adjacent or
            s2-adjacent (docs/METHODS.md), or one that a script has registered. It needs fitting
            --search.cells: 20 in s2, 15 in nasbench201.
        estimator: estimator of the hypergradient: exact, first-order, identity:eta=0.1,
            darts-second-order[:xi=0.025], amended[:eta=0.1], neumann, landweber,
            conjugate-gradient, minres, nystrom:rank=10,damping=0.1, unrolled:steps=2,lr=0.025,
            penalty:strength=1,steps=2,lr=0.025, certified[:cosine=0.99]. η = 0.1 (§4.1.1) belongs
            to the mean cross-entropy of a batch. All but the first-order and penalty ones take
            derivatives=reverse-over-forward, autograd, central-difference, or
            difference_step=0.01, which changes rounding, time and memory (docs/METHODS.md).
        seed: seed of the split, the initial ω and α, the order of images and the augmentation.
        epochs: number of passes over ω's half of the training set (§4.1.1: 500 there, 100 later);
            with `progressive`, of all stages together.
        batch_size: number of images in each of the two batches of a step, 2 or more (§4.1.1).
        train_share: share of the training set that ω sees; α sees the rest (DARTS).
        channels: number of initial channels C (§4.1.1).
        cells: number of cells in the supernet (§4.1.3); those at 1/3 and 2/3 reduce (DARTS).
        stem: first layers: small-images, one convolution (DARTS), or imagenet, three of stride 2,
            after which cells start at 1/4 and 1/8 of the resolution (PC-DARTS).
        stem_multiplier: channels of the stem in units of C; None is the space's own, DARTS's 3, and
            1 with the stem imagenet.
        alpha_learning_rate: learning rate of Adam on α (§4.1.1).
        alpha_betas: decay rates of Adam's two averages (§4.1.1).
        alpha_weight_decay: weight decay of Adam on α, per step (§4.1.1).
        learning_rate: learning rate of SGD on ω at the first step (DARTS).
        learning_rate_end: learning rate after the last step, along half a cosine (DARTS).
        momentum: momentum of SGD on ω (DARTS).
        weight_decay: λ in L_train + λ/2 ‖ω‖², so that H holds λI (DARTS).
        clip: largest norm of ∇_ω L_train; a longer one is shortened to it (DARTS).
        padding: black border in pixels before the random crop (DARTS).
        cutout: side in pixels of the erased square; 0 is none.
        statistics_batches: number of training batches that batch norm's averages are taken from
            before each evaluation.
        evaluation_images: number of images of α's half, evenly spaced, that the supernet is
            evaluated on after each epoch; None takes all. With 5,000 an accuracy of 80 % has a
            standard error of 0.6 %.
        checkpoint_share: largest share of the time for writing checkpoints; 1 writes one after
            every step.
        mixing: rule by which α becomes the mixing weights of a step.
        partial_channels: share of the channels that operations see (PC-DARTS).
        auxiliary_skip: fading skip beside every edge (DARTS-).
        perturbation: perturbation of the mixing weights at which ω learns (SDARTS).
        progressive: stages that deepen the network and drop operations (P-DARTS).
        stop: rule that ends the search early (DARTS+, RobustDARTS).
        frozen_epochs: number of epochs at the beginning of each stage in which α is frozen.
        drop_path: probability of dropping a path in the last epoch, growing linearly from 0, as
            in retraining (a consistency of §4.1.2).
        dropout: probability of zeroing a feature before the classifier (§4.1.2).
        auxiliary_weight: weight of an auxiliary head's loss in L_train (§4.1.2); 0 builds no head.
        target: limit or price of the found network's cost, a term of L_val (docs/TARGETS.md).
        alpha_penalty: penalty on α, a term of L_val (β-DARTS, FairDARTS).
        selection: rule that chooses the operations after the search (DARTS-PT); None chooses them
            by the mixing weights.
    """

    space: Annotated[Space, SHORT] = S1_FIXED
    estimator: Annotated[Estimator, SHORT] = AMENDED
    seed: Seed = 0
    epochs: Count = 100
    batch_size: Batch = 96
    train_share: Share = 0.5
    channels: Annotated[Count, at_most(MOST)] = 16
    cells: Cells = 8
    stem: StemAndHead = SMALL_IMAGES
    stem_multiplier: Count | None = None
    alpha_learning_rate: Positive = 3e-4
    alpha_betas: tuple[Decay, Decay] = (0.5, 0.999)
    alpha_weight_decay: NotNegative = 1e-3
    learning_rate: Positive = 0.025
    learning_rate_end: NotNegative = 0.001
    momentum: Decay = 0.9
    weight_decay: NotNegative = 3e-4
    clip: Positive = 5.0
    padding: Pixels = 4
    cutout: Pixels = 0
    statistics_batches: Count = 20
    evaluation_images: Count | None = 5000
    checkpoint_share: CheckpointShare = 0.02
    mixing: Mixing = field(default_factory=Softmax)
    partial_channels: PartialChannels | None = None
    auxiliary_skip: AuxiliarySkip | None = None
    perturbation: Perturbation | None = None
    progressive: Progressive | None = None
    stop: Stop | None = None
    frozen_epochs: Whole = 0
    drop_path: Decay = 0.0
    dropout: Decay = 0.0
    auxiliary_weight: NotNegative = 0.0
    target: Target | None = None
    alpha_penalty: AlphaPenalty | None = None
    selection: Removal | None = None

    later: ClassVar[tuple[str, ...]] = ("target", "stem", "alpha_penalty", "selection")
    """Settings that configs of older versions lack: their defaults are what those did."""

    def __post_init__(self) -> None:
        require_declared(type(self), vars(self))
        macro = self.space.macro_architecture
        if self.stem.even and (macro.inputs != 2 or self.channels % 2):
            raise ValueError(
                f"--search.stem imagenet with C = {self.channels} in space {self.space.name!r}, "
                f"whose cells read {macro.inputs}: it has two outputs, for cells "
                "that read two, and halves its channels, so that C must be even. Change one, or "
                "take the stem small-images."
            )
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
            target=self.target,
            alpha_penalty=self.alpha_penalty,
            selection=self.selection,
        )
        share = 1 if self.partial_channels is None else self.partial_channels.share
        halving = any(place.reduction for place in macro.places(self.cells))
        require_shapes(
            self.space.operations,
            self.channels // share,
            (1, 2) if halving else (1,),
            search_recipe(pools=not macro.bare),
        )
        require_forward_mode(self.space, self.estimator, self.channels // share)

    def halves(self, images: ImageSet) -> SearchData:
        """The training images in two parts, the first for ω and the second for α."""
        return SearchData.of(images, self.train_share, self.seed)

    def augmentation(self, mirror: bool, crop: bool = True) -> Augmentation:
        """The augmentation of training batches, as far as the data allow it."""
        padding = self.padding if crop else 0
        return Augmentation(padding=padding, mirror=mirror, cutout=self.cutout)

    def evaluated(self, val: Images) -> Images:
        """The images of α's half on which the supernet is evaluated after each epoch."""
        most = self.evaluation_images
        if most is None or most >= len(val):
            return val
        return val.take(torch.arange(most) * len(val) // most)
