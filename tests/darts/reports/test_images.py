"""The report's table of images is what data.json holds, and a missing linear model is no bar."""

import pytest

from darts.data import Digits, SearchData
from darts.records.data_record import describe_images
from darts.reports.images import images_section
from darts.reports.simple_models import accuracy_bars, regression_note, regression_words

IMAGES = Digits(train_size=101).load()
HALVES = SearchData.of(IMAGES, 0.3, seed=0)


def row(label: str, *counts: int) -> str:
    return f"<tr><td>{label}</td>" + "".join(f"<td>{count:,}</td>" for count in counts) + "</tr>"


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
    page = images_section(describe_images(IMAGES, HALVES))
    parts = (IMAGES.train, IMAGES.test, HALVES.train, HALVES.val)
    assert row("all", *map(len, parts)) in page
    for label in range(10):
        assert row(str(label), *(part.counts[label] for part in parts)) in page
    assert "8×8 pixels, 1 channel; in training they are never mirrored" in page


def test_many_classes_are_summed_up_and_a_run_without_a_search_has_two_parts():
    record = describe_images(IMAGES)
    record |= {"class_names": [str(k) for k in range(1000)], "train_counts": [1300] * 999 + [732]}
    record |= {"test_counts": [50] * 1000}
    page = images_section(record)
    assert "<td>each of 1,000 classes</td><td>732–1,300</td><td>50</td>" in page
    assert page.count("<tr>") == 3
    assert "half" not in page


def test_class_names_are_text_and_not_markup():
    record = describe_images(IMAGES)
    record["class_names"][0] = "<script>"
    assert "<script>" not in images_section(record)


@pytest.mark.parametrize("linear", [None, 81.5])
def test_a_linear_model_that_was_not_fitted_is_left_out_in_words(linear):
    base = {"majority_percent": 10.0, "logistic_percent": linear, "penalty": linear}
    base |= {"converged": True, "iterations": 200}
    bars = accuracy_bars(base, "Network found", 95.0)
    assert ("Logistic regression" in bars) == (linear is not None)
    assert bars.count('class="track"') == (2 if linear is None else 3)
    assert ("No logistic regression was fitted" in regression_note(base)) == (linear is None)
    assert regression_words(base) == ("" if linear is None else " (logistic regression 81.50 %)")
