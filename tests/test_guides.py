"""What guides promise beyond running: numbers against other code, readers named, an index."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import documents

GUIDES = [page for page in documents.PAGES if page.startswith("docs/guides/")]
PAGES = [page for page in GUIDES if not page.endswith("README.md")]
RATES = "docs/guides/learning-rates-and-maml.md"
WEIGHTS = "docs/guides/data-weights.md"
PROCESSES = "docs/guides/several-processes.md"


@pytest.fixture(autouse=True)
def _random_state() -> Any:
    with torch.random.fork_rng():
        yield


def test_a_network_learns_the_weights_of_data() -> None:
    """The first blocks, before the one that does the same for five seeds."""
    found = documents.run(WEIGHTS, first=4)
    weights = found["weigher"](found["seen"])[:, 0]
    wrong = found["wrong"]
    assert weights[~wrong].mean() > 3 * weights[wrong].mean()


@pytest.mark.slow
def test_learned_weights_are_worth_what_the_guide_says() -> None:
    runs = documents.run(WEIGHTS)["runs"]
    others = ("equal weights", "the 50 clean alone", "plain")
    for run in runs:
        learned, bound = run["% with the learned weights"], run["% with the right labels alone"]
        names = [name for name in run if any(other in name for other in others)]
        assert len(names) == 3
        assert all(run[name] < learned < bound for name in names)


def test_the_gradients_of_the_guide_to_maml_are_those_of_autograd() -> None:
    """Three steps written out, and a dense solve, share no code with the estimators."""
    found = documents.run(RATES)
    alpha, (support, query) = found["start"](), found["task"](7)
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in alpha.items()}
    weights: Any = leaves
    for _ in range(3):
        slopes = torch.autograd.grad(
            found["error"](weights, support), list(weights.values()), create_graph=True
        )
        weights = {n: w - 0.1 * g for (n, w), g in zip(weights.items(), slopes, strict=True)}
    expected = torch.autograd.grad(found["error"](weights, query), list(leaves.values()))
    unrolled = found["unrolled"](alpha, support, query).total
    for name, own in zip(alpha, expected, strict=True):
        torch.testing.assert_close(unrolled[name], own, rtol=1e-10, atol=1e-13)

    omega = found["adapted"](alpha, support)
    shapes = {name: leaf.shape for name, leaf in omega.items()}

    def of(flat: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = flat.split([shape.numel() for shape in shapes.values()])
        return {n: p.view(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}

    flat = torch.cat([leaf.reshape(-1) for leaf in omega.values()]).requires_grad_()
    hessian = torch.autograd.functional.hessian(
        lambda w: found["near_start"](of(w), alpha, support), flat
    )
    (slope,) = torch.autograd.grad(found["error"](of(flat), query), flat)
    right = found["strength"] * torch.linalg.solve(hessian, slope)  # B = −λI, so g₂ = λH⁻¹v
    implicit = found["implicit"](alpha, support, query).total
    got = torch.cat([implicit[name].reshape(-1) for name in shapes])
    # residual 1e-6, and H ≻ 0 of this condition number
    assert (got - right).norm() < 1e-6 * torch.linalg.cond(hessian) * right.norm()


@pytest.mark.slow
def test_the_program_of_two_processes_finds_what_one_process_does(tmp_path: Path) -> None:
    ((program, shown),) = documents.blocks(PROCESSES)
    assert shown
    (tmp_path / "train.py").write_text(program, encoding="utf-8")
    printed = (shown, printed_by(tmp_path, 1), printed_by(tmp_path, 2))
    numbers = [[float(n) for n in re.findall(r"-?\d+\.\d+", text)] for text in printed]
    assert len(numbers[0]) == 2
    for found in numbers[1:]:
        assert found == pytest.approx(numbers[0], abs=1.1e-6)  # one unit of the last digit


def printed_by(folder: Path, ranks: int) -> str:
    """What the program prints in so many processes, started with what torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    root = str(documents.ROOT)
    running = [
        subprocess.Popen(
            [sys.executable, "train.py"],
            cwd=folder,
            env=os.environ | common | {"RANK": str(rank), "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    try:
        results = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * ranks, results
    return "".join(out for out, _ in results)


@pytest.mark.parametrize("page", PAGES)
def test_the_guide_says_whom_it_is_for_and_what_is_not_guaranteed(page: str) -> None:
    text = documents.text_of(page)
    opening = text.split("\n\n")[1]
    assert opening.startswith("For a reader ")
    assert "At the end" in opening
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "What is not guaranteed"
    name = page.removeprefix("docs/guides/")
    assert f"]({name})" in documents.text_of("docs/guides/README.md")


def test_the_parts_of_an_alternation_are_in_a_guide() -> None:
    text = "".join(documents.text_of(page) for page in PAGES)
    for name in ("from_module(", "solve(", "alternating_step(", "replaying(", ".on("):
        assert name in text
    for name in ("warm_start=True", "checkpoints=Checkpoints(", "constraint=Simplex("):
        assert name in text
