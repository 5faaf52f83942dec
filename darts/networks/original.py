"""Weights that DARTS's own code saved (Liu et al. 2019; `cnn/model.py` there), in our network.

Theirs is `torch.save(model.state_dict(), path)` of `NetworkCIFAR` or `NetworkImageNet`. Each of its
modules has one here of the same arithmetic; names are mapped and shapes compared.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts.networks.blueprint import Blueprint
from darts.networks.derived import DerivedNetwork
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES, StemAndHead
from darts.spaces.genotype import Genotype
from darts.spaces.macro_architecture import reductions

LARGEST = 2_000_000_000
"""Bytes of a file; the published networks have 25 million."""
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_REDUCE = {"conv_1": "straight", "conv_2": "shifted", "bn": "norm"}
_POINTWISE = {"op.1": "convolution", "op.2": "norm"}
_DILATED = {"op.1": "depthwise", "op.2": "pointwise", "op.3": "norm"}
_SEPARABLE = {
    "op.1": "depthwise_first",
    "op.2": "pointwise_first",
    "op.3": "norm_first",
    "op.5": "depthwise",
    "op.6": "pointwise",
    "op.7": "norm",
}
_FACTORISED = {"1": "row", "2": "column", "3": "norm"}
_STEMS: Mapping[str, Mapping[str, str]] = {
    "stem": {"0": "convolution", "1": "norm"},
    "stem0": {number: f"quarter.{number}" for number in ("0", "1", "3", "4")},
    "stem1": {number: f"eighth.{number}" for number in ("1", "2")},
}


@dataclass(frozen=True)
class Original:
    """A state that the original code saved, and the network that it implies.

    Attributes:
        blueprint: our network of the same sizes.
        auxiliary: whether the state has the weights of an auxiliary head.
        weights: the weights by our names.
    """

    blueprint: Blueprint
    auxiliary: bool
    weights: dict[str, Tensor]

    def network(self) -> DerivedNetwork:
        """With its weights, in the dtype that holds all of them, for evaluation, on the CPU.

        Raises:
            ValueError: the genotype's network has other weights.
        """
        network = self.blueprint.build(self.auxiliary)
        own, weights = network.state_dict(), dict(self.weights)
        for name, value in own.items():  # PyTorch 0.3, in which DARTS began, did not count batches
            if name.endswith("num_batches_tracked"):
                weights.setdefault(name, value)
        _require_same(own, weights)
        kinds = (value.dtype for value in weights.values() if value.is_floating_point())
        network = network.to(reduce(torch.promote_types, kinds))
        network.load_state_dict(weights)
        return network.eval()


def load_original(source: Path | str | Mapping[str, Any], genotype: Genotype) -> DerivedNetwork:
    """The network of weights that DARTS's code saved, for evaluation, on the CPU.

    C, the number of cells, of classes and of channels, the stem and whether there is an auxiliary
    head are read off the weights. It gives the logits of the original network; in training mode
    too, and then the auxiliary logits. What the weights cannot say is which states an operation
    reads, nor which pool or identity stands where: that is the genotype's, and a wrong genotype
    with the same convolutions in the same places is not noticed.

    Args:
        source: the file, read by `torch.load(weights_only=True)`, which runs no code of it; or
            the state dict. Also read: `{"state_dict": ...}`, and names that begin with `module.`.
        genotype: the genotype of the network that was trained.

    Raises:
        ValueError: the file is none of these, or its weights are not those of the genotype's
            network.
        OSError: the file cannot be read.
    """
    return original(source, genotype).network()


def original(source: Path | str | Mapping[str, Any], genotype: Genotype) -> Original:
    """The weights by our names, and the sizes of their network; see `load_original`."""
    state = _state(source if isinstance(source, Mapping) else _read(Path(source)))
    imagenet = "stem0.0.weight" in state
    first = _shape(state, "stem0.3.weight" if imagenet else "stem.0.weight", 4)
    entry = _shape(state, "stem0.0.weight", 4) if imagenet else first
    cells = {int(found[1]) for name in state if (found := re.match(r"cells\.(\d{1,4})\.", name))}
    if cells != set(range(len(cells))) or not cells:
        raise ValueError(
            f"the weights are of the cells {sorted(cells)}; a network has all from 0 on."
        )
    stem: StemAndHead = IMAGENET if imagenet else SMALL_IMAGES
    channels = first[0] if imagenet else first[0] // 3
    classes = _shape(state, "classifier.weight", 2)[0]
    blueprint = Blueprint(genotype, channels, len(cells), classes, entry[1], stem)
    return Original(
        blueprint,
        any(name.startswith("auxiliary_head.") for name in state),
        _renamed(state, genotype, len(cells)),
    )


def _read(path: Path) -> Any:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is no file. Give the one that torch.save wrote.")
    if found.st_size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; no network of DARTS is.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # a damaged file raises whatever it meets
        reason = re.split(r"[\n.]", str(error), maxsplit=1)[0]
        raise ValueError(
            f"{path} holds no state dict that can be read without running code of it "
            f"({type(error).__name__}: {reason}; {found.st_size:,} bytes). Save it by "
            "torch.save(model.state_dict(), path)."
        ) from error


def _state(content: Any) -> dict[str, Tensor]:
    """The state dict, without what `DataParallel` puts before names."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        kind = type(content).__name__
        raise ValueError(
            "a state dict is a mapping of names to tensors; found "
            f"{f'an empty {kind}' if isinstance(content, Mapping) else f'a {kind}'}. Save it by "
            "torch.save(model.state_dict(), path)."
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"a state dict is a mapping of names to tensors; entry {str(name)[:60]!r} is a "
                f"{type(value).__name__}. Save it by torch.save(model.state_dict(), path)."
            )
        _require_numbers(name, value)
    return {name.removeprefix("module."): value for name, value in content.items()}


