"""Reverse over forward mode gives a search the exact products of a graph, in every space it has."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from bilevel import Autograd, BilevelProblem, Vector, relative_error
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import Amended
from darts.config.forward_mode import COMPARED
from darts.config.presets import PRESETS
from darts.config.search import SearchConfig
from darts.data import SearchData
from darts.methods import Progressive
from darts.spaces import Space, operations
from darts.spaces.darts_space import s2
from darts.spaces.operations import OPERATIONS, Operation, Pool
from darts.training.searching import Searching
from tests.darts.training.tiny import images, search_config

f64 = torch.float64
STAGES = Progressive((2, 2), (8, 3), (0.3, 0.5), frozen_epochs=0)
LARGE = Space(
    name="large-kernels",
    operations=("sep_conv_7x7", "conv_7x1_1x7", "noise", "max_pool_3x3", "avg_pool_3x3"),
    nodes=1,
    edges=((0, 2), (1, 2)),
    keep_edges=None,
)
"""Operations of genotypes, and of spaces of one's own."""


def small(config: SearchConfig) -> SearchConfig:
    """The same space and methods in a network of seconds."""
    cells = 3 if config.space.macro_architecture.inputs == 1 else 2
    space = s2(cells) if config.space.name == "s2" else config.space
    partial = config.partial_channels
    return replace(
        config,
        space=space,
        epochs=4,
        batch_size=6,
        cells=cells,
        channels=2 if partial is None else 2 * partial.share,
        progressive=config.progressive and STAGES,
        cutout=0,
        padding=1,
        frozen_epochs=0,
    )


CASES = {
    **{name: small(run.search) for name, run in PRESETS.items() if run.search is not None},
    "large kernels": search_config(space=LARGE),
    "all that is dropped": search_config(drop_path=0.5, dropout=0.2, auxiliary_weight=0.4),
}
DISTINCT = {
    repr(
        replace(
            config,
            estimator=Amended(1.0),
            alpha_learning_rate=1,
            learning_rate=1,
            stop=None,
            selection=None,
        )
    ): name
    for name, config in CASES.items()
}
"""Names by what a loss depends on: presets that differ in size, data or schedules share one."""


def problem_of(config: SearchConfig, *, recompute: bool) -> tuple[BilevelProblem, Any, Any]:
    """The loss of a late step in float64, its ω and its α; of several stages the last."""
    searching = Searching(config, SearchData.of(images(), 0.5, 0))
    for epoch in range(config.epochs):
        searching.enter(epoch)
    searching.supernet.double().recompute = recompute
    torch.manual_seed(1)
    alpha = searching.architecture.initial(1, scale=0.5, dtype=f64)
    channels = searching.data.train.channels
    side = 29 if config.auxiliary_weight else 7  # odd; an auxiliary head needs 8 pixels after two
    pair = [
        (torch.randn(6, channels, side, side, dtype=f64), torch.randint(10, (6,))) for _ in range(2)
    ]
    epoch = config.epochs - 1
    problem = searching.adapter.problem(
        *pair,
        seed=3,
        alpha=alpha,
        progress=searching.progress(epoch),
        regularisation=searching.regularisation(epoch),
    )
    return problem, searching.omega, alpha


RECOMPUTED = ("all that is dropped", "cifar10-pc-darts", "nasbench201-tiny")
"""Cells computed again differ from kept ones in masks, channels and places; the rest is slow."""


@pytest.mark.parametrize(
    ("name", "recompute"),
    [pytest.param(name, False, id=f"{name}-kept") for name in DISTINCT.values()]
    + [
        pytest.param(
            name,
            True,
            id=f"{name}-recomputed",
            marks=[] if name in RECOMPUTED else [pytest.mark.slow],
        )
        for name in DISTINCT.values()
    ],
)
def test_its_estimate_is_that_of_a_graph(name, recompute):
    problem, omega, alpha = problem_of(CASES[name], recompute=recompute)
    found, expected = (
        Amended(0.1, derivatives=how)(problem, omega, alpha)
        for how in (ReverseOverForward(), Autograd())
    )
    assert found.outer_loss == expected.outer_loss
    for term in ("direct", "implicit"):
        ours, theirs = (Vector.of(getattr(h, term)) for h in (found, expected))
        assert float(theirs.norm()) > 0
        assert relative_error(ours, theirs) < 1e-9, term
    at, hyper = Vector.of(omega).detach(), Vector.of(alpha).detach()
    ours, theirs = (
        how(problem, at, hyper).mixed.T @ hyper for how in (ReverseOverForward(), Autograd())
    )
    assert relative_error(ours, theirs) < 1e-9


def test_every_operation_is_compared():
    compared = {name for case in DISTINCT.values() for name in CASES[case].space.operations}
    assert compared == set(OPERATIONS)
    assert compared == COMPARED


class Softmaxed(Operation):
    """Which PyTorch does not differentiate so, and says so."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.softmax(x.raw[:, :, :: self.stride, :: self.stride], dim=1)


class Wrong(torch.autograd.Function):
    """x ↦ x³ with a forward mode whose factor does not depend on x."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, slope):
        return 3 * ctx.saved_tensors[0] ** 2 * slope

    @staticmethod
    def jvp(ctx, tangent):
        return 3 * ctx.saved_tensors[0].detach() ** 2 * tangent


class Cubed(Softmaxed):
    """Which is differentiated wrongly, without a word."""

    def forward(self, x):
        return Wrong.apply(x.raw[:, :, :: self.stride, :: self.stride])


def layer_normed(channels, stride, recipe):
    return Pool(nn.AvgPool2d(3, stride, padding=1), nn.LayerNorm(8 // stride))


OWN = {
    "softmaxed": (lambda channels, stride, recipe: Softmaxed(stride), "writes in place"),
    "layer_normed": (layer_normed, "met layer_norm"),
    "cubed": (lambda channels, stride, recipe: Cubed(stride), "differ from a graph's"),
    "blurred": (
        lambda channels, stride, recipe: Pool(
            nn.AvgPool2d(3, stride, padding=1), recipe.pool_norm(channels)
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_an_operation_of_ones_own_is_tried_before_any_work(name, monkeypatch):
    make, message = OWN[name]
    monkeypatch.setitem(operations._TABLE, name, make)
    space = replace(LARGE, operations=("skip_connect", name))
    forwards = Amended(0.1, derivatives=ReverseOverForward())
    search_config(Amended(0.1), space=space)
    if message is None:
        search_config(forwards, space=space)
        return
    with pytest.raises(ValueError, match=f"operation '{name}'.*{message}.*derivatives=autograd"):
        search_config(forwards, space=space)
