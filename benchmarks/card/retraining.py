"""Steps of retraining on a device: the original network's, and the project's in all forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, Literal

import torch
from torch.nn import functional as F

from benchmarks.card.steps import BF16, CAPTURED, EAGER, FLOAT32, TF32, precision_of
from benchmarks.card.timing import Case, Cases, Clock, ratios, spreads
from darts.config.compute import Computing
from darts.config.retrain import RetrainConfig
from darts.data import RetrainData
from darts.data.images import LabelledImages, Normalisation
from darts.networks.stem_and_head import IMAGENET
from darts.parallel.launch import Devices
from darts.spaces.published import DARTS_V2
from darts.training.captured import GPU_LAYOUT, WARM_UP
from darts.training.retraining import Training
from tests.reference_darts_network import NetworkCIFAR, NetworkImageNet

OURS, NCHW, ORIGINAL = "ours", "ours NCHW", "original"
OTHER = torch.contiguous_format if torch.channels_last == GPU_LAYOUT else torch.channels_last
OTHER_NAME = NCHW if torch.contiguous_format == OTHER else "ours, channels last"
EPOCH = 300
"""Half way: drop-path with half of its last probability."""
FORMS = (
    (ORIGINAL, EAGER, FLOAT32),
    (OURS, EAGER, FLOAT32),
    (OURS, CAPTURED, FLOAT32),
    (OTHER_NAME, CAPTURED, FLOAT32),
    (OURS, CAPTURED, TF32),
    (OURS, CAPTURED, BF16),
    (OTHER_NAME, CAPTURED, BF16),
    (ORIGINAL, EAGER, TF32),
    (ORIGINAL, EAGER, BF16),
)
RETRAINING = f"{ORIGINAL}, {EAGER}, {FLOAT32}", f"{OURS}, {CAPTURED}, {FLOAT32}"
"""The bar's two steps."""


@dataclass(frozen=True)
class Size:
    """A training and the side of its images."""

    config: RetrainConfig
    side: int


SIZES = {
    "cifar": Size(RetrainConfig(), 32),
    "imagenet": Size(RetrainConfig(cells=14, channels=48, stem=IMAGENET, drop_path=0.0), 224),
}
TINY = {
    "cifar": Size(replace(SIZES["cifar"].config, channels=4, cells=6, batch_size=4), 32),
    "imagenet": Size(replace(SIZES["imagenet"].config, channels=4, cells=6, batch_size=2), 224),
}


def retraining(size: Size, device: str, clock: Clock, rounds: int) -> dict[str, Any]:
    """The record of one size: seconds of a step with the making of its batch, ratios, memory."""
    cases, skipped = Cases(device), []
    for who, form, precision in FORMS:
        name = f"{who}, {form}, {precision}"
        if clock.left < 0.35 * clock.budget:
            skipped.append(name)
            continue
        make = original if who == ORIGINAL else partial(ours, other=who != OURS, form=form)
        cases.add(name, partial(stepping, make, size, device, precision))
    peaks = {name: cases.peak_mib(name) for name in list(cases.calls)}
    seconds = cases.rounds(clock.part(0.9 * clock.left), rounds)
    return {
        "batch": size.config.batch_size,
        "seconds": spreads(seconds),
        "ratios": ratios(seconds, [(RETRAINING[0], name) for name in seconds]),
        "peak MiB": peaks,
        "failed": cases.failed,
        "left out for time": skipped,
    }


def stepping(make: Callable[..., Case], size: Size, device: str, precision: str) -> Case:
    step = make(size, device, precision)

    def run() -> Any:
        with precision_of(precision):
            return step()

    return run


def training(size: Size, device: str, precision: str, form: str) -> Training:
    kind: Literal["bf16", "32"] = "bf16" if precision == BF16 else "32"
    computing = Computing(kind, capture=form == CAPTURED)
    side, images = size.side, 4 * size.config.batch_size
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=generator)
    data = LabelledImages(pixels, labels, 10)
    normalisation = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    both = RetrainData(data, data, normalisation, mirror=True).to(device)
    return Training(size.config, DARTS_V2, both, Devices(device, computing=computing), print)


def ours(size: Size, device: str, precision: str, *, other: bool, form: str) -> Case:
    made = training(size, device, precision, form)
    if other:
        made.network.layout = OTHER
        made.network.to(memory_format=OTHER)
    numbers = count()

    def step() -> Any:
        return made.step(EPOCH, next(numbers) % made.batches.per_epoch)

    for _ in range(WARM_UP + 1):
        step()
    return step


def original(size: Size, device: str, precision: str) -> Case:
    """Backward, clip and SGD on the original network, on the same batches."""
    config = size.config
    batches = training(size, device, FLOAT32, EAGER).batches
    cells = [DARTS_V2[kind] for kind in ("normal", "reduce")]
    genotype = [part for cell in cells for part in (cell.edges, cell.concat)]
    assert isinstance(config.channels, int)
    kind = NetworkImageNet if config.stem == IMAGENET else NetworkCIFAR
    network = kind(config.channels, 10, config.cells, True, genotype).to(device)
    optimizer = torch.optim.SGD(
        network.parameters(),
        config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    drop_path = config.drop_path * EPOCH / config.epochs
    numbers = count()
    half = precision == BF16

    def step() -> None:
        images, labels = batches.at(EPOCH, next(numbers) % batches.per_epoch)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            logits, second = network(images, drop_path)
        assert second is not None
        loss = F.cross_entropy(logits.float(), labels)
        loss = loss + config.auxiliary_weight * F.cross_entropy(second.float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(WARM_UP):
        step()
    return step
