"""A derived network in a folder: `network.safetensors` its weights, `network.json` all else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from darts.networks.derived import DerivedNetwork
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES, StemAndHead
from darts.spaces.genotype import Genotype

FORMAT = "darts network 1"
WEIGHTS, DESCRIPTION = "network.safetensors", "network.json"
SIZES = ("channels", "cells", "classes", "in_channels")
STEMS: Mapping[str, StemAndHead] = MappingProxyType(
    {"small images": SMALL_IMAGES, "imagenet": IMAGENET}
)
"""By the name that network.json has under "frame"."""


@dataclass(frozen=True)
class Blueprint:
    """All that a derived network is built from besides its weights; see `DerivedNetwork`.

    Raises:
        ValueError: a size is no positive whole number.
    """

    genotype: Genotype
    channels: int
    cells: int
    classes: int
    in_channels: int
    stem: StemAndHead = SMALL_IMAGES

    def __post_init__(self) -> None:
        for name in SIZES:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(
                    f"a network with {name}={value!r}: give a whole number, 1 or more."
                )

    @property
    def stem_name(self) -> str:
        """The name of its stem in `STEMS`."""
        return next(name for name, stem in STEMS.items() if stem == self.stem)

    def build(self, auxiliary: bool = False) -> DerivedNetwork:
        """The network with initial weights, and without auxiliary head unless it is asked for."""
        return DerivedNetwork(
            self.genotype,
            channels=self.channels,
            cells=self.cells,
            classes=self.classes,
            in_channels=self.in_channels,
            auxiliary=auxiliary,
            stem=self.stem,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "genotype": self.genotype.to_dict(),
            **{name: getattr(self, name) for name in SIZES},
            "frame": self.stem_name,
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Blueprint":
        """The inverse of `to_dict`; other entries are ignored.

        Raises:
            ValueError: an entry is missing or wrong.
        """
        absent = [name for name in ("genotype", *SIZES, "frame") if name not in content]
        if absent:
            raise ValueError(f"the description of a network has no {', no '.join(absent)}.")
        stem = content["frame"]
        if not isinstance(stem, str) or stem not in STEMS:
            raise ValueError(f"a network with frame={stem!r}: there are {', '.join(STEMS)}.")
        genotype = Genotype.from_dict(content["genotype"])
        return Blueprint(genotype, **{name: content[name] for name in SIZES}, stem=STEMS[stem])


def load_network(folder: Path | str) -> DerivedNetwork:
    """The network that an export or a retraining wrote to `folder`, for evaluation, on the CPU.

    Reads `network.json` and `network.safetensors`. Neither can run code: JSON is parsed, and
    safetensors are numbers behind a JSON header. `describe(folder)` gives the normalisation that
    images need before they go in.

    Raises:
        ValueError: a file is damaged, or they do not belong together.
        FileNotFoundError: one is not there.
    """
    folder = Path(folder)
    content = describe(folder)
    try:
        network = Blueprint.from_dict(content).build()
    except ValueError as error:
        raise ValueError(f"{folder / DESCRIPTION} describes no network: {error}") from error
    path = folder / WEIGHTS
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != content.get("weights_sha256"):
        raise ValueError(
            f"{path} is not the file that {DESCRIPTION} describes: its SHA-256 is {found[:12]}…, "
            f"described is {str(content.get('weights_sha256'))[:12]}…. Restore the files."
        )
    try:
        network.load_state_dict(load(data))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit the network of {DESCRIPTION}: {error}") from error
    return network.eval()


def describe(folder: Path | str) -> dict[str, Any]:
    """The content of `network.json` in `folder`.

    Raises:
        ValueError: it is not the description of a network.
        FileNotFoundError: it is not there.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {DESCRIPTION}: it is no folder that `darts export` or a retraining "
            "finished."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON ({error}). Export it again, or restore it."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} should have the format {FORMAT!r}; found {found!r}.")
    return content
