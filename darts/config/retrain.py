"""Every setting of a retraining: its default is the paper's on CIFAR-10, or DARTS's."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from darts.config.declared import (
    AT_LEAST_ONE,
    Batch,
    Cells,
    CheckpointShare,
    Count,
    Decay,
    NotNegative,
    Pixels,
    Positive,
    Whole,
    at_most,
    require_declared,
)
from darts.config.schedule import HalfCosine, Schedule
from darts.config.spelling import Seed
from darts.data import Augmentation
from darts.networks.blueprint import Blueprint
from darts.networks.stem_and_head import SMALL_IMAGES, StemAndHead
from darts.networks.width import MOST, Width, channels_within
from darts.spaces import Genotype


@dataclass(frozen=True)
class RetrainConfig:
    """Training of a genotype's network from scratch on the whole training set (§4.1.1).

    A section after a setting is where the paper's text has the default; the text leaves those of
    DARTS to DARTS (Liu et al. 2019, §3.2, and its code).

    Args:
        seed: seed of the initial weights, the order of images, augmentation and drop-path.
        epochs: number of passes over the training set (§4.1.1).
        batch_size: number of images in a step, 2 or more (DARTS).
        stem: stem and auxiliary head: small-images (DARTS), or imagenet, whose stem reduces
            224×224 to 28×28.
        channels: number of initial channels C (§4.1.1); within:millions=600 is the largest that
            keeps one image of the data within so many million multiply-adds.
        cells: number of cells, 8 or 20 (§4.1.2); those at 1/3 and 2/3 reduce (DARTS).
        learning_rate: learning rate of SGD at the first step, but for warm-up (§4.1.1).
        learning_rate_end: learning rate after the last step.
        schedule: course of the learning rate between the two, half-cosine (§4.1.1) or linear.
        warmup_epochs: number of epochs at the beginning in which the rate rises to the schedule's.
        momentum: momentum of SGD (§4.1.1).
        weight_decay: weight decay of SGD (§4.1.1).
        label_smoothing: share of a label spread evenly over all classes, in training alone.
        clip: largest gradient norm; a longer gradient is shortened to it (DARTS).
        padding: black border in pixels before the random crop (DARTS).
        cutout: side in pixels of the erased square (§3.5; its size: DARTS); 0 is none.
        drop_path: probability of dropping a path after the last epoch, growing linearly from 0
            (DARTS; the text says Dropout, §3.5).
        auxiliary_weight: weight of the auxiliary head's loss (§3.5; its value: DARTS); 0 builds no
            head.
        test_every: number of epochs between evaluations on the test images; None evaluates once,
            after the last epoch. The last epoch is the one reported in any case.
        checkpoint_share: largest share of the time for writing checkpoints; 1 writes one after
            every step.
    """

    seed: Seed = 0
    epochs: Count = 600
    batch_size: Batch = 96
    stem: StemAndHead = SMALL_IMAGES
    channels: Annotated[Width, AT_LEAST_ONE, at_most(MOST)] = 36
    cells: Cells = 20
    learning_rate: Positive = 0.025
    learning_rate_end: NotNegative = 0.0
    schedule: Schedule = field(default_factory=HalfCosine)
    warmup_epochs: Whole = 0
    momentum: Decay = 0.9
    weight_decay: NotNegative = 3e-4
    label_smoothing: Decay = 0.0
    clip: Positive = 5.0
    padding: Pixels = 4
    cutout: Pixels = 16
    drop_path: Decay = 0.2
    auxiliary_weight: NotNegative = 0.4
    test_every: Count | None = None
    checkpoint_share: CheckpointShare = 0.02

    def __post_init__(self) -> None:
        require_declared(type(self), vars(self))
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"RetrainConfig(warmup_epochs={self.warmup_epochs}, epochs={self.epochs}): the "
                "rate would never be reached. Warm up for fewer epochs, or train for more."
            )
        if self.stem.even and isinstance(self.channels, int) and self.channels % 2:
            raise ValueError(
                f"RetrainConfig(channels={self.channels}) with the stem imagenet: its first cell "
                f"halves them. Give {self.channels - 1 or 2} or {self.channels + 1}."
            )

    def tests_after(self, epoch: int) -> bool:
        """Whether the test images are looked at after an epoch, the first being 0."""
        asked = self.test_every is not None and (epoch + 1) % self.test_every == 0
        return asked or epoch + 1 == self.epochs

    def augmentation(self, mirror: bool, crop: bool = True) -> Augmentation:
        """The augmentation of training batches, as far as the data allow it."""
        padding = self.padding if crop else 0
        return Augmentation(padding=padding, mirror=mirror, cutout=self.cutout)

    def blueprint(self, genotype: Genotype, shape: tuple[int, int, int], classes: int) -> Blueprint:
        """The network to train, with as many channels as the limit allows if there is one.

        Args:
            genotype: its cells.
            shape: (channels, height, width) of an image.
            classes: number of classes.

        Raises:
            ValueError: there is no network of these sizes, or none within the limit.
        """
        chosen = self.channels
        in_channels, *image = shape
        blueprint = Blueprint(
            genotype,
            chosen if isinstance(chosen, int) else 1,
            self.cells,
            classes,
            in_channels,
            self.stem,
        )
        if isinstance(chosen, int):
            return blueprint
        return replace(blueprint, channels=channels_within(blueprint, (image[0], image[1]), chosen))
