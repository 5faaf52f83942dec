"""Images of one's own: what a folder or a CSV file holds is read rightly, or refused by name."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from darts.data import OwnImages
from darts.data.image_file import UnreadableImageError
from darts.reports.data_set import images_in_words
from darts.tasks import MultiLabel, Regression

RNG = np.random.default_rng(0)
TWO_CHANNELS = np.ones((6, 9, 2), np.uint8)


def noise(height=6, width=9, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def write(root: Path, per_class=5, classes=("cat", "dog"), name="{}.png", make=noise):
    """A folder a class; the pixels of every file, by its path below the root."""
    written = {}
    for kind in classes:
        (root / kind).mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            path, pixels = root / kind / name.format(index), make()
            if path.suffix == ".npy":
                np.save(path, pixels)
            else:
                Image.fromarray(pixels).save(path)
            written[path.relative_to(root).as_posix()] = pixels
    return written


def load(root, **options):
    return OwnImages(root=str(root), **options).load()


def values_of(images):
    """The pixels of both parts, sorted, each as bytes: a set of images whatever their order."""
    both = torch.cat([images.train.images, images.test.images])
    return sorted(image.permute(1, 2, 0).numpy().tobytes() for image in both)


def test_a_folder_a_class_is_split_by_class_and_loses_no_pixel(tmp_path):
    written = write(tmp_path, per_class=10)
    (tmp_path / "cat" / "Thumbs.db").write_text("")
    (tmp_path / "cat" / "notes.txt").write_text("")
    images = load(tmp_path)
    assert images.class_names == ("cat", "dog")
    assert (images.train.counts, images.test.counts) == ((8, 8), (2, 2))
    assert images.train.shape == (3, 6, 9)
    assert values_of(images) == sorted(pixels.tobytes() for pixels in written.values())
    assert images.mirror
    assert images.notes == (
        "Files that are no images of a class by place or name are left out: 1 .txt.",
    )
    assert torch.equal(load(tmp_path).train.images, images.train.images)  # no seed of a run in it
    shown = images_in_words(images)
    assert "16 training and 4 test images of 3×6×9" in shown
    assert "2 classes: cat 8 + 2, dog 8 + 2" in shown


@pytest.mark.parametrize(
    ("parts", "taken", "note"),
    [
        (("train", "val"), "val", 0),
        (("Train", "TEST"), "TEST", 0),
        (("train", "val", "test"), "test", 1),
        (("training", "validation"), "validation", 0),
    ],
)
def test_parts_are_those_of_the_folders(tmp_path, parts, taken, note):
    sizes = {part: 3 + number for number, part in enumerate(parts)}
    for part, size in sizes.items():
        write(tmp_path / part, per_class=size)
    images = load(tmp_path)
    assert images.train.counts == (3, 3)
    assert images.test.counts == (sizes[taken],) * 2
    assert len(images.notes) == note
    assert all("val/ (8 images) is left out" in text for text in images.notes)


def test_a_class_may_be_a_link_and_a_link_within_one_is_told(tmp_path):
    """A link to a folder above would have no end."""
    write(tmp_path / "real")
    (tmp_path / "root").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "real" / name)
    whole = load(tmp_path / "root")
    assert whole.notes == ()
    (tmp_path / "real" / "cat" / "more").symlink_to(tmp_path / "real" / "dog")
    linked = load(tmp_path / "root")
    assert torch.equal(linked.train.images, whole.train.images)
    assert "left out: 1 linked to a folder." in linked.notes[0]


def test_a_class_called_train_is_a_class(tmp_path):
    write(tmp_path, classes=("bus", "train"))
    assert load(tmp_path).class_names == ("bus", "train")


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("{}.png", lambda: RNG.integers(0, 65536, (6, 9)).astype(np.uint16), "16-bit"),
        ("{}.tif", lambda: RNG.integers(0, 65536, (6, 9)).astype(np.uint16), "16-bit"),
        ("{}.tif", lambda: RNG.normal(size=(6, 9)).astype(np.float32), "floating"),
        ("{}.tif", lambda: RNG.integers(-9, 2**24, (6, 9)).astype(np.int32), "32-bit"),
        ("{}.npy", lambda: RNG.integers(0, 4096, (6, 9, 5)).astype(np.int16), "16-bit"),
        ("{}.npy", lambda: RNG.normal(size=(6, 9, 2)), "floating"),
    ],
)
def test_values_of_more_than_8_bits_are_kept(tmp_path, name, make, kind):
    written = write(tmp_path, name=name, make=make)
    images = load(tmp_path)
    expected = sorted(np.float32(pixels).tobytes() for pixels in written.values())
    assert values_of(images) == expected
    assert not images.mirror or images.train.channels == 3
    assert images.notes == (f"Their values are {kind}, and are taken as they are in the files.",)
    normal = images.normalisation(images.train.images)
    rounding = (
        100 * torch.finfo().eps * images.train.images.abs().max() / images.normalisation.sd[0]
    )
    assert normal.mean(dim=(0, 2, 3)).abs().max() <= rounding
    assert (normal.std(dim=(0, 2, 3), correction=0) - 1).abs().max() <= rounding


def test_pictures_of_every_mode_are_seen_as_a_person_sees_them(tmp_path):
    """Half-transparent red over white, a palette, CMYK, and one that lies on its side."""
    write(tmp_path, classes=("a", "bc"), per_class=4)
    red = np.zeros((6, 9, 4), np.uint8)
    red[..., 0], red[..., 3] = 255, 128
    Image.fromarray(red, "RGBA").save(tmp_path / "a" / "0.png")
    colours = noise()
    Image.fromarray(colours).quantize(54).save(tmp_path / "a" / "1.png")
    Image.fromarray(np.full((6, 9, 4), (0, 255, 255, 0), np.uint8), "CMYK").save(
        tmp_path / "a" / "2.tif"
    )
    (tmp_path / "a" / "2.png").unlink()
    upright, exif = noise(), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a" / "3.png", exif=exif)
    found = set(values_of(load(tmp_path)))
    # α = 128/255 of red over white, each channel rounded
    assert np.full((6, 9, 3), (255, 127, 127), np.uint8).tobytes() in found
    assert colours.tobytes() in found
    assert np.full((6, 9, 3), (255, 0, 0), np.uint8).tobytes() in found
    assert upright.tobytes() in found


def test_grey_among_colours_has_three_equal_channels(tmp_path):
    write(tmp_path)
    grey = noise(channels=1)
    Image.fromarray(grey).save(tmp_path / "cat" / "0.png")
    assert np.stack([grey] * 3, axis=2).tobytes() in set(values_of(load(tmp_path)))


def test_images_of_unequal_sizes_are_refused_or_scaled_and_cut(tmp_path):
    write(tmp_path)
    Image.fromarray(np.full((20, 40, 3), 90, np.uint8)).save(tmp_path / "dog" / "0.png")
    with pytest.raises(ValueError, match=r"not of one size: 9 have 6×9 .* 1 20×40 .*image-size"):
        load(tmp_path)
    images = load(tmp_path, image_size=8)
    assert images.train.shape == (3, 8, 8)
    both = torch.cat([images.train.images, images.test.images])
    assert int((both == 90).flatten(1).all(dim=1).sum()) == 1


@pytest.mark.parametrize(
    ("options", "mirror"),
    [({}, True), ({"mirror": False}, False), ({"mirror": True}, True)],
)
def test_switches_hold(tmp_path, options, mirror):
    write(tmp_path)
    images = load(tmp_path, crop=False, colour=True, mean=(0.5,) * 3, std=(0.2,) * 3, **options)
    assert images.mirror is mirror
    assert images.crop is False
    assert images.normalisation.mean == (0.5,) * 3
    chosen = torch.arange(4)
    looks = [images.train.pixels(chosen, seed) for seed in (None, 1, 1, 2)]
    assert torch.equal(looks[0], images.train.images[:4])
    assert torch.equal(looks[1], looks[2])
    assert not torch.equal(looks[1], looks[3])
    assert not torch.equal(looks[1], looks[0])


def test_letters_and_digits_are_not_mirrored(tmp_path):
    write(tmp_path, classes=("b", "d"))
    assert load(tmp_path).mirror is False


def csv(tmp_path, header, rows, parts=False, separator=","):
    write(tmp_path / "images", classes=("all",), per_class=len(rows))
    names = [f"images/all/{index}.png" for index in range(len(rows))]
    halves = [["train", "test"][index % 2] for index in range(len(rows))]
    lines = [header] + [
        separator.join([name, row, *([half] if parts else [])])
        for name, row, half in zip(names, rows, halves, strict=True)
    ]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_a_csv_file_names_classes(tmp_path):
    path = csv(tmp_path, "Path;Label;Split", ["hund", "hund", "katze", "katze"] * 3, True, ";")
    images = load(path)
    assert images.class_names == ("hund", "katze")
    assert images.train.counts == images.test.counts == (3, 3)


def test_a_csv_file_names_numbers(tmp_path):
    rows = [f"{20 + index},{index / 10}" for index in range(8)]
    images = load(csv(tmp_path, "file,age,dose,part", rows, True), task="regression")
    assert isinstance(images.task, Regression)
    assert images.class_names == ("age", "dose")
    assert images.train.labels[:, 0].tolist() == [20, 22, 24, 26]
    assert images.task.mean == pytest.approx((23, 0.3))  # of the training part alone
    assert images.test.task == images.train.task
    assert "age (mean 23, s.d. 2.236)" in images_in_words(images)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("image,label", ["sea;sun", "sea", "sun", ""] * 10),
        ("image,sea,sun", ["1,1", "1,0", "0,1", "0,0"] * 10),
    ],
)
def test_a_csv_file_names_several_labels(tmp_path, header, rows):
    images = load(csv(tmp_path, header, rows), task="multi-label")
    assert images.task == MultiLabel()
    assert images.class_names == ("sea", "sun")
    both = torch.cat([images.train.labels, images.test.labels])
    assert both.sum(dim=0).tolist() == [20, 20]
    assert "2 labels: sea" in images_in_words(images)


def animated(root):
    frames = [Image.fromarray(noise()) for _ in range(2)]
    frames[0].save(root / "cat" / "0.gif", save_all=True, append_images=frames[1:])


def tear(root):
    for name in ("cat/1.png", "dog/1.png"):
        (root / name).write_bytes((root / name).read_bytes()[:60])


def deep_colours(root):
    """A PNG of 16-bit colours, written by hand: Pillow cannot."""

    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 9, 6, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + RNG.bytes(9 * 6) for _ in range(6))
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (root / "dog" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize(
    ("message", "spoil"),
    [
        (r"1 of 10 images .*cat/1.png .*empty \(0", lambda r: (r / "cat/1.png").write_bytes(b"")),
        (r"dog/2.png .* none of JPEG", lambda r: (r / "dog/2.png").write_text("<html>" * 9)),
        (
            r"2 of 10 .*cat/1.png",
            tear,
        ),
        ("cat/0.gif holds 2 images", animated),
        ("dog/1.png holds 16-bit colours", deep_colours),
        ("10 have 8-bit .* 1 16-bit", lambda r: np.save(r / "cat/9.npy", np.ones((6, 9), "i2"))),
        ("10 have 3 channels .* 1 2 ch", lambda r: np.save(r / "cat/9.npy", TWO_CHANNELS)),
        ("cat/9.png .* a folder or a pipe", lambda r: os.mkfifo(r / "cat/9.png")),
        ("cat/9.npy .* a folder or a pipe", lambda r: os.mkfifo(r / "cat/9.npy")),
        ("cat/9.png .* is not there", lambda r: (r / "cat/9.png").symlink_to("nowhere")),
        ("not finite", lambda r: np.save(r / "cat/9.npy", np.full((6, 9), np.nan))),
        ("holds an array of shape", lambda r: np.save(r / "cat/9.npy", np.ones(4))),
        ("is a picture|its channels last", lambda r: np.save(r / "cat/9.npy", np.ones((3, 6, 99)))),
        ("class owl has no image", lambda r: (r / "owl").mkdir()),
        ("holds one class, cat", lambda r: shutil.rmtree(r / "dog")),
        (r"no folder of a class \(5 images lie", lambda r: r / "cat"),
        ("no folder or CSV file", lambda r: r / "absent"),
        ("no folder or CSV file|cannot be read as a CSV", lambda r: r / "cat" / "0.png"),
    ],
)
def test_what_cannot_be_read_rightly_is_refused_in_one_line(tmp_path, message, spoil):
    write(tmp_path)
    elsewhere = spoil(tmp_path)
    root = elsewhere if isinstance(elsewhere, Path) else tmp_path
    with pytest.raises((ValueError, FileNotFoundError), match=message) as told:
        load(root)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("header", "rows", "options", "message"),
    [
        ("path,label", ["a", "", "b", "b"], {}, "1.png has no label"),
        ("path,a,b", ["1,2"] * 4, {}, "2 columns of labels .* regression"),
        ("path,age", ["1", "2", "old", "3"], {"task": "regression"}, "2.png has the label 'old'"),
        ("path,age", ["1", "2", "nan", "3"], {"task": "regression"}, "2.png has the label 'nan'"),
        ("path,age", [str(10**10 + k) for k in range(4)], {"task": "regression"}, "age .* 1.118;"),
        ("path,age", ["7"] * 4, {"task": "regression"}, "label age is 7 in all"),
        ("path,x,y", ["1,0", "2,0", "0,1", "1,1"], {"task": "multi-label"}, "1.png has '2'"),
        ("name,label", ["a", "b"] * 2, {}, "has the columns name, label. It needs one of path"),
        ("path,label", ["a,b"] * 4, {}, "line 2 has 3 cells"),
        ("path,label", ["a", "b", "a", "a"], {}, "b has the fewest, 1. Give a larger"),
    ],
)
def test_a_csv_file_that_does_not_fit_is_refused(tmp_path, header, rows, options, message):
    with pytest.raises(ValueError, match=message):
        load(csv(tmp_path, header, rows), **options)


def test_lines_of_a_csv_file_are_named(tmp_path):
    path = csv(tmp_path, "path,label", ["a", "b"] * 3)
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(text.replace("all/2", "all/7"))
    with pytest.raises(FileNotFoundError, match=r"line 4: there is no file .*all/7.png"):
        load(path)
    path.write_text(text.replace("all/2", "all/1"))
    with pytest.raises(ValueError, match=r"line 4: .*all/1.png is in line 3 already"):
        load(path)


def test_images_of_both_parts_are_told(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "val")
    (tmp_path / "val/cat/0.png").write_bytes((tmp_path / "train/dog/1.png").read_bytes())
    assert "1 of 10 test images are among the training images" in load(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_share": 1.0}, "test-share 1"),
        ({"image_size": 0}, "image-size 0"),
        ({"mean": (0.5,)}, "give both"),
        ({"mean": (0.5,), "std": (0.0,)}, "deviations are positive"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OwnImages(**options)


def test_a_normalisation_of_other_channels_and_too_many_bytes_are_refused(tmp_path, monkeypatch):
    write(tmp_path)
    with pytest.raises(ValueError, match="1 means and 1 deviations for 3 channels"):
        load(tmp_path, mean=(0.5,), std=(0.5,))
    monkeypatch.setattr("darts.data.own_images.MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"10 images of 3×6×9 take 0.0 GiB .*--dataset imagenet"):
        load(tmp_path)
    assert issubclass(UnreadableImageError, ValueError)
