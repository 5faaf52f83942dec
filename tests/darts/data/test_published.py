"""CIFAR-10 where it is, and a clear word where it is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts.data import Cifar10


def test_a_missing_data_set_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--data-root .* or add --download"):
        Cifar10(root=str(tmp_path)).load()


def test_a_damaged_data_set_is_an_error_and_not_a_traceback_of_torchvision(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"torn")
    with pytest.raises(FileNotFoundError, match="are damaged"):
        Cifar10(root=str(tmp_path)).load()


BESIDE_PROJECT = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def cifar_root(tmp_path_factory):
    """The official files, written from the data set's copy for tests where this checkout has it."""
    source = Path(os.environ.get("DARTS_DATA_DIR", BESIDE_PROJECT))
    if not (source / "cifar10").is_dir():
        pytest.skip(f"no {source / 'cifar10'}; set DARTS_DATA_DIR to the folder that has cifar10/")
    root = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, source / "materialise.py", root], check=True)
    return root


@pytest.mark.slow
def test_a_subset_of_cifar_is_stratified_and_has_the_known_mean(cifar_root):
    images = Cifar10(root=str(cifar_root), train_size=500, test_size=100).load()
    assert images.train.counts == (50,) * 10
    assert images.test.counts == (10,) * 10
    assert images.train.shape == (3, 32, 32)
    assert images.mirror
    for found, published in zip(images.normalisation.mean, (0.4914, 0.4822, 0.4465), strict=True):
        assert abs(found - published) < 0.02
