"""Measures are scikit-learn's, losses have second derivatives, labels that do not fit are told."""

import pytest
import torch
from sklearn import metrics

from darts.data import LabelledImages, split
from darts.tasks import CLASSIFICATION, TASKS, MultiLabel, Regression, task_of
from darts.training.evaluation import evaluate

N = 40


def regression(seed=0, k=2):
    """Outputs and labels far from 0, of unequal scales."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randn(N, k, generator=draw) * torch.tensor([3.0, 0.01][:k]) + 50
    return Regression.measured(labels), torch.randn(N, k, generator=draw), labels


def yes_or_no(k=3, seed=1):
    """The last label is never said where k is 3."""
    draw = torch.Generator().manual_seed(seed)
    outputs = torch.randn(N, k, generator=draw)
    outputs[:, -1] = -1
    return MultiLabel(), outputs, (torch.rand(N, k, generator=draw) > 0.5).float()


def evaluated(task, outputs, labels):
    """In batches of seven, by a network that knows its answers."""
    batches = zip(outputs.split(7), labels.split(7), strict=True)
    return evaluate(lambda answers: answers, batches, task=task)


@pytest.mark.parametrize("k", [1, 2])
def test_measures_of_a_regression_are_those_of_scikit_learn_in_the_units_of_the_labels(k):
    task, outputs, labels = regression(k=k)
    found = evaluated(task, outputs, labels)
    mean, sd = (torch.tensor(x, dtype=torch.float64) for x in (task.mean, task.sd))
    said = (outputs.double() * sd + mean).numpy()
    truth = labels.double().numpy()
    bound = 100 * torch.finfo(torch.float64).eps * 50  # sums of N numbers near 50
    assert found.measures["mae"] == pytest.approx(
        metrics.mean_absolute_error(truth, said), abs=bound
    )
    assert found.measures["rmse"] == pytest.approx(
        metrics.root_mean_squared_error(truth, said), abs=bound
    )
    # the deviations of the small number have lost 50 / .01 of their digits
    assert found.measures["r2"] == pytest.approx(metrics.r2_score(truth, said), rel=1e4 * bound)
    assert found.images == N


def test_the_mean_as_an_answer_has_a_loss_of_one_and_explains_nothing():
    task, outputs, labels = regression()
    found = evaluated(task, torch.zeros_like(outputs), labels)
    bound = 1e4 * N * torch.finfo(torch.float64).eps
    assert found.loss == pytest.approx(1, abs=bound)
    assert found.measures["r2"] == pytest.approx(0, abs=bound)
    constant = torch.full_like(labels, 50)
    assert evaluated(task, torch.zeros_like(outputs), constant).measures["r2"] == 0


def test_measures_of_labels_are_those_of_scikit_learn():
    task, outputs, labels = yes_or_no()
    found = evaluated(task, outputs, labels)
    truth, said = labels.numpy(), (outputs > 0).numpy()
    expected = metrics.f1_score(truth, said, average="macro", zero_division=0)
    assert found.measures["f1_percent"] == pytest.approx(100 * expected, rel=1e-14)
    exact = metrics.accuracy_score(truth, said)
    assert found.measures["exact_percent"] == pytest.approx(100 * exact, rel=1e-14)
    assert 0 < expected < 1


@pytest.mark.parametrize("make", [regression, yes_or_no], ids=["regression", "multi-label"])
def test_losses_have_the_same_second_derivatives_forward_over_reverse_and_twice_in_reverse(make):
    task, outputs, labels = make()
    direction = torch.randn(N, outputs.shape[1], dtype=torch.float64)
    at = outputs.double()

    def loss(x):
        return task.loss(x, labels)

    _, forward = torch.func.jvp(torch.func.grad(loss), (at,), (direction,))
    point = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(point), point, create_graph=True)
    (twice,) = torch.autograd.grad(slope, point, direction)
    assert (forward - twice).abs().max() <= 10 * torch.finfo(torch.float64).eps
    assert forward.abs().max() > 1e-4


def test_a_loss_is_the_mean_of_what_its_sums_begin_with():
    for task, outputs, labels in (regression(), yes_or_no()):
        alone = float(task.loss(outputs, labels))
        sums = task.sums(outputs, labels)
        assert float(sums[0]) / N == pytest.approx(alone, rel=10 * torch.finfo().eps)


@pytest.mark.parametrize(
    ("task", "labels", "classes", "message"),
    [
        (CLASSIFICATION, torch.zeros(4), 2, r"one int64 label .* found torch.float32"),
        (Regression((0.0,), (1.0,)), torch.zeros(4, dtype=torch.int64), 1, r"shape \[4, 1\]"),
        (Regression((0.0,), (1.0,)), torch.full((4, 1), torch.inf), 1, "4 of 4 labels are not fin"),
        (Regression((0.0,), (1.0,)), torch.zeros(4, 2), 2, "means for 1 numbers, the labels 2"),
        (MultiLabel(), torch.full((4, 2), 0.5), 2, "are 0 and 1"),
        (MultiLabel(), torch.zeros(4), 1, r"shape \[4, 1\]"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_refused(task, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        LabelledImages(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), labels, classes, task)


def test_what_nothing_can_be_learnt_of_is_refused_by_name():
    with pytest.raises(ValueError, match="label age is 7 in all 3"):
        Regression.measured(torch.full((3, 1), 7.0), names=["age"])
    pixels, rare = torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.zeros(8, 2)
    rare[0], rare[:4, 1] = 1, 1
    with pytest.raises(ValueError, match="Label 0 is in none of the 4 images of a split"):
        split(LabelledImages(pixels, rare, 2, MultiLabel()), 0.5, seed=0)
    for task in (MultiLabel(), Regression((0.0,), (1.0,))):
        with pytest.raises(ValueError, match=f"label-smoothing 0.1 with the task {task.name}"):
            task.require_smoothing(0.1)


def test_tasks_come_back_from_their_records():
    for task in (CLASSIFICATION, MultiLabel(), regression()[0]):
        assert task_of(task.to_dict()) == task
        assert TASKS[task.name] is type(task)
    assert task_of(None) == CLASSIFICATION
    with pytest.raises(ValueError, match="'guessing'"):
        task_of({"name": "guessing"})
