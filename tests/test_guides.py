"""Every guide runs as it stands, shows what it says, and is in the index."""

from __future__ import annotations

import inspect
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import bilevel
from bilevel import estimators
from bilevel.derivatives import Derivatives
from tests import documents

GUIDES = documents.DOCS / "guides"
PAGES = sorted(path.name for path in GUIDES.glob("*.md") if path.name != "README.md")
PROCESSES = "several-processes.md"
RUN_ELSEWHERE = (PROCESSES, "maml.md", "minibatches-and-dropout.md")  # with more to assert


@pytest.fixture(autouse=True)
def _random_state() -> Any:
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RUN_ELSEWHERE])
def test_the_guide_runs_and_prints_what_it_shows(page: str) -> None:
    assert documents.run(f"guides/{page}")


def test_the_guide_to_maml_runs_and_its_two_gradients_are_those_of_autograd() -> None:
    """Three steps written out, and a dense solve, share no code with the estimators."""
    found = documents.run("guides/maml.md")
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
    ((program, _),) = documents.blocks(f"guides/{PROCESSES}")
    (tmp_path / "train.py").write_text(program, encoding="utf-8")
    numbers = [
        [float(number) for number in re.findall(r"-?\d+\.\d+", printed_by(tmp_path, ranks))]
        for ranks in (1, 2)
    ]
    assert len(numbers[0]) == 2
    assert numbers[1] == pytest.approx(numbers[0], abs=1.1e-6)  # one unit of the last digit


def printed_by(folder: Path, ranks: int) -> str:
    """What the program prints in so many processes, started with what torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    root = str(documents.DOCS.parent)
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
    text = (GUIDES / page).read_text(encoding="utf-8")
    assert text.split("\n\n")[1].startswith("For a reader ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "What is not guaranteed"
    assert f"]({page})" in (GUIDES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(GUIDES.glob("*.md")), ids=lambda path: path.name)
def test_links_of_the_guide_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_an_output_that_a_page_does_not_show_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "DOCS", tmp_path)
    (tmp_path / "page.md").write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, block 1: '1\\n'"):
        documents.run("page.md")


def test_estimators_and_derivatives_are_where_the_documents_take_them_from() -> None:
    for kind, home in ((estimators.Estimator, estimators), (Derivatives, bilevel)):
        names = {
            each.__name__
            for each in subclasses(kind)
            if each.__module__.startswith(
                ("bilevel.estimators", "bilevel.derivatives", "bilevel.reverse")
            )
            and not inspect.isabstract(each)
        }
        assert len(names) >= 3
        made_inside = {"Checked", "StepAhead"}  # by a check, and by `DartsSecondOrder`
        assert names - made_inside <= set(vars(home))


def subclasses(kind: type) -> set[type]:
    return {kind}.union(*(subclasses(each) for each in kind.__subclasses__())) - {Derivatives}
