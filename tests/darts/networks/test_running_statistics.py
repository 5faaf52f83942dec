"""Running statistics, and evaluation by them, are the same natively as in PyTorch alone."""

import copy
from contextlib import contextmanager
from unittest import mock

import pytest
import torch

from darts.kernels import kernels, native
from darts.methods.mixing_weights import MixingWeights
from darts.methods.partial_channels import PartialChannels
from darts.networks import Architecture, Supernet, weighted_sum
from darts.spaces import NASBENCH201, S1, S1_FIXED, feature_map
from darts.spaces.normalization import BY_BATCH, RUNNING, BatchNorm, Norming, norming
from tests.darts.networks.test_supernet import EVERY

pytestmark = pytest.mark.skipif(kernels().library is None, reason=kernels().reason)


def supernet_of(space=S1, **options):
    supernet = Supernet(space, channels=8, cells=3, classes=3, **options).double()
    alpha = Architecture(space).initial(1, scale=0.5, dtype=torch.float64)
    return supernet, MixingWeights(Architecture(space).mixing_weights(alpha))


def norms_of(supernet):
    return {name: m for name, m in supernet.named_modules() if isinstance(m, BatchNorm)}


def images(size=(9, 8)):
    return torch.randn(3, 3, *size, dtype=torch.float64)


@contextmanager
def in_pytorch():
    """No native kernels for a while."""
    with (
        mock.patch.object(weighted_sum, "usable", return_value=False),
        mock.patch.object(feature_map, "usable", return_value=False),
    ):
        yield


def recorded_and_evaluated(supernet, mixing, batches):
    """Running statistics over the batches, and the logits of the first one by them."""
    torch.manual_seed(0)  # a space has noise for an operation
    with torch.no_grad():
        for count, x in enumerate(batches, start=1):
            for norm in norms_of(supernet).values():
                norm.momentum = 1 / (count + 1)
            supernet.train()(x, mixing)
        logits = supernet.eval()(batches[0], mixing)
    return logits, {
        (name, kind): getattr(norm, kind)
        for name, norm in norms_of(supernet).items()
        for kind in ("running_mean", "running_var")
    }


def agree(supernet, mixing, batches):
    other = copy.deepcopy(supernet)
    with mock.patch.object(native, "forward", wraps=native.forward) as calls:
        found = recorded_and_evaluated(supernet, mixing, batches)
    ways = {None if c.args[1] is None else c.args[1].share for c in calls.call_args_list}
    assert len(ways) == len(batches) + 1  # each batch with its share, and the evaluation
    with in_pytorch():
        expected = recorded_and_evaluated(other, mixing, batches)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])


@EVERY
@pytest.mark.parametrize("size", [(8, 8), (9, 11)], ids=["even", "odd"])
def test_every_space_records_and_evaluates_as_pytorch_does(space, size):
    agree(*supernet_of(space), [images(size) for _ in range(3)])


def test_so_do_partial_channels_and_auxiliary_skips():
    batches = [images() for _ in range(2)]
    agree(*supernet_of(S1_FIXED, partial=PartialChannels(4)), batches)
    supernet, mixing = supernet_of(S1_FIXED, auxiliary_skip=True)
    agree(supernet, MixingWeights(mixing.operations, auxiliary_skip=0.5), batches)


def test_an_evaluation_that_is_to_be_differentiated_is_left_to_pytorch():
    supernet, mixing = supernet_of(S1_FIXED)
    recorded_and_evaluated(supernet, mixing, [images(), images()])
    x = images().requires_grad_()
    found = torch.autograd.grad(supernet(x, mixing).square().sum(), x)
    with in_pytorch():
        expected = torch.autograd.grad(supernet(x, mixing).square().sum(), x)
    torch.testing.assert_close(found, expected)


def test_norms_of_one_supernet_may_be_in_several_modes():
    supernet, mixing = supernet_of(NASBENCH201)
    recorded_and_evaluated(supernet, mixing, [images(), images()])
    for number, norm in enumerate(norms_of(supernet).values()):
        norm.train(number % 3 > 0)
        norm.momentum = 0.25 if number % 3 == 1 else None
    other, x = copy.deepcopy(supernet), images()
    with torch.no_grad():
        found = supernet(x, mixing)
        with in_pytorch():
            expected = other(x, mixing)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(supernet.state_dict(), other.state_dict())


def test_how_a_norm_comes_by_its_numbers():
    norm = BatchNorm(4, affine=False)
    assert norming(norm) == BY_BATCH
    norm.momentum = 0.5
    assert norming(norm) is None  # derivatives are wanted
    with torch.no_grad():
        assert norming(norm) == Norming(running=True, share=0.5)
        assert norming(norm.eval()) == RUNNING
        with torch.autograd.forward_ad.dual_level():
            assert norming(norm) is None
        assert norming(BatchNorm(4, affine=True)) is None
        assert norming(BatchNorm(4, affine=False, eps=1e-3)) is None
        assert norming(torch.nn.BatchNorm2d(4, affine=False)) is None
    assert norming(norm) is None
