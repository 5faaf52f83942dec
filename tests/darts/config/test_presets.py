"""The presets say what the papers say, and can be found from the command line's help."""

import json
import re

import pytest
import torch

from benchmarks.dry_run_table import costs
from darts import cli
from darts.config.costs import recorded_costs
from darts.config.presets import PRESETS
from darts.config.schedule import Linear
from darts.data import Cifar10, Cifar100
from darts.networks.stem_and_head import IMAGENET
from darts.networks.width import MultiplyAddLimit
from darts.spaces import S1, S1_FIXED, S2
from tests import documents
from tests.darts.data.real_files import real
from tests.quadratics import random_quadratic


def test_the_mobile_setting_of_imagenet():
    """§4.2: epochs, rate, momentum and weight decay; PC-DARTS and its code for the rest."""
    preset = PRESETS["imagenet-mobile"]
    retrain = preset.retrain
    assert preset.search is None
    assert (preset.data.name, preset.data.image_size) == ("imagenet", 224)
    assert (retrain.epochs, retrain.batch_size, retrain.warmup_epochs) == (250, 1024, 5)
    assert (retrain.learning_rate, retrain.learning_rate_end) == (0.5, 0.0)
    assert retrain.schedule == Linear()
    assert (retrain.momentum, retrain.weight_decay) == (0.9, 3e-5)
    assert (retrain.label_smoothing, retrain.auxiliary_weight, retrain.clip) == (0.1, 0.4, 5.0)
    assert (retrain.padding, retrain.cutout, retrain.drop_path) == (0, 0, 0.0)
    assert (retrain.stem, retrain.cells) == (IMAGENET, 14)
    assert retrain.channels == MultiplyAddLimit(600.0)


# as the text says, without what it leaves open
OF_THE_TEXT = {
    "cifar10-s1-all-edges": {"space": S1, "channels": 16, "cells": 8, "epochs": 500},
    "cifar10-s1-consistent": {"space": S1_FIXED, "channels": 36, "cells": 8, "epochs": 100},
    "cifar10-s2": {"space": S2, "cells": 20, "epochs": 100},
    "cifar10-s1": {"space": S1_FIXED, "channels": 16, "cells": 8, "epochs": 100},
}


@pytest.mark.parametrize("name", OF_THE_TEXT)
def test_the_papers_searches_have_the_settings_of_its_text(name):
    """§4.1.1 to §4.1.3. Adam's and the batch are the same in all, and so is η from §4.1.1 on."""
    search, retrain = PRESETS[name].search, PRESETS[name].retrain
    assert isinstance(PRESETS[name].data, Cifar10)
    for setting, value in OF_THE_TEXT[name].items():
        assert getattr(search, setting) == value
    assert search.estimator.eta == 0.1
    assert (search.batch_size, search.alpha_learning_rate) == (96, 3e-4)
    assert (search.alpha_weight_decay, search.alpha_betas) == (1e-3, (0.5, 0.999))
    assert (retrain.epochs, retrain.channels, retrain.cells) == (600, 36, 20)
    assert (retrain.learning_rate, retrain.learning_rate_end) == (0.025, 0.0)
    assert (retrain.weight_decay, retrain.momentum) == (3e-4, 0.9)


def test_a_consistent_search_has_what_retraining_has():
    """§4.1.2: the width, Cutout, Dropout and the auxiliary tower; §4.1.1 has none of them."""
    for name in ("cifar10-s1-consistent", "cifar10-s2"):
        search, retrain = PRESETS[name].search, PRESETS[name].retrain
        for setting in ("channels", "cutout", "drop_path", "auxiliary_weight"):
            assert getattr(search, setting) == getattr(retrain, setting) > 0
    for name in ("cifar10-s1-all-edges", "cifar10-s1"):
        search = PRESETS[name].search
        assert (search.cutout, search.drop_path, search.auxiliary_weight) == (0, 0.0, 0.0)


# as their papers and code have them: SNAS, GDAS, PC-DARTS §4.2, P-DARTS §4.2, NAS-Bench-201 §2.3
OF_OTHER_PAPERS = {
    "cifar10-darts-first-order": {"space": S1, "epochs": 50, "batch_size": 64, "cells": 8},
    "cifar10-darts-second-order": {"space": S1, "epochs": 50, "batch_size": 64, "cells": 8},
    "cifar10-snas": {"epochs": 150},
    "cifar10-gdas": {"epochs": 250},
    "cifar10-pc-darts": {
        "batch_size": 256,
        "learning_rate": 0.1,
        "learning_rate_end": 0.0,
        "alpha_learning_rate": 6e-4,
        "frozen_epochs": 15,
        "epochs": 50,
    },
    "cifar10-p-darts": {"epochs": 75, "batch_size": 96, "cells": 5, "alpha_learning_rate": 6e-4},
    "nasbench201": {"channels": 16, "cells": 15, "epochs": 50, "batch_size": 64},
}


