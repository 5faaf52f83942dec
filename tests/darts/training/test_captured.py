"""A captured step is the eager one: here a graph is the same function, run again on its buffers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from bilevel import Autograd, CentralDifference, NonFiniteError
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended, ConjugateGradient, DartsSecondOrder, FirstOrder, Identity
from bilevel.reading import left_on_device
from bilevel.state import pack, unpack
from darts.config.compute import Computing
from darts.data import RetrainData
from darts.methods import BetaDecay, GumbelSoftmax, PartialChannels, Progressive, SkipLimit
from darts.parallel.launch import Devices
from darts.spaces import NASBENCH201
from darts.training import searching as searching_module
from darts.training.captured import WARM_UP
from darts.training.evaluation import NonFiniteLossError
from darts.training.retraining import Training
from darts.training.search import search
from darts.training.searching import Searching
from tests.darts.training.tiny import (
    Follower,
    KilledError,
    assert_same_bits,
    images,
    new_run,
    retrain_config,
    search_config,
    timeless,
)

STEPS = 20
ESTIMATORS = {
    "first order": FirstOrder(),
    "identity": Identity(0.1),
    "amended, reverse over forward": Amended(0.1, derivatives=ReverseOverForward()),
    "amended, graph": Amended(0.1, derivatives=Autograd()),
    "amended, differences": Amended(0.1, derivatives=CentralDifference()),
    "DARTS second order": DartsSecondOrder(derivatives=CentralDifference(0.01)),
    "DARTS second order, exact": DartsSecondOrder(derivatives=ReverseOverForward()),
}


class Replaying:
    """Stands for CUDA graphs: what is captured runs again on the same buffers, into one result."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.captures += 1
        result: list[Tensor] = []

        def replay() -> Tensor:
            self.replays += 1
            found = function()
            if not result:
                result.append(found.clone())
            return result[0].copy_(found)

        return replay


def halves(config):
    return config.halves(images())


def pair(config, record) -> tuple[Searching, Searching]:
    return Searching(config, halves(config)), Searching(config, halves(config), record=record)


def taken(searching: Searching, steps: int) -> list[dict[str, Any]]:
    per_epoch = searching.batches.per_epoch
    return [searching.step(*divmod(number, per_epoch)) for number in range(steps)]


def assert_same_state(eager: Searching, captured: Searching) -> None:
    first, second = eager.state(), captured.state()
    for state in (first, second):
        for group in state["inner"]["param_groups"]:
            # a number here, a tensor in float32 there
            group["lr"] = float(torch.as_tensor(group["lr"], dtype=torch.float32))
    assert_same_bits(first, second)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_twenty_replayed_steps_are_the_eager_ones_bit_for_bit(name):
    record = Replaying()
    eager, captured = pair(search_config(ESTIMATORS[name], epochs=8), record)
    assert taken(eager, STEPS) == taken(captured, STEPS)
    assert_same_state(eager, captured)
    assert (record.captures, record.replays) == (1, STEPS - WARM_UP)


def test_so_they_are_in_nasbench201():
    record = Replaying()
    config = search_config(
        ESTIMATORS["amended, reverse over forward"],
        space=NASBENCH201,
        cells=3,
        epochs=2,
        stem_multiplier=None,
    )
    eager, captured = pair(config, record)
    assert taken(eager, 6) == taken(captured, 6)
    assert_same_state(eager, captured)
    assert record.replays == 6 - WARM_UP


