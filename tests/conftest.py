"""Settings for the whole run: one thread, reproducible examples."""

import os
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "project",
    deadline=None,  # timings are for benchmarks/
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))


LEDGER = "tests/proofs_checks/", ("test_claims.py", "test_mutants.py", "test_verdict_document.py")
"""The tests that need the whole ledger verified, which takes minutes."""


@pytest.hookimpl(optionalhook=True)  # a hook of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file of tests goes to one process, and the ledger's files to the same one.

    So what a file or the ledger sets up is set up once, and not in every process.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            folder, names = LEDGER
            return "ledger" if path.removeprefix(folder) in names else path

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # small problems, and two workers on two cores


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> str:
    """The CPU, and a GPU where there is one."""
    name: str = request.param
    return name