def test_idarts_takes_three_terms_of_neumanns_series_by_the_learning_rate_of_the_weights():
    """q = γ (v + (I − γH) v + (I − γH)² v), two products, on a quadratic in dense algebra."""
    search = PRESETS["cifar10-idarts"].search
    assert (search.space, search.epochs, search.batch_size) == (S1, 50, 64)
    gamma, case = search.learning_rate, random_quadratic(0)
    solve = search.estimator(case.problem, *case.point).solve
    identity = torch.eye(len(case.hessian), dtype=torch.float64)
    shrunk = identity - gamma * case.hessian
    expected = gamma * (identity + shrunk + shrunk @ shrunk) @ case.outer_gradient
    torch.testing.assert_close(solve.value.flat(), expected, rtol=1e-12, atol=1e-13)
    assert solve.products == 2


@pytest.mark.parametrize("name", OF_OTHER_PAPERS)
def test_other_methods_have_the_settings_of_their_papers(name):
    for setting, value in OF_OTHER_PAPERS[name].items():
        assert getattr(PRESETS[name].search, setting) == value


def test_nasbench201_retrains_as_its_table_was_made():
    retrain = PRESETS["nasbench201"].retrain
    assert (retrain.epochs, retrain.batch_size, retrain.learning_rate) == (200, 256, 0.1)
    assert (retrain.channels, retrain.cells, retrain.weight_decay) == (16, 15, 5e-4)
    assert (retrain.cutout, retrain.drop_path, retrain.auxiliary_weight) == (0, 0.0, 0.0)


def test_cifar100_has_the_settings_of_cifar10():
    hundred, ten = PRESETS["cifar100-s1"], PRESETS["cifar10-s1"]
    assert isinstance(hundred.data, Cifar100)
    assert (hundred.search, hundred.retrain) == (ten.search, ten.retrain)


def test_the_table_of_presets_names_every_one_with_its_data_and_its_recorded_time(capsys):
    assert cli.main(["presets"]) == 0
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    for name, preset in PRESETS.items():
        assert preset.data.name in lines[name]
        assert recorded_costs().get(name, {}).get("day", "") in shown
        assert ("not measured" in lines[name]) != (name in recorded_costs())
    # 5 times the 7.01 h of 100 epochs, and 4.7 of the retraining (docs/CARD.md)
    assert re.search("one NVIDIA H100 80GB HBM3 +≈ 40 h", lines["cifar10-s1-all-edges"])
    assert "s1, first-order, progressive p-darts " in lines["cifar10-p-darts"]


def test_the_packaged_costs_are_those_of_the_record():
    """`python -m benchmarks.dry_run_table costs` writes them."""
    assert recorded_costs() == costs()


def test_presets_and_the_page_of_dry_runs_print_the_same_memory(capsys):
    assert cli.main(["presets"]) == 0
    printed = dict(re.findall(r"^(\S+) .* ([\d.]+ GiB)", capsys.readouterr().out, re.MULTILINE))
    rows = documents.rows_below("docs/DRY_RUN.md", "| Preset | Images |")
    assert printed == {name.strip("`"): memory for name, *_, memory in rows}


@pytest.mark.parametrize("command", ["full-search", "search", "sweep"])
def test_a_preset_without_a_search_is_refused_where_one_is_asked_for(command, capsys):
    assert cli.main([command, "--preset", "imagenet-mobile"]) == 2
    error = capsys.readouterr().err
    assert f"{command} with the preset imagenet-mobile, which has no search" in error
    assert "darts retrain --preset imagenet-mobile --genotype" in error


@pytest.mark.slow
def test_the_check_of_imagenet_runs_and_its_network_alone_has_the_same_bits(tmp_path, capsys):
    root = str(real("imagenet_sample/imagenette160"))
    run = str(tmp_path / "run")
    command = ["retrain", "--preset", "imagenet-check", "--genotype", "DARTS_V2", "--device", "cpu"]
    assert cli.main([*command, "--data-root", root, "--run-dir", run]) == 0
    assert cli.main(["evaluate", run, "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "top-5" in shown
    trained = json.loads((tmp_path / "run" / "result.json").read_text())["retrain"]
    again = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert trained["multiply_adds_millions"] <= 10
    assert {name: again[name] for name in trained["test"]} == trained["test"]
    assert trained["test"]["images"] == 30
