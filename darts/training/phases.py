"""The kinds of work that a run is made of, each done once at any batch size."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import Generic, Protocol, TypeVar

from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Batch, Images, Normalisation, RetrainData, SearchData
from darts.data.batches import in_order
from darts.networks.counting import count_parameters
from darts.parallel.launch import Devices
from darts.records.run_folder import Record
from darts.spaces import Genotype
from darts.training.measuring import multiply_adds_of
from darts.training.retraining import Training, training_batches
from darts.training.searching import Searching, paired_batches
from darts.training.state import State, pack

SMALLEST = 2
"""Images that batch norm needs where a feature map has one pixel."""

Numbers = Iterable[float]
"""What came out, to be looked at."""


@dataclass(frozen=True)
class Network:
    """The network of a stage.

    Attributes:
        parameters: without an auxiliary head's.
        multiply_adds: of one image, evaluated.
        checkpoint_bytes: of one checkpoint on disk; a run keeps the last two.
    """

    parameters: int
    multiply_adds: int
    checkpoint_bytes: int


@dataclass(frozen=True)
class Phase:
    """One kind of work of a run.

    Attributes:
        stage: of the run, e.g. "search, stage 2 of 3".
        work: what it is.
        times: how often the whole run does it; with early stopping, at most.
        images: of its batch in the run.
        once: do it once, on a batch of so many real images.
        network: that it is done on, as it is now: an optimiser has its state after a step.
    """

    stage: str
    work: str
    times: int
    images: int
    once: Callable[[int], Numbers]
    network: Callable[[], Network]


class Stateful(Protocol):
    """What a run changes as it goes."""

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


Subject = TypeVar("Subject", bound=Stateful)


class Resized(Generic[Subject]):
    """A search or a training whose batch size can be changed as it goes."""

    def __init__(self, make: Callable[[int], Subject]) -> None:
        self._make = make
        self._images = SMALLEST
        self._subject = make(self._images)

    def __call__(self, images: int) -> Subject:
        """With batches of so many images, and otherwise as it was."""
        if images != self._images:
            state = self._subject.state()
            self._subject = self._make(images)
            self._subject.restore(state)
            self._images = images
        return self._subject

    @property
    def now(self) -> Subject:
        """As it is, whatever its batches."""
        return self._subject


class SearchPhases:
    """The phases of a search, stage by stage: a later stage grows from the earlier ones' α.

    Every epoch's work is taken where most of it is done: a step of α and ω in the last epoch of a
    stage, where drop-path and perturbations are largest; one of ω alone in the first.

    Args:
        config: of the search.
        data: its halves, on the device.
        devices: where to compute.
    """

    def __init__(self, config: SearchConfig, data: SearchData, devices: Devices) -> None:
        self.config = config
        self.data = data
        self.steps = paired_batches(config, data).per_epoch
        self.at = Resized(
            lambda images: Searching(replace(config, batch_size=images), data, devices)
        )

    def __iter__(self) -> Iterator[Phase]:
        stages, length = self.at.now.stages, self.at.now.stage_epochs
        for stage in range(stages):
            epochs = range(stage * length, (stage + 1) * length)
            self.at.now.enter(epochs[0])
            name = "search" if stages == 1 else f"search, stage {stage + 1} of {stages}"
            yield from self._of_stage(name, epochs)

    def _of_stage(self, name: str, epochs: range) -> Iterator[Phase]:
        config, data, last = self.config, self.data, epochs[-1]

        def phase(work: str, times: int, once: Callable[[int], Numbers]) -> Phase:
            return Phase(name, work, times, config.batch_size, once, lambda: self._network(last))

        still = sum(map(self.at.now.still, epochs))
        if still:
            yield phase(
                "step of ω, α still",
                still * self.steps,
                lambda images: _numbers(self.at(images).step(epochs[0], 0)),
            )
        if still < len(epochs):
            yield phase(
                "step of α and ω",
                (len(epochs) - still) * self.steps,
                lambda images: _numbers(self.at(images).step(last, 0)),
            )
        yield phase(
            "averages of batch norm",
            len(epochs) * min(config.statistics_batches, self.steps),
            lambda images: self._averages(last, images),
        )
        yield phase(
            "evaluation",
            len(epochs) * ceil(len(config.judged(data.val)) / config.batch_size),
            lambda images: [
                self.at(images).evaluate(last, _first(data.val, data.normalisation, images)).loss
            ],
        )
        if config.stop is not None and config.stop.needs_eigenvalue:
            yield phase(
                "eigenvalue of ∇²_αα L_val",
                len(epochs),
                lambda images: [self.at(images).alpha_eigenvalue(last)],
            )

    def genotype(self) -> Genotype:
        """What α stands for after the phases; it was moved by a few steps."""
        return self.at.now.genotype()

    def _averages(self, epoch: int, images: int) -> Numbers:
        self.at(images).update_statistics(epoch, 1)
        return ()

    def _network(self, epoch: int) -> Network:
        searching = self.at.now
        image = _first(self.data.val, self.data.normalisation, 1)
        return Network(
            count_parameters(searching.supernet),
            multiply_adds_of(lambda: searching.evaluate(epoch, image)),
            len(pack(searching.state())),
        )


def retraining_phases(
    config: RetrainConfig, genotype: Genotype, data: RetrainData, devices: Devices
) -> Iterator[Phase]:
    """The phases of a retraining; its step is taken in the last epoch, of most drop-path.

    Args:
        config: of the retraining.
        genotype: to train.
        data: its images, on the device.
        devices: where to compute.
    """
    at = Resized(
        lambda images: Training(replace(config, batch_size=images), genotype, data, devices)
    )

    def network() -> Network:
        return Network(
            count_parameters(at.now.network),
            round(1e6 * at.now.multiply_adds_millions),
            len(pack(at.now.state())),
        )

    looks = sum(map(config.tests_after, range(config.epochs)))
    yield Phase(
        "retraining",
        "step",
        config.epochs * training_batches(config, data).per_epoch,
        config.batch_size,
        lambda images: at(images).step(config.epochs - 1, 0)[:1],
        network,
    )
    yield Phase(
        "retraining",
        "evaluation",
        looks * ceil(len(data.test) / config.batch_size),
        config.batch_size,
        lambda images: [at(images).evaluate(_first(data.test, data.normalisation, images)).loss],
        network,
    )


def _first(data: Images, normalisation: Normalisation, images: int) -> Iterator[Batch]:
    """The first batch of those that an evaluation goes through."""
    return islice(in_order(data, normalisation, images), 1)


def _numbers(record: Record) -> Numbers:
    return [value for value in record.values() if isinstance(value, float)]
