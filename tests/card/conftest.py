"""Tests that are run on a GPU where there is one: all of this folder."""

import os

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/card/" in item.path.as_posix():
            item.add_marker(pytest.mark.card)


@pytest.fixture
def card() -> str:
    """The device: that of DARTS_TEST_DEVICE, by default a GPU if there is one, else the CPU."""
    return os.environ.get("DARTS_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def _full_float32() -> None:
    """Ten bits are too few for what is compared here."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
