"""A batch is a function of (seed, epoch, step); augmentation does what it says, pixel by pixel."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from darts.data import Augmentation, Batches, LabelledImages, Normalisation, PairedBatches
from darts.data.augmentation import UNCHANGED
from darts.data.batches import in_order
from darts.data.seeds import derive_seed, seeded
from darts.spaces.joint_draws import Shard

IDENTITY = Normalisation((0.0,), (1.0,), full_scale=1.0)


def numbered(n: int = 20, side: int = 3) -> LabelledImages:
    """Image k has the value k everywhere, and k mod 2 as its label."""
    values = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, side, side)
    return LabelledImages(values.contiguous(), torch.arange(n) % 2, classes=2)


def batches(data: LabelledImages, augmentation=UNCHANGED, size: int = 6, seed: int = 0) -> Batches:
    return Batches(data, IDENTITY, augmentation, size, seed, "train")


def test_a_batch_depends_on_seed_epoch_and_step_and_not_on_what_was_drawn_before():
    stream = batches(numbered(), Augmentation(padding=1, mirror=True, cutout=1))
    first = stream.at(3, 1)
    stream.at(0, 0)
    torch.rand(7)
    again = batches(numbered(), stream.augmentation).at(3, 1)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    for other in (stream.at(3, 0), stream.at(2, 1), batches(numbered(), seed=1).at(3, 1)):
        assert not torch.equal(first.images, other.images)


def test_augmentation_is_drawn_anew_in_every_epoch_and_step():
    """All images alike, so that only the shifts can tell batches apart."""
    ramp = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3).expand(20, 1, 3, 3).contiguous()
    alike = LabelledImages(ramp, torch.arange(20) % 2, classes=2)
    stream = batches(alike, Augmentation(padding=1, mirror=True), size=10)
    drawn = [stream.at(epoch, step).images for epoch in range(3) for step in range(2)]
    for position, first in enumerate(drawn):
        assert not any(torch.equal(first, second) for second in drawn[position + 1 :])


@given(st.integers(1, 20), st.integers(0, 1000))
def test_an_epoch_shows_no_image_twice_and_leaves_out_less_than_a_batch(size, seed):
    stream = batches(numbered(), size=size, seed=seed)
    seen = [
        int(value)
        for step in range(stream.per_epoch)
        for value in stream.at(0, step).images[:, 0, 0, 0]
    ]
    assert len(set(seen)) == len(seen)
    assert 20 - len(seen) < size


@pytest.mark.parametrize("count", [2, 3])
def test_parts_of_several_processes_together_are_the_batch_of_one(count):
    augmentation = Augmentation(padding=1, mirror=True, cutout=1)
    whole = batches(numbered(), augmentation).at(2, 1)
    parts = [
        replace(batches(numbered(), augmentation), shard=Shard(index, count)).at(2, 1)
        for index in range(count)
    ]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)


def test_a_process_asks_for_its_own_images_alone():
    data = followed()
    replace(batches(data), shard=Shard(1, 3)).at(0, 0)
    assert [len(indices) for indices, _ in data.asked] == [2]


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_processes_share_an_evaluation_by_whole_batches(count):
    data = numbered()
    shares = [list(in_order(data, IDENTITY, 3, Shard(index, count))) for index in range(count)]
    seen = [int(v) for share in shares for batch in share for v in batch.images[:, 0, 0, 0]]
    assert sorted(seen) == list(range(20))
    assert [len(batch.labels) for batch in shares[0]][:2] == [3, 3][: len(shares[0])]


def test_labels_stay_with_their_images():
    images, labels = batches(numbered()).at(0, 0)
    assert torch.equal(images[:, 0, 0, 0].long() % 2, labels)


@pytest.mark.parametrize("size", [0, 21, -1])
def test_a_batch_larger_than_the_data_is_refused_with_both_numbers(size):
    with pytest.raises(ValueError, match=rf"train batch of {size} images asked, of 20"):
        batches(numbered(), size=size)


def test_the_validation_stream_runs_on_past_its_end_beside_the_training_stream():
    pair = PairedBatches(batches(numbered(20), size=5), batches(numbered(10), size=5, seed=9))
    seen = [int(v) for k in range(2) for v in pair.at(0, k)[1].images[:, 0, 0, 0]]
    assert sorted(seen) == list(range(10))
    assert torch.equal(pair.at(0, 3)[1].images, pair.val.at(1, 1).images)
    assert torch.equal(pair.at(1, 0)[1].images, pair.val.at(2, 0).images)


class Followed(LabelledImages):
    """Images that keep what they are told to expect and asked for."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "expected", [])
        object.__setattr__(self, "asked", [])

    def prefetch(self, indices, seed):
        self.expected.append((indices.tolist(), seed))

    def pixels(self, indices, seed):
        assert (indices.tolist(), seed) in self.expected
        self.asked.append((indices.tolist(), seed))
        return super().pixels(indices, seed)


