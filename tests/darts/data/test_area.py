"""Area averages: constants stay, blocks have their exact mean, and the side is part of a run."""

from fractions import Fraction

import pytest
import torch

from darts import cli
from darts.data import Digits, LabelledImages
from darts.data.area import IMAGES_AT_ONCE, area_average, reduced


def noise(n: int, side: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("before", "after"), [(32, 16), (28, 14), (8, 4), (32, 11), (7, 5)])
@pytest.mark.parametrize("grey", [0, 1, 127, 254, 255])
def test_a_constant_image_stays_constant(before, after, grey):
    images = torch.full((2, 3, before, before), grey, dtype=torch.uint8)
    assert torch.equal(area_average(images, after), images[:, :, :after, :after])


def test_a_side_that_divides_gives_the_rounded_mean_of_every_block():
    """In whole numbers: four pixels of sum s become ⌊(s + 2) / 4⌋."""
    images = noise(3, 32)
    blocks = images.long().unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2))
    assert torch.equal(area_average(images, 16).long(), (blocks + 2) // 4)


@pytest.mark.parametrize(("before", "after"), [(7, 5), (6, 4), (8, 3)])
def test_a_side_that_does_not_divide_counts_pixels_in_part(before, after):
    """Against fractions: the integral of the image over each new pixel, by its definition."""
    image = noise(1, before, channels=1)
    scale = Fraction(before, after)

    def inside(old: int, new: int) -> Fraction:
        return max(
            Fraction(0), min(Fraction(old + 1), (new + 1) * scale) - max(Fraction(old), new * scale)
        )

    for y in range(after):
        for x in range(after):
            total = sum(
                int(image[0, 0, i, j]) * inside(i, y) * inside(j, x)
                for i in range(before)
                for j in range(before)
            )
            rounded = (total / scale**2 + Fraction(1, 2)).__floor__()
            assert int(area_average(image, after)[0, 0, y, x]) == rounded


def test_the_old_side_and_more_images_than_go_at_once_change_nothing():
    images = noise(IMAGES_AT_ONCE + 1, 4, channels=1)
    assert torch.equal(area_average(images, 4), images)


@pytest.mark.parametrize("side", [0, -1, 9])
def test_a_side_that_is_no_smaller_one_is_refused(side):
    with pytest.raises(ValueError, match=rf"--image-size {side} of images of 8×8 pixels.*1 and 8"):
        Digits(image_size=side).load()


def test_images_that_are_not_square_are_refused():
    data = LabelledImages(torch.zeros(1, 1, 4, 6, dtype=torch.uint8), torch.zeros(1).long(), 1)
    with pytest.raises(ValueError, match="4×6"):
        reduced(data, 2)


def test_a_set_has_its_images_at_the_smaller_side_and_measures_them_there():
    whole, small = Digits().load(), Digits(image_size=4).load()
    assert small.train.shape == small.test.shape == (1, 4, 4)
    assert torch.equal(small.train.images, area_average(whole.train.images, 4))
    assert torch.equal(small.test.images, area_average(whole.test.images, 4))
    assert torch.equal(small.train.labels, whole.train.labels)
    assert small.normalisation.sd < whole.normalisation.sd  # averages vary less


SMALL = (
    *("--preset=digits-check", "--space=s1-fixed", "--samples=1", "--keep=1", "--image-size=4"),
    *("--evaluation.epochs=1", "--evaluation.cells=3", "--evaluation.channels=2"),
    *("--evaluation.padding=0", "--device=cpu"),
)


def test_the_side_is_recorded_and_a_run_does_not_go_on_with_another(tmp_path, capsys):
    from darts.records.run_folder import RunFolder

    where = ("--run-dir", str(tmp_path / "run"))
    assert cli.main(["random-search", *SMALL, *where]) == 0
    run = RunFolder.open(tmp_path / "run")
    assert run.read("config.json")["data"]["image_size"] == 4
    assert run.read("data.json")["shape"] == [1, 4, 4]
    assert cli.main(["random-search", *SMALL, "--image-size=5", *where]) == 1
    assert "data.image_size: 4 ≠ 5" in capsys.readouterr().err


def test_a_resumed_run_takes_no_side_from_the_command_line(capsys):
    assert cli.main(["full-search", "--resume", "x", "--image-size", "4"]) == 2
    assert "so image_size cannot be given" in capsys.readouterr().err
