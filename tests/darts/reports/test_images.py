"""The report's table of images is what data.json holds, and a missing linear model is no bar."""

import pytest

from darts.data import Digits, SearchData
from darts.records.data_record import describe_images
from darts.reports.html import regression_note
from darts.reports.images import class_part, images_part

IMAGES = Digits(train_size=101).load()
HALVES = SearchData.of(IMAGES, 0.3, seed=0)


def test_the_record_has_the_histogram_of_every_part_and_halves_add_up():
    record = describe_images(IMAGES, HALVES)
    assert record["search"]["train_images"] == len(HALVES.train) == 30
    assert record["search"]["val_images"] == len(HALVES.val) == 71
    for label in range(10):
        in_halves = [int((part.labels == label).sum()) for part in (HALVES.train, HALVES.val)]
        found = [record["search"][f"{part}_counts"][label] for part in ("train", "val")]
        assert found == in_halves
        assert sum(found) == record["train_counts"][label]
    assert "search" not in describe_images(IMAGES)


def test_every_class_has_its_row_with_its_images_in_every_part():
    part = images_part(describe_images(IMAGES, HALVES))
    parts = (IMAGES.train, IMAGES.test, HALVES.train, HALVES.val)
    assert part["rows"][0] == ["all", *(f"{len(images):,}" for images in parts)]
    for label in range(10):
        counts = [f"{images.counts[label]:,}" for images in parts]
        assert part["rows"][label + 1] == [str(label), *counts]
    assert "8×8 pixels, 1 channel; in training they are never mirrored" in part["note"]


def test_many_classes_are_summed_up_and_a_run_without_a_search_has_two_parts():
    record = describe_images(IMAGES)
    record |= {"class_names": [str(k) for k in range(1000)], "train_counts": [1300] * 999 + [732]}
    record |= {"test_counts": [50] * 1000}
    part = images_part(record)
    assert part["rows"][1] == ["each of 1,000 classes", "732–1,300", "50"]
    assert len(part["rows"]) == 2
    assert part["head"] == ["class", "training", "test"]


@pytest.mark.parametrize("linear", [None, 81.5])
def test_a_linear_model_that_was_not_fitted_is_left_out_in_words(linear):
    base = {"logistic_percent": linear, "penalty": linear, "converged": True, "iterations": 200}
    assert ("No logistic regression was fitted" in regression_note(base)) == (linear is None)


def test_classes_are_counted_one_by_one_and_against_each_other():
    labels, answers = [0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 0]
    part = class_part({"labels": labels, "answers": answers}, ["cat", "dog", "<b>"])
    assert part["rows"] == [
        ["cat", "1", "3", "33.3 %", "dog (2)"],
        ["dog", "2", "2", "100.0 %", "–"],
        ["<b>", "0", "1", "0.0 %", "cat (1)"],
    ]
    assert part["wrong"] == 3
    counts = [[count for count, _ in row["cells"]] for row in part["confusion"]]
    assert counts == [[1, 2, 0], [0, 2, 0], [1, 0, 0]]
    many = class_part({"labels": [30, 30, 2], "answers": [30, 1, 2]}, [str(k) for k in range(40)])
    assert [row[0] for row in many["rows"]] == ["2", "30"]
    assert not many["confusion"]
