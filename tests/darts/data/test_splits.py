"""Splits are stratified, disjoint, complete and repeatable; what cannot be split is refused."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from darts.data import Digits, LabelledImages, split, subset
from darts.data.splits import stratified_indices


def labelled(counts: list[int]) -> LabelledImages:
    """Images of one pixel, `counts[c]` of class c, whose order mixes the classes."""
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    return LabelledImages(
        torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels[order], len(counts)
    )


class_counts = st.lists(st.integers(2, 60), min_size=1, max_size=8)


@given(class_counts, st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_a_split_is_disjoint_complete_and_stratified_within_one_image(counts, share, seed):
    data = labelled(counts)
    size = round(share * len(data))
    assume(0 < size < len(data))
    try:
        first, second = stratified_indices(data.labels, data.classes, size, seed)
    except ValueError as error:
        assume("missing from a split" not in str(error))
        raise
    assert len(first) == size
    assert sorted(first.tolist() + second.tolist()) == list(range(len(data)))
    drawn = torch.bincount(data.labels[first], minlength=len(counts)).tolist()
    for count, seats in zip(counts, drawn, strict=True):
        assert abs(seats - size * count / len(data)) < 1


@given(class_counts, st.integers(0, 2**32))
def test_half_and_half_leaves_every_class_in_both_parts(counts, seed):
    first, second = split(labelled(counts), 0.5, seed)
    assert min(first.counts) >= 1
    assert min(second.counts) >= 1


def test_a_split_depends_on_its_seed_and_on_nothing_else():
    labels = labelled([30, 30]).labels
    torch.manual_seed(0)
    once, _ = stratified_indices(labels, 2, 20, seed=5)
    torch.manual_seed(1)
    again, _ = stratified_indices(labels, 2, 20, seed=5)
    other, _ = stratified_indices(labels, 2, 20, seed=6)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_splitting_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    split(labelled([10, 10]), 0.5, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_more_images_than_there_are_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"41 images asked, but there are 40\. Ask for at most 40"):
        subset(labelled([20, 20]), 41, 0)


@pytest.mark.parametrize("size", [0, -3])
def test_an_empty_subset_is_refused(size):
    with pytest.raises(ValueError, match=f"at least one image; {size} asked of 40"):
        subset(labelled([20, 20]), size, 0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_a_share_that_leaves_a_part_empty_is_refused(share):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        split(labelled([20, 20]), share, 0)


def test_a_share_that_rounds_to_no_image_is_refused():
    with pytest.raises(ValueError, match=r"leaves a part empty: 0 and 40"):
        split(labelled([20, 20]), 0.001, 0)


def test_a_class_missing_from_the_first_part_is_refused_with_the_size_that_suffices():
    data = labelled([99, 1])
    with pytest.raises(ValueError, match=r"Class 1 is missing .*\(it has 1 images in all\)"):
        subset(data, 10, 0)
    with pytest.raises(ValueError, match="Ask for at least 100 images"):
        subset(data, 10, 0)
    assert subset(data, 100, 0).counts == (99, 1)


def test_a_class_missing_from_the_second_part_is_refused():
    with pytest.raises(ValueError, match=r"Class 1 is missing from the second part .* 51 and 49"):
        split(labelled([99, 1]), 0.51, 0)


def test_a_class_without_images_is_refused():
    data = LabelledImages(
        torch.zeros(4, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 0, 2, 2]), classes=3
    )
    with pytest.raises(ValueError, match="Class 1 is missing from the data: it has 0 of 4"):
        subset(data, 2, 0)


def test_digits_are_the_1797_bundled_images_in_a_fixed_stratified_split():
    images = Digits().load()
    assert (len(images.train), len(images.test)) == (1348, 449)
    assert max(images.test.counts) - min(images.test.counts) <= 2
    assert not images.mirror
    pixels = images.normalisation(images.train.images)
    assert abs(float(pixels.mean())) < 1e-5
    assert abs(float(pixels.std()) - 1) < 1e-3
    again = Digits().load()
    assert torch.equal(images.train.images, again.train.images)


def test_train_and_test_of_digits_share_no_position():
    from sklearn.datasets import load_digits

    images, bundled = Digits().load(), load_digits()
    both = torch.cat([images.train.images, images.test.images]).flatten(1).tolist()
    everything = torch.from_numpy(bundled.images).to(torch.uint8).flatten(1).tolist()
    assert sorted(both) == sorted(everything)
