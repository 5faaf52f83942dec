"""A dry run does what the run does, as often as it says, at its sizes, and writes nothing."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from bilevel.estimators import FirstOrder
from bilevel.state import pack
from darts import cli
from darts.config.presets import PRESETS
from darts.data import Digits, ImageFolders, ImageSet, RetrainData
from darts.data.batches import Batches
from darts.methods import EigenvalueGrowth
from darts.networks import DerivedNetwork, Supernet
from darts.networks.counting import count_parameters
from darts.reports.dry_run import lines
from darts.spaces.published import PUBLISHED
from darts.training.dry_run import BUILDING, DryRun, Limits, Meter, PhaseError, dry_run
from darts.training.measuring import HostMemory
from darts.training.retrain import retrain
from darts.training.retraining import Training
from darts.training.search import search
from darts.training.searching import Searching
from tests.darts.data.real_files import cifar10_images, real
from tests.darts.training.test_methods_in_search import METHODS, halves
from tests.darts.training.tiny import full_config, images, new_run, retrain_config, search_config

GIB = 2**30
DARTS_V2 = PUBLISHED["DARTS_V2"]
ALPHA, FROZEN = "step of α and ω", "step of ω, α frozen"
AVERAGES, EVALUATION = "averages of batch norm", "evaluation"
EIGENVALUE = "eigenvalue of ∇²_αα L_val"


class OneGibAnImage(HostMemory):
    """A memory of which a batch takes 1 GiB an image, for want of a network that does."""

    def __init__(self, free_gib: float) -> None:
        self.free_bytes = free_gib * GIB
        self.images = 0

    def held(self) -> int:
        return 0

    def forget_peak(self) -> None:
        self.images = 0

    def peak(self) -> int:
        return self.images * GIB

    def free(self) -> float:
        return self.free_bytes


def sized(monkeypatch, free_gib: float) -> None:
    """Let dry runs see such a memory."""
    memory = OneGibAnImage(free_gib)
    at = Batches.at

    def watched(self, epoch, step):
        memory.images = max(memory.images, self.batch_size)
        return at(self, epoch, step)

    monkeypatch.setattr(Batches, "at", watched)
    monkeypatch.setattr("darts.training.dry_run.memory_of", lambda device: memory)


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    """Nothing here looks at seconds, and at real memory only what says so."""
    monkeypatch.setattr("darts.training.measuring.SHORT_SECONDS", 0.0)
    monkeypatch.setattr("darts.training.measuring.LONG_SECONDS", 1e-9)
    sized(monkeypatch, 1000)


def counts_of(monkeypatch) -> Counter:
    """A counter of (stage, kind of work) that fills as searches and trainings go."""
    seen: Counter = Counter()

    def spy(owner: type, name: str, key) -> None:
        original = getattr(owner, name)

        def watched(self, *arguments, **named):
            seen.update(key(self, *arguments))
            return original(self, *arguments, **named)

        monkeypatch.setattr(owner, name, watched)

    def stage(searching: Searching) -> str:
        several = f", stage {searching.stage + 1} of {searching.stages}"
        return "search" + (several if searching.stages > 1 else "")

    spy(Searching, "step", lambda s, e, _: [(stage(s), FROZEN if s.frozen(e) else ALPHA)])
    spy(Searching, "update_statistics", lambda s, _, n: [(stage(s), AVERAGES)] * n)
    spy(Searching, "alpha_eigenvalue", lambda s, _: [(stage(s), EIGENVALUE)])
    spy(Training, "step", lambda *_: [("retraining", "step")])
    original = Searching.evaluate

    def evaluate(self, epoch, batches):
        batches = list(batches)
        seen.update([(stage(self), EVALUATION)] * len(batches))
        return original(self, epoch, batches)

    monkeypatch.setattr(Searching, "evaluate", evaluate)
    plain = Training.evaluate

    def test(self, batches):
        batches = list(batches)
        seen.update([("retraining", EVALUATION)] * len(batches))
        return plain(self, batches)

    monkeypatch.setattr(Training, "evaluate", test)
    return seen


def times_of(found: DryRun) -> dict:
    return {(e.stage, e.work): e.times for e in found.estimates if e.work != BUILDING}


@pytest.mark.parametrize(
    ("name", "averages"),
    [("frozen", 20), ("progressive", 2), ("eigenvalue", 2), ("adversarial", 2)],
)
def test_every_kind_of_work_is_done_as_often_as_is_said(name, averages, tmp_path, monkeypatch):
    """The oracle is the run itself, watched; 8 does not divide the 30 images of a half.

    Averages are asked of fewer batches than an epoch has, and of more.
    """
    config = full_config(
        search=search_config(
            FirstOrder(), batch_size=8, statistics_batches=averages, **METHODS[name]
        ),
        retrain=retrain_config(test_every=2),
    )
    said = times_of(dry_run(config, images()))
    seen = counts_of(monkeypatch)
    run = new_run(tmp_path / "run")
    genotype = search(config.search, halves(config.search), run).genotype
    retrain(config.retrain, genotype, RetrainData.of(images()), run)
    assert said == dict(seen)


def watch_steps(owner: type, sizes: set, monkeypatch) -> None:
    """Note the steps of a search or a training."""
    step = owner.step

    def watched(self, epoch, number):
        frozen = ", frozen" if owner is Searching and self.frozen(epoch) else ""
        sizes.add((f"{owner.__name__}{frozen}", self.config.batch_size))
        return step(self, epoch, number)

    monkeypatch.setattr(owner, "step", watched)


def test_a_dry_run_does_all_kinds_of_work_of_the_run_itself(monkeypatch):
    """None is left out, and no batch is of another size than it says."""
    config = full_config(search=search_config(stop=EigenvalueGrowth(), frozen_epochs=1))
    sizes = set()
    at = Batches.at

    def watched(self, epoch, step):
        sizes.add((self.purpose, self.batch_size))
        return at(self, epoch, step)

    monkeypatch.setattr(Batches, "at", watched)
    for owner in (Searching, Training):
        watch_steps(owner, sizes, monkeypatch)
    seen = counts_of(monkeypatch)
    found = dry_run(config, images())
    assert set(seen) == set(times_of(found))
    assert {where for where, _ in sizes} == {"Searching, frozen", "Searching", "Training"} | {
        "search train",
        "search val",
        "retrain",
    }
    for purpose, batch in (("search train", 10), ("search val", 10), ("retrain", 20)):
        assert {size for where, size in sizes if where == purpose} == {2, 8, batch}
    for estimate in found.estimates:
        if estimate.work != BUILDING:
            assert list(estimate.measured) == [2, 8, estimate.images]
            assert estimate.once == estimate.measured[estimate.images]


@pytest.mark.parametrize("name", ["drops", "adversarial", "everything"])
def test_steps_of_alpha_move_alpha_and_omega_at_full_perturbation_and_drop_path(name, monkeypatch):
    config = search_config(FirstOrder(), **METHODS[name])
    moved = []
    step = Searching.step

    def watched(self, epoch, number):
        before = [x.detach().clone() for x in (*self.alpha.values(), *self.omega.values())]
        record = step(self, epoch, number)
        after = (*self.alpha.values(), *self.omega.values())
        changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        alphas = len(self.alpha)
        moved.append((self.frozen(epoch), any(changed[:alphas]), any(changed[alphas:])))
        assert self.regularisation(epoch).drop_path == max(
            self.regularisation(e).drop_path for e in range(config.epochs)
        ) or self.frozen(epoch)
        return record

    monkeypatch.setattr(Searching, "step", watched)
    dry_run(full_config(search=config, retrain=None), images())
    assert set(moved) == {(False, True, True)} | (
        {(True, False, True)} if name == "everything" else set()
    )


def test_every_stage_is_on_a_network_of_its_own_depth_and_says_its_size(monkeypatch):
    """Which operations a later stage keeps is α's doing; its depth is the config's."""
    config = search_config(FirstOrder(), **METHODS["progressive"])
    seen = {}
    step = Searching.step

    def watched(self, epoch, number):
        record = step(self, epoch, number)
        cells = len(self.supernet.cells)
        seen[self.stage] = (cells, count_parameters(self.supernet), len(pack(self.state())))
        return record

    monkeypatch.setattr(Searching, "step", watched)
    monkeypatch.setattr(Meter, "_count", lambda *_: 1)  # its steps come after the sizes are taken
    found = dry_run(full_config(search=config, retrain=None), images())
    said = {
        stage: (sizes["parameters"], sizes["checkpoint_bytes"])
        for stage, sizes in found.networks.items()
    }
    assert list(said) == ["search, stage 1 of 2", "search, stage 2 of 2"]
    assert [cells for cells, _, _ in seen.values()] == list(config.progressive.cells)
    for (parameters, size), (_, exact, saved) in zip(said.values(), seen.values(), strict=True):
        assert parameters == exact
        assert abs(size - saved) < 200  # numbers written in more or fewer digits


@pytest.mark.parametrize(
    ("free", "limit", "batches"),
    [(100, None, [2, 8, 20]), (12, None, [2, 8]), (100, 20, [2, 8, 20]), (100, 6, [2, 4])],
)
def test_where_the_batch_does_not_fit_the_largest_two_that_do_give_a_line(
    free, limit, batches, monkeypatch
):
    """Nine tenths of 12 GiB hold 8 of 20 images, not 16; and the whole is on the line: 20 GiB."""
    sized(monkeypatch, free)
    found = dry_run(
        full_config(search=None), images(), limits=Limits(limit), genotype=DARTS_V2.genotype
    )
    step = found.estimates[1]
    assert list(step.measured) == batches
    assert step.once.peak_bytes == 20 * GIB


@pytest.mark.parametrize("limits", [Limits(images=2), Limits(memory_gib=3.9)])
def test_one_size_gives_no_estimate_and_says_so(limits):
    """3.9 GiB hold two images, and at 1 GiB an image not four."""
    found = dry_run(full_config(search=None), images(), limits=limits, genotype=DARTS_V2.genotype)
    step = found.estimates[1]
    assert list(step.measured) == [2]
    assert step.once is None
    assert found.total("wall_seconds") is found.total("cpu_seconds") is found.peak_bytes is None
    assert found.multiply_adds > 0
    told = list(lines(found, "darts"))
    assert any(line.startswith("? retraining, step: measured with 2 (") for line in told)
    assert any("no estimate of time and memory" in line for line in told)
    assert not any("by this machine's clock" in line for line in told)


@pytest.mark.parametrize(("most", "sizes"), [(8, [2, 8]), (2, [2]), (1, None)])
def test_a_batch_that_runs_out_of_memory_is_not_tried_again(most, sizes, monkeypatch):
    at = Batches.at

    def limited(self, epoch, step):
        if self.batch_size > most:
            raise MemoryError
        return at(self, epoch, step)

    monkeypatch.setattr(Batches, "at", limited)
    config = full_config(search=None)
    if sizes is None:
        with pytest.raises(PhaseError, match="step, 2 images: they take more memory than there is"):
            dry_run(config, images(), genotype=DARTS_V2.genotype)
    else:
        found = dry_run(config, images(), genotype=DARTS_V2.genotype)
        assert list(found.estimates[1].measured) == sizes
        assert (found.estimates[1].once is None) == (len(sizes) == 1)


def test_where_not_even_two_images_fit_it_says_what_they_take(monkeypatch):
    sized(monkeypatch, 2)
    with pytest.raises(PhaseError, match=r"2 images: they take 2\.00 GiB .* may take 1\.80 GiB\."):
        dry_run(full_config(), images())


def test_a_smaller_batch_is_on_the_line_and_says_so(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["full-search", "--preset", "digits-check", "--dry-run", "--dry-run-images", "6"]
    assert cli.main([*arguments, "--device", "cpu"]) == 0
    output = capsys.readouterr().out
    assert "* search, step of α and ω: extrapolated to 48 images on the line through 2 (" in output
    assert "MiB) and 6 (" in output
    assert (
        "Nothing was written.\nnext:\n  darts full-search --preset digits-check --device cpu"
        in output
    )
    assert list(tmp_path.iterdir()) == []


def failing(arguments: list[str], capsys) -> str:
    """The one line of a dry run that fails."""
    assert cli.main(["full-search", "--preset", "digits-check", "--dry-run", *arguments]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_loss_that_is_not_finite_fails_in_one_line(monkeypatch, capsys):
    forward = Supernet.forward
    monkeypatch.setattr(Supernet, "forward", lambda *a: forward(*a) * float("inf"))
    line = failing([], capsys)
    assert "search, step of α and ω, 2 images: NonFiniteError" in line


def test_an_evaluation_that_is_not_finite_fails_in_one_line(monkeypatch, capsys):
    forward = DerivedNetwork.forward

    def poisoned(self, *arguments):
        return forward(self, *arguments) if self.training else forward(self, *arguments) * np.nan

    monkeypatch.setattr(DerivedNetwork, "forward", poisoned)
    assert "retraining, evaluation, 2 images: not finite: [nan]" in failing([], capsys)


def test_an_eigenvalue_that_is_not_finite_fails(monkeypatch):
    monkeypatch.setattr("darts.training.searching.largest_eigenvalue", lambda *_: float("nan"))
    with pytest.raises(PhaseError, match=r"eigenvalue .* not finite"):
        dry_run(full_config(search=search_config(stop=EigenvalueGrowth())), images())


@pytest.mark.parametrize(
    ("network", "place"),
    [
        (Supernet, "search, step of α and ω, 2 images"),
        (DerivedNetwork, "The network to be retrained cannot take images of"),
    ],
)
def test_shapes_that_do_not_fit_fail_in_one_line(network, place, monkeypatch, capsys):
    def broken(self, *_):
        return torch.ones(2, 3) @ torch.ones(2, 3)

    monkeypatch.setattr(network, "forward", broken)
    line = failing([], capsys)
    assert place in line
    assert "mat1 and mat2 shapes cannot be multiplied" in line or "same reduction dim" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "--dry-run", "--dry-run-images", "4"], "takes the batches of its trials"),
        (["random-search", "--dry-run"], "random-search has no --dry-run"),
        (["search", "--dry-run-images", "4"], "--dry-run-images without --dry-run"),
        (["search", "--dry-run", "--dry-run-images", "1"], "batch norm needs 2 images"),
        (["search", "--dry-run", "--dry-run-memory", "0"], "give more than 0"),
        (["search", "--dry-run", "--devices", "2"], "of one process"),
        (["search", "--dry-run", "--resume", "somewhere"], "--resume somewhere"),
    ],
)
def test_what_has_no_dry_run_is_refused(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_runs_of_several_seeds_take_as_many_times_as_long():
    one = dry_run(full_config(search=None), images(), genotype=DARTS_V2.genotype, runs=1)
    assert replace(one, runs=3).total("wall_seconds") == 3 * one.total("wall_seconds")
    assert replace(one, runs=3).multiply_adds == 3 * one.multiply_adds
    assert one.total("wall_seconds") == sum(e.times * e.once.wall_seconds for e in one.estimates)


SMALL = [name for name in PRESETS if name.endswith(("-check", "-tiny")) or name == "digits"]
"""Presets of small networks."""
LONG = ("imagenet-mobile",)  # its width is found by building some twenty networks


def images_of(name: str) -> ImageSet:
    """Real images for a preset: its own data set, or 600 + 100 of CIFAR-10 for those like it."""
    data = PRESETS[name].data
    if isinstance(data, Digits):
        return data.load()
    if isinstance(data, ImageFolders):
        sample = "mini100_84" if data.train_size is None else "imagenette160"
        return replace(data, root=str(real(f"imagenet_sample/{sample}"))).load()
    return few_of_cifar10()


@cache
def few_of_cifar10() -> ImageSet:
    return cifar10_images(train=600, test=100)


def marked(slow: Callable[[str], bool]) -> list:
    """Every preset, some of them slow."""
    return [pytest.param(n, marks=[pytest.mark.slow] if slow(n) else []) for n in PRESETS]


@pytest.mark.parametrize("name", marked(lambda name: name in (*SMALL, *LONG)))
def test_the_networks_of_every_preset_are_built_at_full_width(name):
    config, data = PRESETS[name], images_of(name)
    if config.search is not None:
        halves = config.search.halves(data)
        searching = Searching(config.search, halves)
        assert searching.supernet.classifier.out_features == data.train.classes
    assert config.retrain is not None
    training = Training(config.retrain, DARTS_V2.genotype, RetrainData.of(data))
    assert training.network.classifier.out_features == data.train.classes


@pytest.mark.parametrize(
    "name", marked(lambda name: name not in ("digits-check", "imagenet-check"))
)
def test_every_preset_passes_a_dry_run(name):
    """At full width and depth, in batches of 4 at most."""
    config = PRESETS[name]
    genotype = DARTS_V2.genotype if config.search is None else None
    found = dry_run(config, images_of(name), limits=Limits(images=4), genotype=genotype)
    assert all(estimate.times > 0 for estimate in found.estimates)
    works = {(e.stage, e.work): e.multiply_adds for e in found.estimates if e.work != BUILDING}
    assert all(multiply_adds > 0 for multiply_adds in works.values())
    assert len(works) + len(found.networks) == len(found.estimates)
    assert {("retraining", "step"), ("retraining", EVALUATION)} <= works.keys()
