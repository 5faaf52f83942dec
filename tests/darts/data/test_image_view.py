"""A view of an image file: its crop is torchvision's, its mode RGB, and damage is an error."""

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from darts.data.image_file import UnreadableImageError
from darts.data.image_view import (
    View,
    random_box,
    read_view,
    require_readable,
)
from tests.darts.data.image_folder import photograph


def test_random_crops_are_distributed_as_torchvisions():
    """Means of area, logarithm of aspect and place over 4,000 draws, within four deviations."""
    n = 4000
    torch.manual_seed(0)
    blank = Image.new("RGB", (500, 375))
    theirs = [
        transforms.RandomResizedCrop.get_params(blank, (0.08, 1.0), (3 / 4, 4 / 3))
        for _ in range(n)
    ]
    ours = [random_box(375, 500, seed) for seed in range(n)]
    found, expected = (np.array([features(*box) for box in boxes]) for boxes in (ours, theirs))
    error = np.sqrt((found.var(0) + expected.var(0)) / n)
    assert (abs(found.mean(0) - expected.mean(0)) < 4 * error).all()
    assert (abs(found.std(0) - expected.std(0)) < 4 * error).all()


def features(top: int, left: int, height: int, width: int) -> tuple[float, ...]:
    return height * width / (375 * 500), float(np.log(width / height)), top / 375, left / 500


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (50, 1), (2, 3), (375, 500)])
def test_a_random_crop_lies_in_its_photograph(height, width):
    for seed in range(200):
        top, left, h, w = random_box(height, width, seed)
        assert 0 <= top < top + h <= height
        assert 0 <= left < left + w <= width


@pytest.mark.parametrize(
    ("mode", "form"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("1", "PNG"), ("LA", "PNG")],
)
def test_photographs_of_any_mode_and_name_become_rgb(mode, form, tmp_path):
    photograph(0, mode).save(tmp_path / "x.JPEG", form)
    for seed in (None, 3):
        view = read_view(View(str(tmp_path), "x.JPEG", 16, seed))
        assert view.shape == (3, 16, 16)
        assert view.dtype == torch.uint8
        if mode in ("L", "LA", "1"):
            assert torch.equal(view[0], view[1])
            assert torch.equal(view[0], view[2])
        else:
            assert not torch.equal(view[0], view[1])


def test_a_cmyk_photograph_looks_as_its_rgb_version_does(tmp_path):
    photograph(0).save(tmp_path / "rgb.JPEG", quality=100)
    photograph(0, "CMYK").save(tmp_path / "cmyk.JPEG", "JPEG", quality=100)
    rgb, cmyk = (read_view(View(str(tmp_path), f"{n}.JPEG", 16, None)) for n in ("rgb", "cmyk"))
    assert (rgb.float() - cmyk.float()).abs().mean() < 3


ROTATED = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


@pytest.mark.parametrize(("orientation", "turn"), list(zip((6, 3, 8), ROTATED, strict=True)))
def test_a_photograph_stands_as_its_exif_says(orientation, turn, tmp_path):
    upright = photograph(0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright.save(tmp_path / "upright.PNG")
    upright.transpose(turn).save(tmp_path / "turned.PNG", exif=exif)
    views = [read_view(View(str(tmp_path), f"{n}.PNG", 16, None)) for n in ("upright", "turned")]
    assert torch.equal(*views)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_and_not_black(mode, tmp_path):
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 20))  # the left half is black, and seen
    if mode == "P":
        image = image.quantize(4)
    image = image if image.mode == mode else image.convert(mode)
    image.save(tmp_path / "x.PNG")
    view = read_view(View(str(tmp_path), "x.PNG", 14, None))
    assert view[:, :, 1].max() == 0
    assert view[:, :, -2].min() == 255


def half_transparent():
    return Image.new("RGBA", (20, 20), (100, 0, 0, 51))


def test_half_transparent_colours_are_mixed_with_white(tmp_path):
    half_transparent().save(tmp_path / "x.PNG")
    view = read_view(View(str(tmp_path), "x.PNG", 14, None))
    assert view[:, 7, 7].tolist() == [round(0.2 * 100 + 0.8 * 255), round(0.8 * 255), 204]


DEEP = {
    "16-bit PNG": (np.uint16, 60_000, "x.PNG"),
    "12 bits in a 16-bit PNG": (np.uint16, 4_095, "x.PNG"),
    "16-bit TIFF": (np.uint16, 60_000, "x.TIFF"),
    "float TIFF": (np.float32, 1.0, "x.TIFF"),
    "32-bit TIFF": (np.int32, 100_000, "x.TIFF"),
}


@pytest.mark.parametrize(("dtype", "most", "name"), DEEP.values(), ids=DEEP)
def test_more_than_8_bits_of_grey_are_refused_by_name(dtype, most, name, tmp_path):
    values = np.linspace(0, most, 400).reshape(20, 20).astype(dtype)
    Image.fromarray(values).save(tmp_path / name)
    with pytest.raises(UnreadableImageError, match=f"{name} holds .* and images are 8-bit here"):
        read_view(View(str(tmp_path), name, 14, None))
    with pytest.raises(UnreadableImageError, match="Convert the set with one range"):
        require_readable(tmp_path / name)


def test_mutated_photographs_are_refused_or_read_and_nothing_else(tmp_path):
    draw, outcomes = random.Random(0), set()
    sources = []
    for mode, form in (("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGB", "WEBP")):
        buffer = io.BytesIO()
        photograph(1, mode).save(buffer, form)
        sources.append(buffer.getvalue())
    for seed in range(200):
        torn = bytearray(draw.choice(sources))
        if draw.random() < 0.3:
            torn = torn[: draw.randrange(len(torn))]
        for _ in range(draw.choice((1, 3, 20))):
            if torn:
                torn[draw.randrange(len(torn))] = draw.randrange(256)
        (tmp_path / "x.JPEG").write_bytes(torn)
        try:
            view = read_view(View(str(tmp_path), "x.JPEG", 16, seed))
        except UnreadableImageError as error:
            assert "x.JPEG cannot be read" in str(error)  # noqa: PT017
            outcomes.add("refused")
        else:
            assert view.shape == (3, 16, 16)
            outcomes.add("read")
    assert outcomes == {"refused", "read"}


def test_two_copies_of_a_photograph_get_crops_of_their_own(tmp_path):
    for name in ("x.JPEG", "copy.JPEG"):
        photograph(0).save(tmp_path / name)
    views = {
        seed: [read_view(View(str(tmp_path), n, 16, seed)) for n in ("x.JPEG", "copy.JPEG")]
        for seed in (None, 5)
    }
    assert torch.equal(*views[None])
    assert not torch.equal(*views[5])
