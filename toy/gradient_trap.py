"""The gradient trap (A.3): a supernet of two cells, searched, and evaluated in A.3's three ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from bilevel.estimators import Estimator, FirstOrder
from darts.config.as_json import to_json
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Digits, ImageSet, RetrainData, SearchData
from darts.parallel.launch import CPU, Devices
from darts.records.run_folder import RunFolder
from darts.spaces import S1
from darts.training.checkpoint import StageCheckpoints
from darts.training.retrain import retrain
from darts.training.search import STAGE, search
from darts.training.searching import Searching

WAYS = ("search sets", "whole sets", "derived network")
WHOLE = "whole"
"""Folder, in that of the run, of the training on the whole sets."""


@dataclass(frozen=True)
class Trap:
    """The settings of A.3's example, on digits.

    A.3 says: DARTS's space, two cells, 600 epochs; nothing else. With two cells DARTS's layout
    has no normal cell: both reduce.

    Args:
        data: the images.
        search: settings of the search; estimator and seed are replaced.
        derived: settings of the training of the derived network; the seed is replaced.
    """

    data: Digits = field(default_factory=Digits)
    search: SearchConfig = field(
        default_factory=lambda: SearchConfig(
            space=S1,
            epochs=600,
            batch_size=64,
            channels=4,
            cells=2,
            # 600 epochs of 10 steps: learning rate × steps is 42; it is 47 in 600 of the paper's
            alpha_learning_rate=7e-3,
            padding=1,
            statistics_batches=10,
            evaluation_images=None,
        )
    )
    derived: RetrainConfig = field(
        default_factory=lambda: RetrainConfig(
            epochs=600,
            batch_size=64,
            channels=4,
            cells=2,
            padding=1,
            cutout=0,
            drop_path=0.0,
            auxiliary_weight=0.0,
        )
    )


def errors(
    trap: Trap,
    estimator: Estimator,
    seed: int,
    images: ImageSet,
    run: RunFolder,
    *,
    devices: Devices = CPU,
) -> dict[str, float]:
    """Search, and the error in per cent in each of `WAYS`; goes on with what `run` holds.

    A.3's three sentences are read so: the supernet as the search leaves it, trained on ω's half
    and evaluated on α's ("search sets"); a supernet with the α found, trained anew on the whole
    training set and evaluated on the test set ("whole sets"); and the network derived from α,
    trained and evaluated likewise ("derived network").
    """
    config = replace(trap.search, estimator=estimator, seed=seed)
    halves = SearchData.of(images, config.train_share, seed)
    searched = search(config, halves, run, devices=devices)
    whole = SearchData(images.train, images.test, images.normalisation, images.mirror)
    again = _part(run, WHOLE)
    alpha = _last_alpha(config, halves, run, devices)
    supernet = train_weights(config, alpha, whole, again, devices=devices)
    trained = retrain(
        replace(trap.derived, seed=seed),
        searched.genotype,
        RetrainData.of(images),
        run,
        devices=devices,
    )
    return dict(
        zip(
            WAYS,
            (
                100 - searched.val.accuracy_percent,
                supernet,
                100 - trained.test.accuracy_percent,
            ),
            strict=True,
        )
    )


def train_weights(
    config: SearchConfig,
    alpha: Mapping[str, Tensor],
    data: SearchData,
    run: RunFolder,
    *,
    devices: Devices = CPU,
) -> float:
    """Train ω anew with α held; the error on `data.val` in per cent after the last epoch.

    It is a search in which α is frozen from the beginning, so that it has the search's
    schedule, augmentation and checkpoints. `data.val` is evaluated and moves nothing.
    """
    frozen = replace(config, estimator=FirstOrder(), frozen_epochs=config.epochs)
    origin = {**to_json(frozen), "computing": to_json(devices.computing)}
    checkpoints = StageCheckpoints(run, STAGE, origin, share=frozen.checkpoint_share)
    if checkpoints.latest() is None:
        begin = Searching(frozen, data.to(devices.device), devices)
        state = begin.state()
        state["alpha"] = {kind: weights.detach().clone() for kind, weights in alpha.items()}
        checkpoints.save((0, 0), state)
    return 100 - search(frozen, data, run, devices=devices).val.accuracy_percent


def _last_alpha(
    config: SearchConfig, data: SearchData, run: RunFolder, devices: Devices
) -> dict[str, Tensor]:
    """α after the last epoch, which is always kept."""
    origin = {**to_json(config), "computing": to_json(devices.computing)}
    saved = StageCheckpoints(run, STAGE, origin).latest()
    assert saved is not None
    assert saved.position == (config.epochs, 0)
    alpha: dict[str, Tensor] = saved.state["alpha"]
    return alpha


def _part(run: RunFolder, name: str) -> RunFolder:
    """A folder in the run's, with its own records and checkpoints."""
    return RunFolder(Path(run.path) / name, run.listeners)