def followed() -> Followed:
    plain = numbered()
    return Followed(plain.images, plain.labels, plain.classes)


def test_the_next_two_steps_are_expected_also_over_the_end_of_an_epoch():
    data = followed()
    stream = batches(data)
    for step in range(2 * stream.per_epoch):
        stream.at(0, step)
        told = list(dict.fromkeys(map(str, data.expected)))
        assert len(told) == step + 3
    stream.at(2, 0)
    stream.at(2, 1)
    told = list(dict.fromkeys(map(str, data.expected)))
    assert told[: len(data.asked)] == list(map(str, data.asked))


def test_the_next_two_batches_of_an_evaluation_are_expected():
    data = followed()
    for number, _ in enumerate(in_order(data, IDENTITY, 3)):
        told = list(dict.fromkeys(map(str, data.expected)))
        assert len(told) == min(number + 3, 7)
    assert list(map(str, data.asked)) == told


def test_evaluation_sees_every_image_once_in_order():
    shown = torch.cat([batch.images[:, 0, 0, 0] for batch in in_order(numbered(), IDENTITY, 6)])
    assert shown.tolist() == list(range(20))


@given(st.integers(0, 3), st.booleans(), st.integers(0, 2**32))
def test_a_moved_image_is_a_window_of_the_padded_one_or_its_mirror(padding, mirror, seed):
    raw = torch.randint(1, 255, (4, 2, 5, 6), dtype=torch.uint8)
    generator = torch.Generator().manual_seed(seed)
    moved = Augmentation(padding=padding, mirror=mirror).move(raw, generator)
    p = padding
    padded = torch.nn.functional.pad(raw, (p, p, p, p))
    for before, after in zip(padded, moved, strict=True):
        windows = [
            before[:, i : i + 5, j : j + 6] for i in range(2 * p + 1) for j in range(2 * p + 1)
        ]
        candidates = windows + ([window.flip(-1) for window in windows] if mirror else [])
        assert any(torch.equal(after, candidate) for candidate in candidates)


def test_every_shift_and_both_mirrors_occur():
    raw = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3).expand(600, 1, 3, 3)
    moved = Augmentation(padding=1, mirror=True).move(raw, torch.Generator().manual_seed(0))
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 9 * 2


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_cutout_erases_one_square_clipped_at_the_border(side, seed):
    images = torch.ones(5, 2, 6, 6)
    erased = Augmentation(cutout=side).erase(images, torch.Generator().manual_seed(seed))
    for image in erased:
        assert torch.equal(image[0], image[1])
        rows, columns = torch.nonzero(image[0] == 0, as_tuple=True)
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert len(rows) == height * width
        assert max(height, width) <= side
        inside = rows.min() > 0 and rows.max() < 5 and columns.min() > 0 and columns.max() < 5
        assert not inside or (height, width) == (side, side)


@pytest.mark.parametrize("field", ["padding", "cutout"])
def test_negative_pixels_are_refused(field):
    with pytest.raises(ValueError, match=f"{field}=-1"):
        Augmentation(**{field: -1})


def test_seeds_differ_by_purpose_and_a_seeded_block_leaves_the_random_state_alone():
    purposes = [("a",), ("b",), ("a", 0), ("a", 1), ("a", 0, 1), ("a", 1, 0)]
    assert len({derive_seed(0, *purpose) for purpose in purposes}) == len(purposes)
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.get_rng_state(), before)
