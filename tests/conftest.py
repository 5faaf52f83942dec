"""Settings for the whole run: one thread, reproducible examples."""

import os

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