def _require_numbers(name: str, value: Tensor) -> None:
    """Raise ValueError unless a tensor has weights in it, or the count of a batch norm."""
    counts = name.endswith("num_batches_tracked")
    if value.is_meta or value.layout != torch.strided or value.is_quantized:
        raise ValueError(
            f"{name!r} is a tensor without numbers of its own (meta, sparse or quantised). Save "
            "the state dict of a network that is whole."
        )
    if not counts and not value.is_floating_point():
        raise ValueError(
            f"{name!r} holds {value.dtype}, and weights are floating numbers. Save the network as "
            "it was trained."
        )
    wrong = 0 if counts else int((~value.isfinite()).sum())
    if wrong:
        raise ValueError(
            f"{name!r} holds {wrong} of {value.numel()} numbers that are not finite: its training "
            "diverged, or the file is damaged. Give an earlier one."
        )


def _shape(state: Mapping[str, Tensor], name: str, dimensions: int) -> torch.Size:
    if name not in state or state[name].ndim != dimensions:
        found = "is not there" if name not in state else f"has shape {tuple(state[name].shape)}"
        raise ValueError(
            f"the weights of a network of DARTS have {name!r} with {dimensions} dimensions; it "
            f"{found}. Their names begin {', '.join(list(state)[:3])}."
        )
    return state[name].shape


def _renamed(state: Mapping[str, Tensor], genotype: Genotype, cells: int) -> dict[str, Tensor]:
    """Every tensor by our name; one that has none keeps its own, and is refused later."""
    reducing = set(reductions(cells))
    renamed = {}
    for name, value in state.items():
        ours = _name(name, genotype, reducing)
        renamed[ours if ours is not None else name] = value
    return renamed


def _name(name: str, genotype: Genotype, reducing: set[int]) -> str | None:
    place, _, rest = name.partition(".")
    if place in _STEMS:
        return _joined("stem", _STEMS[place], rest)
    if place in ("auxiliary_head", "classifier"):
        return name
    found = re.fullmatch(r"cells\.(\d+)\.(preprocess[01]|_ops\.(\d+))\.(.+)", name)
    if not found:
        return None
    index, part, edge, rest = int(found[1]), found[2], found[3], found[4]
    if edge is None:
        table = _REDUCE if rest.partition(".")[0] in _REDUCE else _POINTWISE
        return _joined(f"cells.{index}.preprocess.{part[-1]}", table, rest)
    kinds = [cell.kind for cell in genotype.cells]
    kind = "reduce" if index in reducing else "normal"
    if kind not in kinds or int(edge) >= len(genotype[kind].edges):
        return None
    return _joined(
        f"cells.{index}.operations.{edge}", _table(genotype[kind].edges[int(edge)][0]), rest
    )


def _table(operation: str) -> Mapping[str, str]:
    """Their names of an operation's layers, and ours."""
    family = operation.split("_")[0]
    tables = {"sep": _SEPARABLE, "dil": _DILATED, "skip": _REDUCE, "conv": _FACTORISED}
    return tables.get(family, {})


def _joined(prefix: str, table: Mapping[str, str], rest: str) -> str | None:
    layer, _, kind = rest.rpartition(".")
    return f"{prefix}.{table[layer]}.{kind}" if layer in table and kind in _NORM else None


def _require_same(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    absent = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    if absent or unknown:
        raise ValueError(
            "the weights are not those of this genotype's network: "
            + "; ".join(
                f"{len(names)} {what}, the first {names[0]}"
                for names, what in ((absent, "are missing"), (unknown, "have no place"))
                if names
            )
            + ". Give the genotype that the network was trained with."
        )
    for name, value in own.items():
        if value.shape != weights[name].shape:
            raise ValueError(
                f"{name} has shape {tuple(weights[name].shape)} in the file and "
                f"{tuple(value.shape)} in the genotype's network. Give the genotype that the "
                "network was trained with."
            )
