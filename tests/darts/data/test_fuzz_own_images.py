"""Folders of many kinds of files: read to the pixel, or refused in one line that names one."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from darts.data import OwnImages

BREAKS = ("empty", "torn", "text", "garbage", "missing class", "one class", "flat", "animated")
KINDS = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "tif": ("L", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
    "bmp": ("1", "L", "P", "RGB"),
    "gif": ("L", "P"),
    "ppm": ("RGB",),
    "pgm": ("L", "I;16"),
    "webp": ("RGB", "RGBA"),
    "npy": ("u1", "u2", "i4", "f4", "f8", "five channels", "bool"),
}
DEEP = {"I;16": np.uint16, "I": np.int32, "F": np.float32}


def drawn(draw: random.Random, kind: str, mode: str, height: int, width: int):
    """Content of a file, and what a person sees of it: uint8 or float32 [h w c]."""
    rng = np.random.default_rng(draw.randrange(2**32))
    if kind == "npy":
        dtype = {"five channels": "f4", "bool": "?"}.get(mode, mode)
        shape = (height, width, 5) if mode == "five channels" else (height, width)
        values = rng.integers(0, 2 if mode == "bool" else 250, shape).astype(dtype)
        file = io.BytesIO()
        np.save(file, values)
        seen = values * np.uint8(255) if mode == "bool" else values
        seen = seen if seen.dtype == np.uint8 else seen.astype(np.float32)
        return file.getvalue(), seen.reshape(height, width, -1)
    if mode in DEEP:
        values = rng.integers(0, 60000, (height, width)).astype(DEEP[mode])
        picture, seen = Image.fromarray(values), values.astype(np.float32)[:, :, None]
    else:
        bands = {"RGBA": 4, "CMYK": 4, "LA": 2, "RGB": 3, "P": 3}.get(mode, 1)
        values = rng.integers(0, 256, (height, width, bands), dtype=np.uint8)
        if mode in ("RGBA", "LA"):  # clear or solid, so that white behind it is exact
            values[..., -1] = np.where(values[..., -1] > 127, 255, 0)
        if mode == "1":
            values = np.where(values > 127, np.uint8(255), np.uint8(0))
        flat = values[:, :, 0] if bands == 1 else values
        picture = Image.fromarray(flat, "RGB" if mode == "P" else None if bands < 4 else mode)
        seen = values
        if mode == "P":
            picture = picture.quantize(16)
            seen = np.asarray(picture.convert("RGB"))
        elif mode == "1":
            picture = picture.convert("1", dither=Image.Dither.NONE)
        elif mode in ("RGBA", "LA"):
            seen = np.where(values[..., -1:] > 0, values[..., :-1], np.uint8(255))
        elif mode == "CMYK":
            ink = 255 - values.astype(np.int64)
            product = ink[..., :3] * ink[..., 3:]
            seen = product  # compared within Pillow's rounding
    file = io.BytesIO()
    formats = {"tif": "TIFF", "pgm": "PPM", "jpg": "JPEG"}
    options = {"lossless": True, "exact": True} if kind == "webp" else {}
    picture.save(file, formats.get(kind, kind.upper()), **options)
    return file.getvalue(), seen


def folder(root: Path, seed: int):
    """A folder drawn by the seed: pixels by file, sizes and kinds, and how it was broken."""
    draw = random.Random(seed)
    kind = draw.choice(sorted(KINDS))
    mode = draw.choice(KINDS[kind])
    mixed = draw.random() < 0.15  # another kind of file among them
    one_size = draw.random() < 0.85
    broken = draw.choice(BREAKS) if draw.random() < 0.4 else None
    height, width = draw.randint(1, 12), draw.randint(1, 12)
    seen = {}
    for label in ("α", "b c", "tree")[: draw.randint(2, 3)]:
        (root / label).mkdir(parents=True)
        for index in range(draw.randint(5, 7)):
            k, m = kind, mode
            if mixed and draw.random() < 0.3:
                k = draw.choice(sorted(KINDS))
                m = draw.choice(KINDS[k])
            size = (height, width) if one_size else (draw.randint(1, 12), draw.randint(1, 12))
            content, pixels = drawn(draw, k, m, *size)
            suffix = k.upper() if draw.random() < 0.2 else k
            (root / label / f"{index}.{suffix}").write_bytes(content)
            seen[root / label / f"{index}.{suffix}"] = (m, pixels)
    spoil(root, draw, broken, seen)
    return seen, broken


def spoil(root: Path, draw: random.Random, broken: str | None, seen) -> None:
    files = sorted(seen)
    victim = draw.choice(files)
    content = victim.read_bytes()
    if broken == "empty":
        victim.write_bytes(b"")
    elif broken == "torn":
        victim.write_bytes(content[: len(content) // 2])
    elif broken == "text":
        victim.write_text("<html>not found</html>")
    elif broken == "garbage":
        victim.write_bytes(draw.randbytes(200))
    elif broken == "missing class":
        (root / "zebra").mkdir()
    elif broken == "one class":
        for path in files:
            if path.parent != victim.parent:
                path.unlink()
        for path in root.iterdir():
            if path != victim.parent:
                path.rmdir()
    elif broken == "flat":
        for index, path in enumerate(files):
            path.rename(root / f"{index}{path.suffix}")
        for path in root.iterdir():
            if path.is_dir():
                path.rmdir()
    elif broken == "animated":
        frames = [
            Image.fromarray(np.full(seen[victim][1].shape[:2], level, np.uint8))
            for level in (0, 99)
        ]
        target = victim.with_suffix(".gif")
        victim.unlink()
        frames[0].save(target, save_all=True, append_images=frames[1:])


def in_colour(pixels: np.ndarray, channels: int) -> np.ndarray:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 and channels == 3 else pixels


def alike(mode: str, found: np.ndarray, seen: np.ndarray) -> bool:
    if mode == "CMYK":  # (255 − ink)(255 − black) / 255, by Pillow within one level
        return bool((np.abs(found.astype(np.int64) * 255 - seen) <= 255).all())
    return found.dtype == seen.dtype and np.array_equal(found, seen)


def outcome(root: Path, seed: int) -> str:
    """What came of one folder; an AssertionError where something went wrong silently."""
    seen, broken = folder(root, seed)
    try:
        images = OwnImages(root=str(root)).load()
    except (ValueError, FileNotFoundError) as refused:
        told = str(refused)
        assert "\n" not in told, told
        assert str(root) in told or "one value" in told, told  # it says where
        for internal in ("np.", "tensor(", "Traceback", "NoneType", "object has no"):
            assert internal not in told, told
        kinds = {(m in DEEP or pixels.dtype == np.float32, m) for m, pixels in seen.values()}
        shapes = {pixels.shape[:2] for _, pixels in seen.values()}
        constant = any(np.ptp(pixels[..., c]) == 0 for _, pixels in seen.values()
                       for c in range(pixels.shape[2]))  # fmt: skip
        assert broken or len(kinds) > 1 or len(shapes) > 1 or constant, f"seed {seed}: {told}"
        return "refused"
    assert broken is None or broken == "torn", f"seed {seed}: {broken} was not noticed"
    if broken == "torn":  # some formats say all they hold before the tear
        return "torn"
    both = torch.cat([images.train.images, images.test.images]).permute(0, 2, 3, 1).numpy()
    left = list(both)
    for path, (mode, pixels) in seen.items():
        wanted = in_colour(pixels, images.train.channels)
        place = next((i for i, found in enumerate(left) if alike(mode, found, wanted)), None)
        assert place is not None, f"seed {seed}: {path.name} ({mode}) was read otherwise"
        left.pop(place)
    assert not left
    return "read"


@pytest.mark.parametrize(
    "count", [30, pytest.param(500, marks=pytest.mark.slow)], ids=["thirty", "five hundred"]
)
def test_folders_are_read_to_the_pixel_or_refused_in_one_line(count, tmp_path):
    found = [outcome(tmp_path / str(seed) / "images", seed) for seed in range(count)]
    assert found.count("read") >= count // 4
    assert found.count("refused") >= count // 4
    assert found.count("torn") <= count // 25
