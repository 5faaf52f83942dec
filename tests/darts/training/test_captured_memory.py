"""A step recorded once and replayed on the same memory, with no Python of it run again."""

import sys
from collections.abc import Iterator

import pytest
import torch

from benchmarks.steps import without_kernels
from darts.spaces import NASBENCH201
from darts.training import optimizers
from darts.training.captured import WARM_UP
from darts.training.searching import Searching
from tests.darts.training.memory_graph import Recording
from tests.darts.training.test_captured import ESTIMATORS, halves, taken
from tests.darts.training.tiny import assert_same_bits, search_config

STEPS = 20


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Optimisers in their form for a GPU, and no kernels that PyTorch does not see."""
    monkeypatch.setattr(optimizers, "numbers_in_memory", lambda device: True)
    monkeypatch.setattr(
        sys.modules[torch.optim.Adam.__module__],
        "_get_capturable_supported_devices",
        lambda *args: ["cpu"],
    )
    with without_kernels():
        yield


def pair(config) -> tuple[Searching, Searching, Recording]:
    record = Recording()
    eager = Searching(config, halves(config), record=record)
    eager.capturing.stop("it is the one to compare with")  # no buffers of its own, no replay
    return eager, Searching(config, halves(config), record=record), record


@pytest.mark.parametrize("name", ESTIMATORS)
def test_twenty_steps_of_one_recording_are_the_eager_ones_bit_for_bit(name):
    """Batches, the learning rate, Adam's count of steps and the clip change from step to step."""
    eager, recorded, record = pair(search_config(ESTIMATORS[name], epochs=8))
    assert taken(eager, STEPS) == taken(recorded, STEPS)
    assert_same_bits(eager.state(), recorded.state())
    assert (record.captures, record.replays) == (1, STEPS - WARM_UP)


@pytest.mark.parametrize("name", ["first order", "amended, reverse over forward"])
def test_so_are_those_of_nasbench201(name):
    config = search_config(ESTIMATORS[name], space=NASBENCH201, cells=3, epochs=4)
    eager, recorded, record = pair(config)
    assert taken(eager, 8) == taken(recorded, 8)
    assert_same_bits(eager.state(), recorded.state())
    assert record.replays == 8 - WARM_UP


def test_an_epoch_between_replays_changes_nothing_of_them(tmp_path):
    """Statistics, evaluation and a state are taken between steps, on the same weights."""
    eager, recorded, _ = pair(search_config(ESTIMATORS["amended, differences"], epochs=4))
    for searching in (eager, recorded):
        first = taken(searching, 6)
        searching.summary(1, first[3:])
    later = [
        [searching.step(*divmod(number, 3)) for number in range(6, 12)]
        for searching in (eager, recorded)
    ]
    assert later[0] == later[1]


def test_a_restored_state_is_recorded_anew():
    """Optimisers have other buffers after it; a graph of the old ones would go on with those."""
    eager, recorded, record = pair(search_config(ESTIMATORS["first order"], epochs=8))
    for searching in (eager, recorded):
        taken(searching, 6)
        searching.restore(searching.state())
    first, second = (
        [searching.step(*divmod(number, 3)) for number in range(6, 14)]
        for searching in (eager, recorded)
    )
    assert first == second
    assert record.captures == 2
