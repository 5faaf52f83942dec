"""A square view of an image file: a crop, scaled, in RGB bytes, as networks for ImageNet see it."""

import math
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from darts.data.image_file import (
    BYTES,
    FORMATS,
    UnreadableImageError,
    on_white,
    reason,
    require_file,
)
from darts.data.seeds import derive_seed

if TYPE_CHECKING:
    from PIL import Image

LEAST_AREA = 0.08
"""Of a random crop, as a share of the image (Szegedy et al. 2015, §6)."""
WIDEST = 4 / 3
"""Width to height of a random crop at most, and height to width (the same)."""
TRIES = 10


class View(NamedTuple):
    """A square view of an image.

    Args:
        folder: the folder that the name is relative to.
        name: name of the file; it and the seed decide on the crop, the folder does not.
        size: side of the square in pixels.
        seed: seed of a random crop (training); None is the middle (evaluation).
    """

    folder: str
    name: str
    size: int
    seed: int | None


def read_view(view: View) -> Tensor:
    """The view as uint8 [3 size size]; grey, palette and CMYK images become RGB.

    What is transparent shows white behind it, and an image is turned as its EXIF orientation
    says. A grey image of more than 8 bits, or of floating numbers, is refused: which of its values
    are black and white is not in the file.

    Training: a random crop of 8 to 100 % of the area and of aspect 3/4 to 4/3, scaled to the
    square. Evaluation: the shorter side is scaled to 8/7 of `size` (256 for 224), and the middle
    is cut out. Both bilinear with antialiasing, by Pillow.

    Raises:
        UnreadableImageError: the file is absent, empty, torn, no image, or of more than 8 bits; the
            message names it.
    """
    from PIL import Image
    from torchvision.transforms import functional

    path = Path(view.folder, view.name)
    try:
        require_file(path)
        with Image.open(path, formats=FORMATS) as file:
            _require_bytes(path, file)
            image = on_white(file).convert("RGB")
    except UnreadableImageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(
            f"{path} cannot be read as an image: {reason(path, error)} Put the right file there.",
            path,
        ) from error
    if view.seed is None:
        image = functional.resize(image, resized(view.size))
        image = functional.center_crop(image, view.size)
    else:
        box = random_box(image.height, image.width, derive_seed(view.seed, view.name))
        image = functional.resized_crop(image, *box, [view.size, view.size])
    pixels: Tensor = functional.pil_to_tensor(image)
    return pixels


def require_readable(path: Path) -> None:
    """Look at the head of a file and raise UnreadableImageError if `read_view` would refuse it."""
    from PIL import Image

    try:
        require_file(path)
        with Image.open(path, formats=FORMATS) as file:
            _require_bytes(path, file)
    except UnreadableImageError:
        raise
    except Exception:  # damage is named by the step that reads the file
        return


def _require_bytes(path: Path, image: "Image.Image") -> None:
    if image.mode in BYTES:
        return
    kind = "floating numbers" if image.mode == "F" else "more than 8 bits"
    raise UnreadableImageError(
        f"{path} holds {kind} a pixel (Pillow's mode {image.mode}), and images are 8-bit here: "
        "which values are black and white is not in the file. Convert the set with one range for "
        "all its images, for instance round(255 · (x − low) / (high − low)), clipped."
    )


def resized(size: int) -> int:
    """The shorter side in pixels before the middle `size` of it are cut out."""
    return round(size * 8 / 7)


def random_box(height: int, width: int, seed: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a crop: area uniform, aspect uniform on a logarithmic scale.

    A crop that does not fit is drawn again, ten times at most; then it is the largest one in the
    middle whose aspect is allowed.
    """
    draw = random.Random(seed)
    for _ in range(TRIES):
        area = height * width * (LEAST_AREA + (1 - LEAST_AREA) * draw.random())
        aspect = math.exp(math.log(WIDEST) * (2 * draw.random() - 1))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(draw.random() * (height - h + 1))
            return top, int(draw.random() * (width - w + 1)), h, w
    h, w = min(height, round(width * WIDEST)), min(width, round(height * WIDEST))
    return (height - h) // 2, (width - w) // 2, h, w
