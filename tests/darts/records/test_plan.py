"""A sweep's plan: which runs, in which folders, and whether a folder is this sweep's."""

from dataclasses import replace

import pytest

from bilevel import CentralDifference
from bilevel.estimators import Amended, Exact, FirstOrder
from darts.config.search import AMENDED
from darts.records.plan import Plan, amending_coefficients
from tests.darts.training.tiny import full_config, search_config

CONFIG = full_config()


def plan(etas="0,0.1", seeds=(3, 4), config=CONFIG):
    return Plan(amending_coefficients(config, etas), seeds)


def test_every_setting_meets_every_seed_and_early_seeds_come_first():
    trials = plan().trials
    assert [trial.name for trial in trials] == [
        "eta-0/seed-3",
        "eta-0.1/seed-3",
        "eta-0/seed-4",
        "eta-0.1/seed-4",
    ]
    for trial in trials:
        assert trial.config.search.seed == trial.config.retrain.seed == trial.seed
    assert [t.config.search.estimator for t in trials[:2]] == [FirstOrder(), AMENDED]


def test_eta_keeps_how_derivatives_are_taken():
    config = full_config(search=search_config(Amended(eta=3.0, derivatives=CentralDifference())))
    found = amending_coefficients(config, "0.5")["eta-0.5"].search.estimator
    assert found == Amended(eta=0.5, derivatives=CentralDifference())
    other = full_config(search=search_config(Exact()))
    assert amending_coefficients(other, "0.5")["eta-0.5"].search.estimator == replace(
        AMENDED, eta=0.5
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1,big", "'big' is no number"),
        ("0.1,,1", "'' is no number"),
        ("0.1,0.10", "0.1 is there twice"),
        ("-1", "eta must be positive"),
        ("nan", "eta must be positive"),
    ],
)
def test_a_list_of_eta_that_cannot_be_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        amending_coefficients(CONFIG, text)


def test_a_sweep_over_eta_needs_a_search():
    with pytest.raises(ValueError, match="needs a search"):
        amending_coefficients(full_config(search=None), "1")


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_a_plan_without_seeds_or_with_one_twice_is_refused(seeds):
    with pytest.raises(ValueError, match="each seed once"):
        plan(seeds=seeds)


def test_a_folder_belongs_to_one_plan_wherever_its_data_are(tmp_path):
    folder = tmp_path / "sweep"
    plan().write(folder)
    plan().write(folder)
    for other, difference in (
        (plan(seeds=(3, 4, 5)), r"seeds: \[3, 4\] ≠ \[3, 4, 5\]"),
        (plan("0,0.2"), r"settings: \['eta-0', 'eta-0.1'\] ≠ \['eta-0', 'eta-0.2'\]"),
        (plan(config=full_config(search=search_config(epochs=9))), "eta-0: search.epochs: 3 ≠ 9"),
    ):
        with pytest.raises(ValueError, match=difference):
            other.write(folder)
    (folder / "sweep.json").write_text("[]")
    with pytest.raises(ValueError, match=r"sweep\.json holds \[\] and no object"):
        plan().write(folder)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not empty, and no sweep"):
        plan().write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_equal_commands_have_equal_folders_and_others_not():
    assert plan().digest == plan().digest
    digests = {plan().digest, plan("0,0.2").digest, plan(seeds=(3,)).digest}
    digests.add(plan(config=full_config(data=replace(CONFIG.data, train_size=61))).digest)
    assert len(digests) == 4
