"""A search is a function of its config; interrupted anywhere, it ends at the same bits."""

import sys
import warnings
from math import cos, pi

import pytest
import torch
from torch.optim import SGD
from torch.optim.optimizer import register_optimizer_step_pre_hook

from bilevel import solver
from bilevel.estimators import Certified, DartsSecondOrder, FirstOrder
from darts.config.as_json import to_json
from darts.config.compute import PLAIN
from darts.records.run_folder import RunFolder
from darts.reports.scalars import epoch_scalars
from darts.reports.search_part import search_part
from darts.spaces import Genotype
from darts.training.checkpoint import Saved, StageCheckpoints
from darts.training.evaluation import NonFiniteLossError
from darts.training.full import require_feasible
from darts.training.search import search
from tests.darts.training.tiny import (
    EPOCHS,
    STEPS,
    TWO_EDGES,
    Follower,
    KilledError,
    assert_same_bits,
    full_config,
    images,
    new_run,
    search_config,
    timeless,
)


def halves(config):
    return config.halves(images())


def saved(run: RunFolder, config) -> Saved:
    origin = {**to_json(config), "computing": to_json(PLAIN)}
    return StageCheckpoints(run, "search", origin).latest()


def final_state(run: RunFolder, config) -> dict:
    return saved(run, config).state


