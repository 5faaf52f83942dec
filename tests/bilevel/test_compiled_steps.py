"""Compiled steps leave the same numbers in the same places as NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from bilevel import Vector
from bilevel.compiled_steps import compiled, is_silent
from bilevel.estimators import ConjugateGradient
from bilevel.native import compiler
from bilevel.problems import logistic_regression, mlp_cleaning
from bilevel.traced import Traced

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
Draw = np.random.Generator
SEEDS = range(20)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is compiled anew, and the user's cache stays as it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def pool(draw: Draw, kind: Any) -> list[Any]:
    """Arrays of several shapes and layouts, some of them views of the same memory."""
    base = [draw.standard_normal(24).astype(kind) for _ in range(4)]
    square = [draw.standard_normal((4, 4)).astype(kind) for _ in range(3)]
    return [
        *(x.reshape(4, 6) for x in base[:2]),
        *(x.reshape(6, 4).T for x in base[2:]),
        base[0].reshape(4, 6)[:, 1:5],
        base[1].reshape(6, 4)[:4],
        *square,
        square[0].T,
        square[1][1:3],
        draw.standard_normal(4).astype(kind),
        draw.standard_normal((4, 1)).astype(kind),
        draw.standard_normal((1, 4)).astype(kind),
        draw.standard_normal(6).astype(kind),
        np.asfortranarray(draw.standard_normal((6, 4)).astype(kind)),
        np.array(draw.standard_normal(), dtype=kind),
        draw.standard_normal((2, 3, 4)).astype(kind),
    ]


def step(draw: Draw, arrays: list[Any]) -> Callable[[], Any]:
    """One operation on arrays of the pool whose shapes fit."""
    while True:
        a, b, out = (arrays[i] for i in draw.integers(len(arrays), size=3))
        kind, fits = draw.integers(5), _fits(a, out)
        if kind == 0 and fits and _fits(b, out):
            return partial([np.add, np.subtract, np.multiply][draw.integers(3)], a, b, out=out)
        if kind == 1 and fits:
            return partial(np.divide, a, 4, out=out)
        if kind == 2 and fits:
            return [partial(np.copyto, out, a), partial(np.negative, a, out=out)][draw.integers(2)]
        if (
            kind == 3
            and a.ndim == b.ndim == 2
            and (a.shape[1], out.shape)
            == (
                b.shape[0],
                (a.shape[0], b.shape[1]),
            )
        ):
            return partial(np.matmul, a, b, out=out)
        if kind == 4 and a.ndim:
            some = tuple(range(a.ndim)), (int(draw.integers(-a.ndim, a.ndim)),)
            axes, keep = some[int(draw.integers(3) > 0)], bool(draw.integers(2))
            if np.add.reduce(a, axes, keepdims=keep).shape == out.shape:
                return partial(np.add.reduce, a, axes, None, out, keep)


def _fits(a: Any, out: Any) -> bool:
    try:
        return bool(np.broadcast_shapes(a.shape, out.shape) == out.shape)
    except ValueError:
        return False


@needs_compiler
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_random_steps_leave_what_numpy_leaves(kind: Any) -> None:
    """Operands that overlap, results that overwrite them, every layout: programs of 12 steps."""
    pools = [[pool(np.random.default_rng(seed), kind) for _ in range(2)] for seed in SEEDS]
    expected, found = ([pair[i] for pair in pools] for i in range(2))
    lists = [
        [
            [step(draw, arrays) for _ in range(12)]
            for arrays, draw in zip(side, _draws(), strict=True)
        ]
        for side in (expected, found)
    ]
    built = compiled(*lists[1])
    assert sum(map(len, built)) < 0.7 * sum(map(len, lists[1]))
    eps = float(np.finfo(kind).eps)
    for seed, (plain, steps) in enumerate(zip(lists[0], built, strict=True)):
        for each in (*plain, *steps):
            each()
        largest = max(float(np.abs(x).max()) for x in expected[seed])
        for x, y in zip(expected[seed], found[seed], strict=True):
            assert float(np.abs(x - y).max()) <= 100 * eps * max(largest, 1.0), seed


def _draws() -> list[Draw]:
    return [np.random.default_rng(1000 + seed) for seed in SEEDS]


@needs_compiler
def test_a_number_that_is_not_finite_stays_so() -> None:
    x, out = np.array([np.inf, np.nan, 1.0, -1.0]), np.empty(4)
    (steps,) = compiled(
        [partial(np.multiply, x, 0.0, out=out), partial(np.subtract, out, x, out=out)]
    )
    assert is_silent(steps)
    for each in steps:
        each()
    assert np.isnan(out[:2]).all()
    assert out[2:].tolist() == [-1, 1]


@needs_compiler
@pytest.mark.parametrize("make", [logistic_regression, mlp_cleaning])
def test_a_product_of_the_benchmark_is_one_compiled_call(make: Any) -> None:
    ready, derivatives = make(), Traced()
    point = Vector.of(ready.params), Vector.of(ready.hyperparams)
    curvature = derivatives(ready.problem, *point)
    (program,) = derivatives._traces[ready.problem].values()
    steps: Any = program.products["hessian"][1]  # type: ignore[union-attr]
    assert steps.silent
    assert len(steps.steps) == 1
    plain = Traced()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILEVEL_NATIVE", "off")
        other = plain(ready.problem, *point)
        (program,) = plain._traces[ready.problem].values()
        assert not program.products["hessian"][1].silent  # type: ignore[union-attr]
    v = torch.linspace(-1, 1, point[0].numel, dtype=torch.float64)
    expected = other.hessian.on_flat(v)
    assert float((curvature.hessian.on_flat(v) - expected).norm()) <= 1e-14 * float(expected.norm())


@pytest.mark.parametrize("broken", ["/nonexistent/compiler", "false"])
def test_without_a_compiler_numpy_takes_the_steps(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", broken)
    out = np.zeros(2)
    steps = [partial(np.add, out, 1.0, out=out), partial(np.multiply, out, 3.0, out=out)]
    assert compiled(steps) == [steps]
    ready = logistic_regression(train=20, val=20)
    found = ConjugateGradient(3, tolerance=None, derivatives=Traced(), stationary=None)(
        *ready.point
    )
    expected = ConjugateGradient(3, tolerance=None, stationary=None)(*ready.point)
    assert torch.allclose(found.total, expected.total, rtol=1e-10)
