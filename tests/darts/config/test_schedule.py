"""The learning rate at named steps, by hand and beside the formulas of PC-DARTS's code."""

from dataclasses import replace

import pytest
import torch

from darts.config.imagenet_presets import MOBILE
from darts.config.schedule import HalfCosine, Linear, warm_up
from darts.data import RetrainData
from darts.training.retraining import Training
from tests.darts.training.test_retrain import GENOTYPE, STEPS
from tests.darts.training.tiny import images, retrain_config


def training(**changes: object) -> Training:
    return Training(retrain_config(**changes), GENOTYPE, RetrainData.of(images()))


def gradients(training: Training) -> dict[str, torch.Tensor]:
    """Filled, as a step computes them, with the gradients by the names of parameters."""
    found: dict[str, torch.Tensor] = {}
    for name, parameter in training.network.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda p, name=name: found.update({name: p.grad.clone()})
        )
    return found


def pc_darts(epoch: int, epochs: int = 250, rate: float = 0.5) -> float:
    """The rate of a whole epoch in the code of PC-DARTS (train_imagenet.py), warm-up included."""
    if epochs - epoch > 5:
        rate *= (epochs - 5 - epoch) / (epochs - 5)
    else:
        rate *= (epochs - epoch) / ((epochs - 5) * 5)
    return rate * (epoch + 1) / 5 if epoch < 5 else rate


def test_linear_decay_moves_evenly_from_start_to_end():
    assert [Linear()(0.5, 0.0, part) for part in (0.0, 0.25, 0.5, 1.0)] == [0.5, 0.375, 0.25, 0.0]
    assert Linear()(1.0, 0.2, 0.5) == pytest.approx(0.6)
    assert Linear()(1.0, 0.2, 1.0) == pytest.approx(0.2)


def test_warm_up_rises_from_a_fifth_and_is_over_as_the_fifth_epoch_begins():
    assert [warm_up(epoch, 5) for epoch in range(7)] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0]
    assert warm_up(0.5, 5) == pytest.approx(0.3)
    assert warm_up(0.0, 1) == warm_up(0.0, 0) == warm_up(3.0, 0) == 1.0


def test_the_mobile_setting_is_that_of_pc_darts_at_every_epochs_first_step_but_for_its_tail():
    """There the rate falls to 0 over 245 epochs and then changes slope, here over all 250."""
    for epoch in range(250):
        here = MOBILE.schedule(0.5, 0.0, epoch / 250) * warm_up(epoch, MOBILE.warmup_epochs)
        share = min(1.0, (epoch + 1) / 5)
        assert here == pytest.approx(0.5 * (250 - epoch) / 250 * share)
        if epoch < 245:  # the two lines are furthest apart where one ends
            assert abs(here - pc_darts(epoch)) <= 0.5 * epoch * (1 / 245 - 1 / 250) + 1e-12
    assert pc_darts(244) == pytest.approx(0.00204, abs=1e-5)
    assert pc_darts(249) == pytest.approx(0.00041, abs=1e-5)


def test_a_training_moves_at_each_step_and_ends_a_step_before_the_end_of_the_line():
    """Three epochs of three steps from 0.9 to 0: a ninth of it less at each step."""
    found = training(schedule=Linear(), learning_rate=0.9)
    rates = [found.learning_rate(epoch, step) for epoch in range(3) for step in range(STEPS)]
    assert rates == pytest.approx([0.9 - 0.1 * step for step in range(9)])
    warmed = training(schedule=Linear(), learning_rate=0.9, warmup_epochs=2)
    rates = [warmed.learning_rate(epoch, step) for epoch in range(3) for step in range(STEPS)]
    shares = [1 / 2, 2 / 3, 5 / 6, 1, 1, 1, 1, 1, 1]
    assert rates == pytest.approx([(0.9 - 0.1 * k) * share for k, share in enumerate(shares)])
    ended = training(schedule=Linear(), learning_rate=0.9, learning_rate_end=0.45)
    assert ended.learning_rate(1, 0) == pytest.approx(0.75)
    cosine = training(schedule=HalfCosine(), learning_rate=0.9)
    assert cosine.learning_rate(1, 0) == pytest.approx(0.9 * (1 + 0.5) / 2)


def test_the_step_uses_the_rate_of_the_schedule():
    found = training(schedule=Linear(), learning_rate=0.9, warmup_epochs=2, drop_path=0.0)
    found.step(0, 1)
    assert [group["lr"] for group in found.optimizer.param_groups] == pytest.approx([0.8 * 2 / 3])


def test_smoothing_spreads_its_share_over_all_classes_the_right_one_among_them():
    """(1 − ε) of the target on its class and ε/K on each of the K: written out in float64."""
    epsilon, classes = 0.1, 10
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(7, classes, generator=draw, dtype=torch.float64)
    labels = torch.randint(0, classes, (7,), generator=draw)
    logits[range(7), labels] += 4.0  # mostly right, so that smoothing costs something
    by_hand = torch.tensor(0.0, dtype=torch.float64)
    for row, label in zip(logits, labels, strict=True):
        log_shares = row - row.exp().sum().log()
        target = torch.full((classes,), epsilon / classes, dtype=torch.float64)
        target[label] += 1 - epsilon
        by_hand -= (target * log_shares).sum() / len(labels)
    smoothed = training(label_smoothing=epsilon).loss(logits, labels)
    assert float(smoothed) == pytest.approx(float(by_hand), rel=1e-14)
    plain = training().loss(logits, labels)
    assert abs(float(plain - by_hand)) > 0.1


def test_a_step_smooths_and_evaluation_does_not(monkeypatch):
    """The gradient of the classifier's bias at the first step is the mean of p − target."""
    found = training(label_smoothing=0.5, drop_path=0.0, clip=1e9)
    asked = []
    usual = found.loss
    monkeypatch.setattr(found, "loss", lambda *args: asked.append(args) or usual(*args))
    grads = gradients(found)
    found.step(0, 0)
    (logits, labels) = asked[0]
    target = torch.full_like(logits, 0.05).scatter_(1, labels[:, None], 0.55)
    expected = (logits.softmax(dim=1) - target).mean(dim=0).detach()
    assert torch.allclose(grads["classifier.bias"], expected, atol=1e-6)
    sharp = found.test()
    found.config = replace(found.config, label_smoothing=0.0)
    assert found.test() == sharp
