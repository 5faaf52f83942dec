"""Images are checked as they are made, and normalised by what was measured on them."""

import pytest
import torch

from darts.data import LabelledImages, Normalisation


def images(n: int = 3, **changes: object) -> LabelledImages:
    parts = {
        "images": torch.zeros(n, 1, 2, 2, dtype=torch.uint8),
        "labels": torch.zeros(n, dtype=torch.int64),
        "classes": 2,
    }
    return LabelledImages(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(3, 1, 2, 2).double()}, r"uint8 or float32 .* found torch.float64"),
        ({"images": torch.full((3, 1, 2, 2), torch.nan)}, r"3 of 3 images .* number 0 first"),
        ({"images": torch.zeros(3, 2, 2, dtype=torch.uint8)}, r"found torch.uint8 of shape \[3, 2"),
        ({"labels": torch.zeros(2, dtype=torch.int64)}, r"one label an image, 3; found .*\[2\]"),
        ({"labels": torch.zeros(3)}, r"int64 label .* found torch.float32"),
        ({"labels": torch.tensor([0, 1, 2])}, r"0…1 for 2 classes; found 0…2"),
        ({"labels": torch.tensor([0, -1, 1])}, r"0…1 for 2 classes; found -1…1"),
    ],
)
def test_malformed_images_are_refused_with_what_was_found(changes, message):
    with pytest.raises(ValueError, match=message):
        images(**changes)


def test_no_image_at_all_is_refused():
    with pytest.raises(
        ValueError, match=r"at least one image of one pixel; found shape \[0, 1, 2, 2\]"
    ):
        images(0)


def test_normalised_training_images_have_mean_0_and_deviation_1_a_channel():
    raw = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    raw[:, 1] //= 3
    pixels = Normalisation.measure(raw)(raw).double()
    assert pixels.mean((0, 2, 3)).abs().max() < 1e-6
    assert (pixels.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_a_channel_of_one_value_is_refused():
    with pytest.raises(ValueError, match=r"Channel 0 of 3 images has one value"):
        Normalisation.measure(torch.zeros(3, 1, 2, 2, dtype=torch.uint8))
