"""The supernet with fixed norms: what is fixed, and that its kept minimum is one."""

import torch
from torch import nn

from bilevel.vector import Vector
from darts.networks.adapter import SupernetAdapter
from darts.networks.supernet import Supernet
from proofs_checks.fixed_norms import IMAGES, Fixed, FixedNormCase, fixed_norm_case
from proofs_checks.on_fixed_norms import KEPT, kept_point
from proofs_checks.on_supernet import SMALL


def gradient_norm(omega: Vector) -> float:
    case = fixed_norm_case(KEPT[0])
    return float(case.problem(KEPT[1], 0).inner_gradient(omega, Vector.of(case.alpha))[1].norm())


def radial_share(net: nn.Module, case: FixedNormCase) -> float:
    """|⟨∇_w L, w⟩|/(‖∇_w L‖‖w‖) of the stem's weights, which T13 has 0 under batch norm."""
    problem = SupernetAdapter(net, case.architecture, 0.0).problem(
        (case.images[:IMAGES], case.labels[:IMAGES]), (case.images[:1], case.labels[:1]), 0
    )
    omega = Vector.of(dict(net.named_parameters())).detach()
    _, gradient = problem.inner_gradient(omega, Vector.of(case.alpha))
    at = omega.names().index("['stem.0.weight']")
    w, slope = omega.leaves[at].flatten(), gradient.leaves[at].flatten()
    return abs(float(w @ slope / (w.norm() * slope.norm())))


def test_weights_before_a_fixed_norm_feel_their_length_and_before_a_batch_norm_do_not():
    case = fixed_norm_case(0)
    assert any(isinstance(module, Fixed) for module in case.net.modules())
    assert radial_share(case.net.train(), case) > 0.05
    torch.manual_seed(0)
    by_batch = Supernet(
        SMALL, channels=2, cells=2, in_channels=1, stem_multiplier=1, activation=torch.tanh
    ).double()
    assert radial_share(by_batch, case) < 1e-3


def test_the_gradient_vanishes_at_the_kept_minimum_and_not_beside_it():
    omega = kept_point(fixed_norm_case(KEPT[0]))
    assert gradient_norm(omega) < 1e-7
    nudged = omega.flat().clone()
    nudged[0] += 1e-3
    assert gradient_norm(omega.like(nudged)) > 1e-6


def test_validation_batches_share_no_image_with_training():
    case = fixed_norm_case(1)
    assert case.outers == 7
    assert torch.isfinite(case.images).all()
    assert len(case.labels) >= (1 + case.outers) * 200