def test_a_gradient_that_is_clipped_and_one_that_is_not_replay_alike():
    """Whether to clip is decided on the device, step by step."""
    probe, _ = pair(search_config(FirstOrder(), epochs=8), None)
    norms = [record["inner_gradient_norm"] for record in taken(probe, STEPS)]
    middle = sorted(norms[WARM_UP:])[(STEPS - WARM_UP) // 2]
    eager, captured = pair(search_config(FirstOrder(), epochs=8, clip=middle), Replaying())
    found = taken(captured, STEPS)
    clipped = [record["inner_gradient_norm"] > middle for record in found[WARM_UP:]]
    assert any(clipped)
    assert not all(clipped)
    assert taken(eager, STEPS) == found


def test_still_epochs_and_moving_ones_are_captured_apart():
    record = Replaying()
    eager, captured = pair(search_config(FirstOrder(), epochs=4, frozen_epochs=2), record)
    assert taken(eager, 12) == taken(captured, 12)
    assert_same_state(eager, captured)
    assert record.captures == 2


def test_a_penalty_whose_weight_grows_is_captured_anew_in_each_epoch():
    """Replayed as captured, it would keep the weight that it had then."""
    record = Replaying()
    config = search_config(FirstOrder(), epochs=4, batch_size=6, alpha_penalty=BetaDecay())
    eager, captured = pair(config, record)
    assert eager.batches.per_epoch > WARM_UP
    assert taken(eager, 20) == taken(captured, 20)
    assert_same_state(eager, captured)
    assert record.captures == 4


def test_stages_are_captured_anew_and_their_random_ones_are_not(tmp_path):
    stages = Progressive((2, 2), (4, 2), (0.0, 0.5), frozen_epochs=1)
    config = search_config(FirstOrder(), epochs=8, progressive=stages)
    record, followed = Replaying(), Follower()
    with pytest.MonkeyPatch.context() as patch:
        _captured_run(config, tmp_path / "captured", patch, record, followed)
    run = new_run(tmp_path / "eager")
    search(config, halves(config), run)
    assert timeless(run.records("search/steps")) == timeless(_records(tmp_path / "captured"))
    assert record.captures == 1  # of the first stage, once α moves; its frozen epoch is too short
    assert "Steps are not captured: dropout of skips draws anew at each evaluation." in (
        followed.notes
    )


def _captured_run(config, path, patch, record, follower=None) -> None:
    """A search whose steps are captured although there is no GPU."""
    made = searching_module.Searching

    def with_record(config, data, devices, note, costs):
        return made(config, data, devices, note, record, costs)

    patch.setattr("darts.training.search.Searching", with_record)
    search(config, halves(config), new_run(path, *filter(None, [follower])))


def _records(path):
    from darts.records.run_folder import RunFolder

    return RunFolder.open(path).records("search/steps")


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_captured_search_killed_and_resumed_ends_at_the_same_bits(tmp_path, monkeypatch, step):
    config = search_config(ESTIMATORS["DARTS second order"], epochs=4)
    _captured_run(config, tmp_path / "whole", monkeypatch, Replaying())
    with pytest.raises(KilledError):
        _captured_run(
            config, tmp_path / "killed", monkeypatch, Replaying(), Follower(("search", 1, step))
        )
    from darts.records.run_folder import RunFolder

    search(config, halves(config), RunFolder.open(tmp_path / "killed"))
    whole, resumed = _records(tmp_path / "whole"), _records(tmp_path / "killed")
    assert timeless(whole) == timeless(resumed)


def test_early_stopping_sees_the_same_epochs(tmp_path, monkeypatch):
    config = search_config(FirstOrder(), stop=SkipLimit(1))
    eager = new_run(tmp_path / "eager")
    search(config, halves(config), eager)
    _captured_run(config, tmp_path / "captured", monkeypatch, Replaying())
    assert timeless(_records(tmp_path / "captured")) == timeless(eager.records("search/steps"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drop_path": 0.3}, "drop-path"),
        ({"dropout": 0.2}, "dropout"),
        ({"mixing": GumbelSoftmax()}, "GumbelSoftmax"),
    ],
)
def test_what_draws_is_not_captured_and_a_line_says_so(changes, words):
    record, notes = Replaying(), []
    config = search_config(FirstOrder(), **changes)
    eager = Searching(config, halves(config))
    captured = Searching(config, halves(config), note=notes.append, record=record)
    assert taken(eager, 9) == taken(captured, 9)
    assert notes == [f"Steps are not captured: {words} draws anew at each evaluation."]


def test_an_estimator_that_reads_numbers_is_not_captured_and_a_line_says_so():
    notes = []
    estimator = ConjugateGradient(2, tolerance=None, damping=1.0)
    config = search_config(estimator)
    devices = Devices(computing=Computing(capture=True))
    Searching(config, halves(config), devices, notes.append, Replaying())
    assert notes == ["Steps are not captured: ConjugateGradient decides by numbers that it reads."]


def test_without_a_gpu_nothing_is_captured_and_a_line_says_so():
    notes = []
    config = search_config(FirstOrder())
    devices = Devices(computing=Computing(capture=True))
    asked = Searching(config, halves(config), devices, notes.append)
    assert notes == ["Steps are not captured: there is no GPU."]
    assert taken(asked, 4) == taken(Searching(config, halves(config)), 4)


def test_a_capture_that_fails_leaves_the_step_to_be_taken_and_says_why():
    def failing(function):
        try:
            raise ValueError("operation not permitted when stream is capturing\nmore")
        except ValueError as error:
            raise RuntimeError("capture was invalidated") from error

    notes = []
    config = search_config(FirstOrder(), epochs=4)
    captured = Searching(config, halves(config), note=notes.append, record=failing)
    eager = Searching(config, halves(config))
    assert taken(captured, 9) == taken(eager, 9)
    assert_same_state(eager, captured)
    assert notes == [
        "Steps are not captured: ValueError: operation not permitted when stream is capturing."
    ]


def test_a_loss_that_is_not_finite_is_found_after_the_replay(tmp_path, monkeypatch):
    config = search_config(FirstOrder(), epochs=40, learning_rate=1e30, clip=1e30, momentum=0.0)
    with pytest.raises(NonFiniteLossError, match="is not finite"):
        _captured_run(config, tmp_path / "run", monkeypatch, Replaying())


def retraining(record=None, note=None, **changes) -> Training:
    settings = {"epochs": 4, "batch_size": 6, "drop_path": 0.4, **changes}
    genotype = Searching(
        search_config(FirstOrder()), halves(search_config(FirstOrder()))
    ).genotype()
    data = RetrainData.of(images())
    return Training(retrain_config(**settings), genotype, data, note=note or print, record=record)


def trained(training: Training, steps: int) -> list[tuple[float, int, int]]:
    per_epoch = training.batches.per_epoch
    return [training.step(*divmod(number, per_epoch)) for number in range(steps)]


@pytest.mark.parametrize("clip", [5.0, 0.5])
def test_replayed_steps_of_a_retraining_are_the_eager_ones_bit_for_bit(clip):
    """With drop-path, whose probability grows by epochs and whose masks are each step's own."""
    record = Replaying()
    eager, captured = retraining(clip=clip), retraining(record, clip=clip)
    steps = 4 * eager.batches.per_epoch
    assert trained(eager, steps) == trained(captured, steps)
    first, second = eager.state(), captured.state()
    for state in (first, second):
        for group in state["optimizer"]["param_groups"]:
            group["lr"] = float(torch.as_tensor(group["lr"], dtype=torch.float32))
    assert_same_bits(first, second)
    assert record.captures == 4
    assert record.replays == steps - 4 * WARM_UP > 0


def test_a_retraining_goes_on_captured_from_an_eager_state():
    eager, captured = retraining(), retraining(Replaying())
    trained(eager, 3)
    captured.restore(unpack(pack(eager.state())))
    per_epoch = eager.batches.per_epoch
    for number in range(3, 3 + 2 * per_epoch):
        assert eager.step(*divmod(number, per_epoch)) == captured.step(*divmod(number, per_epoch))


def test_a_retraining_whose_loss_is_not_finite_says_so_after_the_replay():
    training = retraining(Replaying(), learning_rate=1e30, clip=1e30, momentum=0.0)
    with pytest.raises(NonFiniteError, match=r"the (loss is|gradient has norm) (nan|inf)"):
        trained(training, 4 * training.batches.per_epoch)


def test_a_retraining_in_fp16_reads_its_scale_and_says_so():
    notes: list[str] = []
    genotype = retraining().blueprint.genotype
    computing = Computing("fp16", capture=True)
    Training(
        retrain_config(),
        genotype,
        RetrainData.of(images()),
        Devices(computing=computing),
        notes.append,
        Replaying(),
    )
    assert notes == ["Steps are not captured: fp16 scales losses by numbers that it reads."]


class NoReads(TorchDispatchMode):
    """Refuses what a graph cannot hold: numbers read, and tensors made of numbers of the host."""

    refused = ("_local_scalar_dense", "lift_fresh", "nonzero", "equal", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.within_optimizer = False  # PyTorch's read on a CPU, and do not on a GPU
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        name = func.overloadpacket.__name__
        if name in self.refused and not self.within_optimizer:
            raise AssertionError(f"{name} within a step that is to be captured")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def no_reads():
    mode = NoReads()

    def begins(*_: Any) -> None:
        mode.within_optimizer = True

    def ends(*_: Any) -> None:
        mode.within_optimizer = False

    hooks = register_optimizer_step_pre_hook(begins), register_optimizer_step_post_hook(ends)
    yield mode
    for hook in hooks:
        hook.remove()


def within(mode: NoReads) -> Callable[[Callable[[], Tensor]], Callable[[], Tensor]]:
    def record(function):
        def replay():
            with mode:
                return function()

        return replay

    return record


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_captured_step_reads_no_number_and_sends_none(name, no_reads):
    config = search_config(ESTIMATORS[name])
    captured = Searching(config, halves(config), record=within(no_reads))
    taken(captured, WARM_UP + 2)
    assert no_reads.seen > 100


@pytest.mark.parametrize(
    "changes",
    [
        {"partial_channels": PartialChannels(2), "channels": 8},
        {"space": NASBENCH201, "cells": 3},
        {"frozen_epochs": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nor_do_steps_of_other_methods(changes, no_reads):
    config = search_config(FirstOrder(), **changes)
    captured = Searching(config, halves(config), record=within(no_reads))
    taken(captured, WARM_UP + 1)
    assert no_reads.seen > 100


def test_a_read_within_a_captured_step_is_noticed(no_reads):
    """The check itself, on an estimator that reads."""
    config = search_config(FirstOrder())
    searching = Searching(config, halves(config), record=within(no_reads))
    problem = searching.adapter.problem(*searching.batches.at(0, 0), None)
    with no_reads, pytest.raises(AssertionError, match="_local_scalar_dense"):
        FirstOrder()(problem, searching.omega, searching.alpha)
    with no_reads, left_on_device():
        FirstOrder()(problem, searching.omega, searching.alpha)


def test_a_captured_step_of_a_retraining_reads_no_number_and_sends_none(no_reads):
    training = retraining(within(no_reads))
    trained(training, WARM_UP + 2)
    assert no_reads.seen > 100