def test_what_an_estimator_certifies_is_recorded_charted_and_sent_to_tensorboard(tmp_path):
    """With few products: a bound a step, whether it is narrow or not. An epoch is one step."""
    few = Certified(products=4, failure_probability=None)
    config = search_config(few, epochs=2, cells=1, channels=1, batch_size=30)
    run = new_run(tmp_path / "run", config=full_config(search=config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NotCertified, of every step
        search(config, halves(config), run)
    steps, epochs = run.records("search/steps"), run.records("search/epochs")
    bounds = [record["certified_degrees"] for record in steps]
    assert len(bounds) == 2
    assert all(0 <= bound <= 180 for bound in bounds)
    held = [record["certificate_holds"] for record in steps]
    for epoch, bound, kept in zip(epochs, bounds, held, strict=True):
        sent = epoch_scalars("search/epochs", epoch)
        assert sent["search/certified_degrees"] == bound
        assert sent["search/certified_steps_percent"] == 100 * kept
    charts = search_part(to_json(full_config(search=config)), run)["search_charts"]
    captions = [chart["caption"] for chart in charts]
    assert any(f"{sum(held)} of 2 steps kept to the angle" in text for text in captions)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    config = search_config()
    run = new_run(tmp_path_factory.mktemp("search") / "run")
    result = search(config, halves(config), run)
    return config, run, result


def test_a_search_leaves_a_record_of_every_step_and_epoch(uninterrupted):
    _, run, result = uninterrupted
    steps, epochs = run.records("search/steps"), run.records("search/epochs")
    assert not any("certified" in name for record in (*steps, *epochs) for name in record)
    assert [(r["epoch"], r["step"]) for r in steps] == [
        (epoch, step) for epoch in range(EPOCHS) for step in range(STEPS)
    ]
    for record in steps:
        assert record["direct_norm"] > 0
        assert record["implicit_norm"] > 0
        assert 0 <= record["angle_degrees"] <= 180
    assert [record["epoch"] for record in epochs] == list(range(EPOCHS))
    for kind in ("normal", "reduce"):
        mixing = torch.tensor(epochs[-1]["mixing"][kind])
        assert mixing.shape == (2, 4)
        assert torch.allclose(mixing.sum(1), torch.ones(2))
    assert result.val.accuracy_percent == epochs[-1]["val_accuracy_percent"]
    assert result.val.images == 30


def test_the_genotype_is_that_of_the_last_alpha_and_is_written(uninterrupted):
    _, run, result = uninterrupted
    assert Genotype.from_dict(run.read("genotype.json"), TWO_EDGES) == result.genotype
    assert run.records("search/epochs")[-1]["genotype"] == result.genotype.to_dict()


def test_the_learning_rate_falls_along_one_half_cosine_from_first_to_last_step(uninterrupted):
    config, run, _ = uninterrupted
    taken = [record["learning_rate"] for record in run.records("search/steps")]
    total = EPOCHS * STEPS
    high, low = config.learning_rate, config.learning_rate_end
    assert taken == pytest.approx(
        [low + (high - low) * (1 + cos(pi * k / total)) / 2 for k in range(total)]
    )


def test_weight_decay_is_in_the_inner_loss_and_in_no_optimiser_of_omega(uninterrupted):
    """SGD with weight decay minimises L_train + λ/2 ‖ω‖²; counted twice it would be 2λ."""
    config, run, _ = uninterrupted
    state = final_state(run, config)
    assert [group["weight_decay"] for group in state["inner"]["param_groups"]] == [0]
    assert [group["momentum"] for group in state["inner"]["param_groups"]] == [0.9]
    assert [group["weight_decay"] for group in state["outer"]["param_groups"]] == [1e-3]


def test_alpha_omega_and_the_statistics_of_batch_norm_all_moved(uninterrupted, tmp_path):
    config, run, _ = uninterrupted
    end = final_state(run, config)
    follower = Follower(die_at=("search", 1, 0))
    early = new_run(tmp_path / "early", follower)
    with pytest.raises(KilledError):
        search(config, halves(config), early)
    start = final_state(early, config)
    assert saved(early, config).position == (1, 1)
    for part in ("alpha", "supernet"):
        unmoved = [name for name in end[part] if torch.equal(end[part][name], start[part][name])]
        assert unmoved == [], part


def test_a_search_run_twice_with_one_seed_gives_the_same_bits(uninterrupted, tmp_path):
    config, run, result = uninterrupted
    torch.manual_seed(12345)
    again = new_run(tmp_path / "again")
    assert search(config, halves(config), again).genotype == result.genotype
    assert_same_bits(final_state(run, config), final_state(again, config))
    for stream in ("search/steps", "search/epochs"):
        assert timeless(run.records(stream)) == timeless(again.records(stream))


def test_another_seed_gives_another_search(uninterrupted, tmp_path):
    _, run, _ = uninterrupted
    other = search_config(seed=1)
    search(other, halves(other), new_run(tmp_path / "other"))
    first = run.records("search/steps")[0]["train_loss"]
    assert RunFolder.open(tmp_path / "other").records("search/steps")[0]["train_loss"] != first


@pytest.mark.parametrize("die_at", [(0, 1), (1, 0), (1, 2), (2, 1)])
def test_killed_after_any_step_and_resumed_a_search_ends_at_the_same_bits(
    uninterrupted, tmp_path, die_at
):
    config, run, result = uninterrupted
    killed = new_run(tmp_path / "killed", Follower(die_at=("search", *die_at)))
    with pytest.raises(KilledError):
        search(config, halves(config), killed)
    torch.rand(3)  # whatever happened in between
    follower = Follower()
    resumed = RunFolder.open(killed.path, (follower,))
    assert search(config, halves(config), resumed).genotype == result.genotype
    assert follower.begun == [("search", (die_at[0], die_at[1] + 1))]
    assert_same_bits(final_state(run, config), final_state(resumed, config))
    for stream in ("search/steps", "search/epochs"):
        assert timeless(run.records(stream)) == timeless(resumed.records(stream))


def test_darts_second_order_resumes_to_the_same_bits_though_it_reads_the_momentum(tmp_path):
    config = search_config(estimator=DartsSecondOrder(), epochs=2)
    whole = new_run(tmp_path / "whole")
    search(config, halves(config), whole)
    killed = new_run(tmp_path / "killed", Follower(die_at=("search", 1, 1)))
    with pytest.raises(KilledError):
        search(config, halves(config), killed)
    search(config, halves(config), RunFolder.open(killed.path))
    assert_same_bits(final_state(whole, config), final_state(killed, config))


def test_a_finished_search_is_not_repeated(uninterrupted):
    config, run, result = uninterrupted
    before = (run.path / "search" / "steps.jsonl").read_bytes()
    again = search(config, halves(config), run)
    assert (again.genotype, again.val) == (result.genotype, result.val)
    assert (run.path / "search" / "steps.jsonl").read_bytes() == before


def test_a_search_is_not_resumed_under_another_config(uninterrupted):
    _, run, _ = uninterrupted
    other = search_config(channels=4)
    with pytest.raises(ValueError, match=r"from another config \(channels: 2 ≠ 4\)"):
        search(other, halves(other), run)


def test_a_first_order_search_has_no_implicit_term_and_no_angle(tmp_path):
    config = search_config(estimator=FirstOrder(), epochs=1)
    run = new_run(tmp_path / "run")
    search(config, halves(config), run)
    for record in run.records("search/steps"):
        assert record["implicit_norm"] == 0
        assert record["angle_degrees"] is None


def test_a_loss_that_is_not_finite_stops_the_search_and_keeps_the_last_good_state(
    tmp_path, monkeypatch
):
    config = search_config()
    stepped, taken = solver.outer_step, []

    def poisoned(problem, omega, alpha, **how):
        taken.append(how)
        if len(taken) == STEPS + 2:
            with torch.no_grad():
                next(iter(omega.values())).fill_(float("nan"))
        return stepped(problem, omega, alpha, **how)

    monkeypatch.setattr(sys.modules["darts.training.searching"], "outer_step", poisoned)
    run = new_run(tmp_path / "run")
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step 1: .* is nan.* good state"):
        search(config, halves(config), run)
    kept = final_state(run, config)
    assert saved(run, config).position == (1, 1)
    assert all(torch.isfinite(value).all() for value in kept["supernet"].values())
    assert not run.has("genotype.json")


def test_every_step_of_omega_is_clipped(tmp_path):
    """The gradient that SGD steps with, where the one of the loss is longer."""
    config, lengths = search_config(epochs=1, clip=0.01), []

    def look(optimizer, args, kwargs):
        if isinstance(optimizer, SGD):
            slopes = [p.grad for group in optimizer.param_groups for p in group["params"]]
            lengths.append(float(torch.nn.utils.get_total_norm(slopes)))

    hook = register_optimizer_step_pre_hook(look)
    try:
        run = new_run(tmp_path / "run")
        search(config, halves(config), run)
    finally:
        hook.remove()
    assert len(lengths) == STEPS
    assert lengths == pytest.approx([config.clip] * STEPS, rel=1e-3)
    assert all(r["inner_gradient_norm"] > 2 * config.clip for r in run.records("search/steps"))


def test_a_batch_larger_than_a_half_is_refused_before_anything_is_built():
    config = full_config(search=search_config(batch_size=31))
    with pytest.raises(ValueError, match="search train batch of 31 images asked, of 30"):
        require_feasible(config, images())


def test_the_supernet_is_judged_on_evenly_spaced_images_of_alphas_half():
    val = images().train.take(torch.arange(40))
    for most, expected in ((None, 40), (40, 40), (100, 40), (4, 4)):
        assert len(search_config(evaluation_images=most).evaluated(val)) == expected
    taken = search_config(evaluation_images=4).evaluated(val)
    assert torch.equal(taken.labels, val.labels[[0, 10, 20, 30]])


def test_a_search_that_judges_on_fewer_images_takes_the_same_steps(tmp_path):
    records, numbers = [], []
    for name, most in (("all", None), ("some", 5)):
        config = search_config(FirstOrder(), evaluation_images=most)
        run = new_run(tmp_path / name)
        numbers.append(search(config, halves(config), run).val.images)
        records.append(timeless(run.records("search/steps")))
    assert records[0] == records[1]
    assert numbers == [len(halves(config).val), 5]
