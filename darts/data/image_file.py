"""An image of any kind from a file, with its values unchanged."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")
"""Formats of a file's content, whatever its name says (one of ImageNet's JPEGs is a PNG)."""
ARRAYS = ".npy"
MOST_CHANNELS = 64
READ = (*FORMATS, "GIF")
NAMES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ARRAYS),
)
"""Endings of an image's name, in small letters."""
BYTES = frozenset(
    ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
)
"""Pillow's modes of 8 bits a number; Pillow itself takes the upper byte of 16-bit colours."""
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, OverflowError)
"""Errors that Pillow raises on a file that is torn or of another kind."""
WHOLE = 2**24
"""Whole numbers up to here have a float32 of their own."""


class UnreadableImageError(ValueError):
    """A file is not a readable image.

    Attributes:
        path: the file, where a step of a run asked for it; else None.
    """

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class RawImage:
    """An image as it is in its file.

    Attributes:
        pixels: uint8 or float32 [c h w].
        kind: "8-bit", "16-bit", "32-bit" or "floating": images of a set are of one kind, for
            nothing in a file says how the values of two kinds compare.
    """

    pixels: Tensor
    kind: str


def read_image(path: Path) -> RawImage:
    """The image in a file: JPEG, PNG, TIFF, WebP, BMP, GIF, PPM, or NumPy's .npy.

    Grey images have one channel, others three; EXIF orientation is applied, and what is
    transparent shows white. Grey ones of 16 or 32 bits, or of floating numbers, keep their values,
    as float32. An array is [h w] or [h w c], and may have any number of channels.

    Raises:
        UnreadableImageError: the file is absent, empty, torn, of another kind, or holds what would
            be lost: several images, 16-bit colours, numbers beyond float32's; it is named.
    """
    if path.suffix.lower() == ARRAYS:
        return _from_array(path)
    from PIL import Image

    try:
        require_file(path)
        with Image.open(path, formats=READ) as file:
            _require_all_of_it(path, file)
            if file.mode in BYTES:
                return RawImage(_chw(np.asarray(_bytes(file))), "8-bit")
            kind = {"F": "floating", "I": "32-bit"}.get(file.mode, "16-bit")
            values = np.asarray(upright(file))
    except UnreadableImageError:
        raise
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    return RawImage(_as_float(path, values), kind)


def require_file(path: Path) -> None:
    """Raise OSError where there is no ordinary file: reading of a pipe would wait for ever."""
    if not path.is_file():
        raise OSError("no file")


def _require_all_of_it(path: Path, image: "Image.Image") -> None:
    """Refuse what Pillow would read a part of, and say nothing."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnreadableImageError(
            f"{path} holds {frames} images, and one is needed. Give each a file of its own."
        )
    raw = " ".join(str(part) for tile in getattr(image, "tile", ()) for part in tile[1:])
    if image.mode in BYTES and ";16" in raw:
        raise UnreadableImageError(
            f"{path} holds 16-bit colours, of which 8 bits would be read. Convert the set to 8 "
            "bits, or to NumPy's .npy of shape [h w c]."
        )


def _bytes(image: "Image.Image") -> "Image.Image":
    """Upright, grey or RGB, on white where it is transparent."""
    grey = image.mode in ("1", "L", "LA", "La")
    return on_white(image).convert("L" if grey else "RGB")


def on_white(image: "Image.Image") -> "Image.Image":
    """The image upright, decoded, and on white where it is transparent."""
    from PIL import Image

    image = upright(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def upright(image: "Image.Image") -> "Image.Image":
    """The image as its EXIF orientation says; decoded."""
    from PIL import ImageOps

    image.load()  # so that damage of the image is not taken for damage of the note
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged note says nothing about the image
        return image.copy()


def _from_array(path: Path) -> RawImage:
    try:
        require_file(path)
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(values, np.ndarray) or values.ndim not in (2, 3) or 0 in values.shape:
        raise UnreadableImageError(
            f"{path} holds an array of shape {getattr(values, 'shape', 'none')}; an image is "
            "[h w], or [h w c] with its channels last."
        )
    if values.ndim == 3 and values.shape[2] > MOST_CHANNELS:
        raise UnreadableImageError(
            f"{path} has shape {list(values.shape)}: an image is [h w c], its channels last, "
            f"{MOST_CHANNELS} at most."
        )
    if values.dtype == bool:
        return RawImage(_chw(values.astype(np.uint8) * 255), "8-bit")
    if values.dtype == np.uint8:
        return RawImage(_chw(values), "8-bit")
    kinds = {"u2": "16-bit", "i2": "16-bit", "i4": "32-bit", "u4": "32-bit", "i8": "32-bit"}
    kinds |= {"f2": "floating", "f4": "floating", "f8": "floating"}
    kind = kinds.get(values.dtype.str[1:])
    if kind is None:
        raise UnreadableImageError(
            f"{path} holds {values.dtype}; an image has whole or floating numbers."
        )
    return RawImage(_as_float(path, values), kind)


def _as_float(path: Path, values: np.ndarray) -> Tensor:
    """float32 [c h w], if that loses nothing but digits of floating numbers."""
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise UnreadableImageError(
            f"{path} holds {int((~np.isfinite(wide)).sum())} values that are not finite. Replace "
            "them, or leave the image out."
        )
    most = float(np.abs(wide).max())
    if values.dtype.kind in "iu" and most > WHOLE:
        raise UnreadableImageError(
            f"{path} holds values up to {most:.0f}; float32 tells whole numbers apart up to "
            f"{WHOLE:,}. Divide the set's values by one number first."
        )
    if most > torch.finfo(torch.float32).max:
        raise UnreadableImageError(f"{path} holds values up to {most:.3g}, beyond float32's.")
    return _chw(wide.astype(np.float32))


def _chw(values: np.ndarray) -> Tensor:
    values = values[:, :, None] if values.ndim == 2 else values
    return torch.from_numpy(np.array(values.transpose(2, 0, 1), order="C"))


def _unreadable(path: Path, error: BaseException) -> UnreadableImageError:
    return UnreadableImageError(
        f"{path} cannot be read as an image: {reason(path, error, READ)} Put the right file there."
    )


def reason(path: Path, error: BaseException, formats: tuple[str, ...] = FORMATS) -> str:
    """Why a file could not be read, in words."""
    if not path.is_file():
        return "it is no file, but a folder or a pipe." if path.exists() else "it is not there."
    if path.stat().st_size == 0:
        return "it is empty (0 bytes)."
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "cannot identify" in text:
        text = f"it is none of {', '.join(formats)}"
    return f"{text} ({path.stat().st_size:,} bytes)."
