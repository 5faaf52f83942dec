"""Top-1 and top-5 are what counting by hand gives, ties, few classes and NaN included."""

from math import log

import pytest
import torch

from darts.data import Batch
from darts.tasks.classification import within_top
from darts.training.evaluation import Evaluation, evaluate

NAN = float("nan")


def by_hand(logits: list[float], label: int, top: int) -> bool:
    """Sort the classes, largest logit first, the lower class first among equals; then look."""
    order = sorted(range(len(logits)), key=lambda c: (-logits[c], c))
    return label in order[:top]


@pytest.mark.parametrize("classes", [2, 4, 5, 6, 10, 100])
def test_within_top_is_a_count_by_hand_of_logits_with_many_ties(classes):
    """Whole numbers from 0 to 3 in place of logits: most images have ties at every place."""
    draw = torch.Generator().manual_seed(classes)
    logits = torch.randint(0, 4, (300, classes), generator=draw).double()
    labels = torch.randint(0, classes, (300,), generator=draw)
    for top in (1, 4, 5, 6):
        expected = [
            by_hand(row, int(label), top)
            for row, label in zip(logits.tolist(), labels, strict=True)
        ]
        assert within_top(logits, labels, top).tolist() == expected
    best = within_top(logits, labels, 1)
    assert torch.equal(best, logits.argmax(dim=1) == labels)


def test_with_five_classes_or_fewer_every_class_is_among_the_first_five():
    for classes in (2, 5):
        labels = torch.arange(classes)
        assert within_top(torch.zeros(classes, classes), labels, 5).all()
    assert within_top(torch.zeros(6, 6), torch.arange(6), 5).tolist() == [True] * 5 + [False]


def test_what_is_no_number_is_right_for_no_image():
    logits = torch.tensor([[NAN, NAN, NAN], [NAN, 1.0, 0.0], [NAN, 1.0, 0.0], [NAN, 1.0, 0.0]])
    labels = torch.tensor([1, 0, 1, 2])
    assert within_top(logits, labels, 5).tolist() == [False, False, True, True]
    assert within_top(logits, labels, 1).tolist() == [False] * 4


def test_an_evaluation_is_the_mean_over_images_and_not_over_batches():
    """Batches of 3 and 1 images; class 0 always gets the largest logit, class 6 the smallest."""
    logits = torch.arange(7, 0, -1).double().log().expand(4, 7)  # softmax: 7/28, 6/28, ..., 1/28
    labels = torch.tensor([0, 4, 5, 6])
    parts = [Batch(logits[:3], labels[:3]), Batch(logits[3:], labels[3:])]
    found = evaluate(lambda images: images, parts)
    assert (found.accuracy_percent, found.top5_percent, found.images) == (25.0, 50.0, 4)
    assert found.loss == pytest.approx(sum(log(28 / (7 - label)) for label in (0, 4, 5, 6)) / 4)
    few = evaluate(lambda images: images[:, :5], [Batch(logits, labels.clamp(max=4))])
    assert few.measures == {"accuracy_percent": 25.0}  # all five are among the first five


def test_an_evaluation_reads_back_from_a_record():
    found = Evaluation(0.5, {"accuracy_percent": 90.0, "top5_percent": 99.0}, 7)
    record = {"epoch": 3, **found.to_record("test")}
    assert record["test_top5_percent"] == 99.0
    assert Evaluation.from_record(record, "test", 7) == found
