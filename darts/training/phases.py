"""The kinds of work that a run is made of, each done once by the run's own objects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from math import ceil

import torch
from torch import nn

from bilevel.state import pack
from darts.config.full import FullConfig
from darts.data import Batch, Images, ImageSet, Normalisation, RetrainData
from darts.data.batches import in_order
from darts.methods.removal import Masks
from darts.networks.counting import count_parameters, multiply_adds_of
from darts.parallel.launch import Devices
from darts.spaces import Genotype
from darts.training.comparison_cells import comparison_cells
from darts.training.retraining import Training, training_batches
from darts.training.searching import Searching, paired_batches
from darts.training.selecting import Selecting

STEP = "step of α and ω"
"""The work that most of a search is made of."""


@dataclass(frozen=True)
class Work:
    """One kind of work of a run.

    Attributes:
        name: its name in tables.
        times: how often the whole run does it; with early stopping, at most.
        images: number of images in its batch in the run.
        once: a function that does it once on so many real images, and returns the numbers that
            came out.
    """

    name: str
    times: int
    images: int
    once: Callable[[int], Iterable[float]]


@dataclass(frozen=True)
class Phase:
    """The work on one network of a run: a stage of the search, or a retraining.

    Attributes:
        name: e.g. "search, stage 2 of 3".
        works: the kinds of work on its network.
        sizes: "parameters" (no auxiliary head's), "multiply_adds" of one image evaluated, and
            "checkpoint_bytes" of one checkpoint, as they are when asked for.
    """

    name: str
    works: list[Work]
    sizes: Callable[[], dict[str, int]]


def phases_of(
    config: FullConfig, images: ImageSet, genotype: Genotype | None, devices: Devices
) -> Iterator[Phase]:
    """The phases of a run, each built when it is reached.

    The retraining is of α's genotype after the steps taken so far, or of the one given.
    """
    if config.search is not None:
        halves = config.search.halves(images)
        searching = Searching(config.search, halves.to(devices.device), devices)
        for number in range(searching.stages):
            searching.enter(number * searching.stage_epochs)
            yield _of_search(searching)
        genotype = searching.genotype()
        del searching
    if config.retrain is not None:
        assert genotype is not None
        data = RetrainData.of(images).to(devices.device)
        yield _of_retraining(Training(config.retrain, genotype, data, devices))
        for name, other in comparison_cells(config).items():
            again = _of_retraining(Training(config.retrain, other, data, devices))
            yield replace(again, name=f"retraining {name}")


def _of_search(searching: Searching) -> Phase:
    """Steps of α are those of the stage's last epoch, of most drop-path and perturbation."""
    config, data, numbers = searching.config, searching.data, count()
    first = searching.stage * searching.stage_epochs
    epochs = range(first, first + searching.stage_epochs)
    last, batch, evaluated = epochs[-1], config.batch_size, len(searching.evaluated)
    frozen = sum(map(searching.frozen, epochs))

    def sized(images: int) -> Searching:
        if searching.batches.train.batch_size != images:
            searching.batches = paired_batches(replace(config, batch_size=images), data)
            searching.capturing.forget()
        return searching

    def step(epoch: int, images: int) -> Iterable[float]:
        number = next(numbers) % sized(images).batches.per_epoch
        return [x for x in searching.step(epoch, number).values() if isinstance(x, float)]

    def averages(images: int) -> Iterable[float]:
        sized(images).update_statistics(last, 1)
        return ()

    def evaluation(images: int) -> Iterable[float]:
        return [
            searching.evaluate(last, _first(searching.evaluated, data.normalisation, images)).loss
        ]

    steps = sized(batch).batches.per_epoch
    looked_at = len(epochs) * min(config.statistics_batches, steps)
    works = [
        Work("step of ω, α frozen", frozen * steps, batch, lambda n: step(first, n)),
        Work(STEP, (len(epochs) - frozen) * steps, batch, lambda n: step(last, n)),
        Work("averages of batch norm", looked_at, batch, averages),
        Work(
            "evaluation", len(epochs) * ceil(evaluated / batch), min(batch, evaluated), evaluation
        ),
    ]
    if config.stop is not None and config.stop.needs_eigenvalue:
        name = "eigenvalue of ∇²_αα L_val"
        works.append(Work(name, len(epochs), batch, lambda n: [sized(n).alpha_eigenvalue(last)]))
    if config.selection is not None:
        selecting = Selecting(searching, config.selection)

        def tuned(images: int) -> Iterable[float]:
            sized(images)
            return [selecting.step(0, next(numbers) % selecting.steps)]

        def without(images: int) -> Iterable[float]:
            nothing = Masks.of(searching.space, [], searching.device)
            return [selecting.evaluate(nothing, selecting.images.take(torch.arange(images))).loss]

        whole = min(batch, len(selecting.images))
        times = selecting.evaluations * ceil(len(selecting.images) / batch)
        works += [
            Work("step of ω in the selection", selecting.epochs * steps, batch, tuned),
            Work("evaluation in the selection", times, whole, without),
        ]
    several = f", stage {searching.stage + 1} of {searching.stages}"
    return Phase(
        "search" + (several if searching.stages > 1 else ""),
        [work for work in works if work.times],
        lambda: _sizes(searching, searching.supernet, multiply_adds_of(lambda: evaluation(1))),
    )


def _of_retraining(training: Training) -> Phase:
    """Steps are those of the last epoch, of most drop-path."""
    config, data, numbers = training.config, training.data, count()
    batch, tested = config.batch_size, len(data.test)
    steps = config.epochs * training.batches.per_epoch
    looks = sum(map(config.tests_after, range(config.epochs)))

    def step(images: int) -> Iterable[float]:
        training.batches = training_batches(replace(config, batch_size=images), data)
        return training.step(config.epochs - 1, next(numbers) % training.batches.per_epoch)[:1]

    def evaluation(images: int) -> Iterable[float]:
        return [training.evaluate(_first(data.test, data.normalisation, images)).loss]

    works = [
        Work("step", steps, batch, step),
        Work("evaluation", looks * ceil(tested / batch), min(batch, tested), evaluation),
    ]
    each = round(1e6 * training.multiply_adds_millions)
    return Phase("retraining", works, lambda: _sizes(training, training.network, each))


def _sizes(owner: Searching | Training, network: nn.Module, each: int) -> dict[str, int]:
    return {
        "parameters": count_parameters(network),
        "multiply_adds": each,
        "checkpoint_bytes": len(pack(owner.state())),
    }


def _first(data: Images, normalisation: Normalisation, images: int) -> Iterator[Batch]:
    """The first batch of those that an evaluation goes through."""
    return islice(in_order(data, normalisation, images), 1)
