"""α becomes mixing weights, and a genotype by the rule of DARTS."""

import pytest
import torch

from darts.networks import Architecture
from darts.spaces import NASBENCH201, ROBUST_S1, S1, S1_FIXED, SPACES, Genotype, Space


def alpha_of(space, value: float = 0.0):
    shape = (len(space.edges), len(space.operations))
    return {kind: torch.full(shape, value) for kind in space.cell_kinds}


def set_alpha(alpha, space, kind, edge, operation, value):
    alpha[kind][space.edges.index(edge), space.operations.index(operation)] = value


def test_initial_alpha_depends_on_the_seed_alone():
    first, again = Architecture(S1).initial(5), Architecture(S1).initial(5)
    torch.manual_seed(99)
    generator = Architecture(S1).initial(torch.Generator().manual_seed(5))
    for kind in S1.cell_kinds:
        assert torch.equal(first[kind], again[kind])
        assert torch.equal(first[kind], generator[kind])
    assert not torch.equal(first["normal"], Architecture(S1).initial(6)["normal"])
    assert not torch.equal(first["normal"], first["reduce"])


def test_initial_alpha_has_the_spread_of_darts():
    alpha = torch.cat(list(Architecture(S1).initial(0).values()))
    assert alpha.shape == (28, 8)
    assert 0.8e-3 < alpha.std() < 1.2e-3
    assert Architecture(S1).initial(0, dtype=torch.float64)["normal"].dtype == torch.float64


def test_initial_alpha_leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    Architecture(S1).initial(0)
    assert torch.equal(state, torch.get_rng_state())


def test_mixing_weights_of_an_edge_add_up_to_one():
    alpha = alpha_of(S1)
    alpha["normal"][3, 2] = torch.log(torch.tensor(3.0))
    mixing = Architecture(S1).mixing_weights(alpha)
    torch.testing.assert_close(mixing["normal"].sum(dim=1), torch.ones(14))
    assert mixing["normal"][3, 2].item() == pytest.approx(3 / 10)
    assert mixing["normal"][3, 1].item() == pytest.approx(1 / 10)


def test_genotype_keeps_the_two_strongest_edges_of_each_node_strongest_first():
    alpha = alpha_of(S1)
    set_alpha(alpha, S1, "normal", (3, 4), "sep_conv_5x5", 2.0)
    set_alpha(alpha, S1, "normal", (0, 4), "skip_connect", 1.0)
    set_alpha(alpha, S1, "normal", (1, 4), "dil_conv_3x3", 0.5)
    genotype = Architecture(S1).genotype(alpha)
    assert genotype["normal"].inputs(2) == (("sep_conv_5x5", 3), ("skip_connect", 0))
    genotype.require(S1)


def test_genotype_keeps_kinds_apart():
    alpha = alpha_of(S1)
    set_alpha(alpha, S1, "reduce", (1, 2), "avg_pool_3x3", 1.0)
    genotype = Architecture(S1).genotype(alpha)
    assert genotype["reduce"].inputs(0)[0] == ("avg_pool_3x3", 1)
    assert genotype["normal"].inputs(0)[0] == ("max_pool_3x3", 0)


def test_none_is_never_chosen_however_strong():
    alpha = alpha_of(S1)
    for kind in S1.cell_kinds:
        alpha[kind][:, 0] = 10.0
        alpha[kind][:, S1.operations.index("dil_conv_5x5")] = 0.1
    genotype = Architecture(S1).genotype(alpha)
    for cell in genotype.cells:
        assert {operation for operation, _ in cell.edges} == {"dil_conv_5x5"}


def test_strong_none_makes_an_edge_weak():
    """Edge 0 → 3 has the largest α, but none takes its weight: softmax ranks it last."""
    alpha = alpha_of(S1)
    set_alpha(alpha, S1, "normal", (0, 3), "sep_conv_3x3", 2.0)
    set_alpha(alpha, S1, "normal", (0, 3), "none", 6.0)
    inputs = Architecture(S1).genotype(alpha)["normal"].inputs(1)
    assert {source for _, source in inputs} == {1, 2}


def test_fixed_edges_are_all_kept_in_order():
    alpha = alpha_of(S1_FIXED)
    set_alpha(alpha, S1_FIXED, "normal", (0, 4), "sep_conv_5x5", -5.0)
    set_alpha(alpha, S1_FIXED, "normal", (3, 4), "skip_connect", 5.0)
    cell = Architecture(S1_FIXED).genotype(alpha)["normal"]
    assert [source for _, source in cell.edges] == [source for source, _ in S1_FIXED.edges]
    assert cell.inputs(2) == (("max_pool_3x3", 0), ("skip_connect", 3))
    assert cell.concat == (2, 3, 4, 5)


def test_alpha_of_another_space_is_refused():
    with pytest.raises(ValueError, match=r"'s1' has the shapes .*\(14, 8\).* found .*\(8, 7\)"):
        Architecture(S1).genotype(alpha_of(S1_FIXED))


def test_alpha_that_is_not_finite_is_refused():
    alpha = alpha_of(S1)
    alpha["reduce"][2, 3] = float("nan")
    with pytest.raises(
        ValueError, match=r"α\['reduce'\] holds 1 values that are not finite, of 112"
    ):
        Architecture(S1).genotype(alpha)


def test_nodes_may_keep_any_number_of_inputs():
    edges = ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    space = Space("dense", S1.operations, nodes=2, edges=edges, keep_edges=None)
    genotype = Architecture(space).genotype(alpha_of(space))
    assert [len(genotype["normal"].inputs(node)) for node in (0, 1)] == [2, 3]
    assert Genotype.from_json(genotype.to_json(), space) == genotype


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_space_gives_a_genotype_of_its_own_that_json_keeps(space):
    genotype = Architecture(space).genotype(Architecture(space).initial(0, scale=1.0))
    assert Genotype.from_json(genotype.to_json(), space) == genotype


def test_an_edge_never_gets_an_operation_that_it_does_not_have():
    """robust-s1, with a huge α on everything that its edges lack."""
    alpha = alpha_of(ROBUST_S1)
    for kind in ROBUST_S1.cell_kinds:
        for row, names in enumerate(ROBUST_S1.choices(kind)):
            for column, name in enumerate(ROBUST_S1.operations):
                alpha[kind][row, column] = 0.0 if name in names else 50.0
    mixing = Architecture(ROBUST_S1).mixing_weights(alpha)
    for kind in ROBUST_S1.cell_kinds:
        for row, names in enumerate(ROBUST_S1.choices(kind)):
            for name, weight in zip(ROBUST_S1.operations, mixing[kind][row], strict=True):
                assert weight == (0.5 if name in names else 0.0)
    Architecture(ROBUST_S1).genotype(alpha).require(ROBUST_S1)


def test_none_is_chosen_where_the_space_keeps_it():
    alpha = alpha_of(NASBENCH201)
    alpha["cell"][:, 0] = 1.0
    cell = Architecture(NASBENCH201).genotype(alpha)["cell"]
    assert {operation for operation, _ in cell.edges} == {"none"}
