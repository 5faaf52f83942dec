"""A search with a target: its term in L_val, its records, and a limit that halves the cost."""

from dataclasses import replace

import pytest
import torch

from bilevel import Vector
from bilevel.estimators import FirstOrder
from darts.config.as_json import from_json, to_json
from darts.config.search import SearchConfig
from darts.data import Digits
from darts.methods import CostLimit, CostWeight
from darts.names import TYPES
from darts.networks.blueprint import Blueprint
from darts.networks.width import MultiplyAddLimit, multiply_adds
from darts.records.run_folder import RunFolder
from darts.reports.search_part import _costs
from darts.spaces import NASBENCH201, S1_FIXED, Genotype
from darts.spaces.genotype import CellGenotype
from darts.training.full import require_feasible
from darts.training.search import search
from darts.training.searching import Searching
from darts.training.target_costs import retrain_costs
from tests.darts.training import tiny


def halves(config):
    return config.halves(tiny.images())


def test_the_term_is_in_the_outer_loss_alone_and_every_estimator_sees_it():
    plain, with_cost = (
        Searching(config, halves(config))
        for config in (tiny.search_config(), tiny.search_config(target=CostWeight(0.5)))
    )
    found = []
    for searching in (plain, with_cost):
        problem = searching.problem(0, 0)
        omega, alpha = Vector.of(searching.omega), Vector.of(searching.alpha)
        value = problem.outer_value(omega, alpha)
        terms = searching.config.estimator(problem, searching.omega, searching.alpha)
        found.append((float(value.detach()), Vector.of(terms.direct), Vector.of(terms.implicit)))
    (before, direct, implicit), (after, direct_with, implicit_with) = found
    leaves = {k: v.detach().double().requires_grad_() for k, v in with_cost.alpha.items()}
    expected, _ = with_cost.adapter.cost(leaves)
    assert after - before == pytest.approx(0.5 * expected.item(), rel=1e-4)
    slope = Vector.of(
        dict(zip(leaves, torch.autograd.grad(0.5 * expected, tuple(leaves.values())), strict=True))
    )
    difference = (direct_with - direct).flat().double()
    torch.testing.assert_close(difference, slope.flat(), rtol=1e-3, atol=1e-6)  # float32
    assert torch.equal(implicit_with.flat(), implicit.flat())


def test_a_run_records_both_costs_and_says_whether_the_limit_was_kept(tmp_path):
    for most, words in ((1e-4, "ABOVE the limit"), (100.0, "within the limit")):
        config = tiny.search_config(target=CostLimit(most), epochs=1)
        notes = []

        class Noting(RunFolder):
            def note(self, text, notes=notes):
                notes.append(text)

        run = Noting(tmp_path / str(most))
        result = search(config, halves(config), run)
        last = run.records("search/epochs")[-1]
        assert last["cost_unit"] == "M multiply-adds"
        assert last["found_cost"] == pytest.approx(result.cost["value"], rel=1e-6)
        assert result.to_dict()["cost"]["most"] == most
        assert any(words in note for note in notes)
        run.write("result.json", {"search": result.to_dict()})
        (chart,) = _costs(run.records("search/epochs"), run)
        assert f"the limit was {most:g}" in chart["caption"]
        assert "Cost of the network, M multiply-adds" in str(chart["pictures"])


def test_a_limit_that_nothing_keeps_is_refused_before_the_search():
    config = tiny.full_config(search=tiny.search_config(target=CostLimit(1e-6)))
    for whole, sizes in ((config, "retraining"), (replace(config, retrain=None), "supernet")):
        with pytest.raises(
            ValueError, match=rf"lightest cells of space 'two-edges' cost 0\.\d+ M.* of the {sizes}"
        ):
            require_feasible(whole, tiny.images())


def test_a_width_is_refused_only_where_the_cheapest_cells_at_the_least_channels_exceed_it():
    """Pools in a cell that reduces have no multiply-adds; a skip, which is strided there, has."""
    images, space = tiny.images(), S1_FIXED
    pools = [("max_pool_3x3", source) for source, _ in space.edges]
    cells = tuple(CellGenotype.of(space, kind, pools) for kind in space.cell_kinds)
    config = tiny.full_config(search=tiny.search_config(space=space))
    retrain = replace(config.retrain, channels=1, cells=3)
    shape, classes = images.train.shape, images.train.classes
    blueprint = retrain.blueprint(Genotype(cells), shape, classes)
    millions = multiply_adds(blueprint, shape[1:]) / 1e6
    for share in (1.001, 0.999):
        limited = replace(retrain, channels=MultiplyAddLimit(share * millions))
        whole = replace(config, retrain=limited)
        if share > 1:
            require_feasible(whole, images)
            continue
        with pytest.raises(ValueError, match=rf"with C = 1 have {millions:.4g} M multiply-adds"):
            require_feasible(whole, images)


def test_configs_without_a_target_are_written_as_before():
    for target in (None, CostLimit(2.0)):
        config = tiny.search_config(target=target)
        content = to_json(config)
        assert ("target" in content) == (target is not None)
        assert from_json(content, TYPES) == config


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_on_digits_a_limit_halves_the_multiply_adds_of_what_is_found(seed, tmp_path):
    """Of 200 digits in NAS-Bench-201, four epochs: half of what the same search finds without."""
    images = Digits(train_size=200).load()
    config = SearchConfig(
        space=NASBENCH201,
        estimator=FirstOrder(),
        seed=seed,
        epochs=4,
        batch_size=16,
        channels=2,
        cells=3,
        alpha_learning_rate=0.1,
        learning_rate=0.1,
        padding=0,
    )
    sizes = tiny.retrain_config(channels=8, cells=6)
    costs = retrain_costs(config, sizes, images.train.shape, images.train.classes)

    def found(config, name):
        data = config.halves(images)
        return search(config, data, RunFolder(tmp_path / name), costs=costs)

    before = costs.of(found(config, "plain").genotype)
    result = found(replace(config, target=CostLimit(before / 2)), "limited")
    assert costs.of(result.genotype) <= before / 2
    counted = multiply_adds(Blueprint(result.genotype, 8, 6, 10, 1), (8, 8)) / 1e6
    assert counted == pytest.approx(result.cost["value"], rel=1e-12)
