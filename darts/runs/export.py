"""A network made ready for use elsewhere: safetensors and JSON, torch.export, ONNX."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from darts.data.seeds import derive_seed, seeded
from darts.networks.counting import count_multiply_adds, count_parameters
from darts.networks.stored import DESCRIPTION, FORMAT, WEIGHTS, Blueprint
from darts.runs.extras import require_extra
from darts.runs.records import RunFolder, write_atomically
from darts.spaces import Genotype
from darts.spaces.notation import genotype_to_text

FORMATS = ("pt2", "onnx")
"""What a folder may hold beside safetensors, JSON and the genotype."""
AUXILIARY = "auxiliary_head."


@dataclass(frozen=True)
class Exportable:
    """A network with what a user of it must know.

    Args:
        blueprint: what it is built from.
        weights: its state, without an auxiliary head.
        image: (height, width) of its images.
        facts: entries of network.json besides: normalisation, class names, where it is from.
    """

    blueprint: Blueprint
    weights: dict[str, Tensor]
    image: tuple[int, int]
    facts: dict[str, Any]

    def network(self) -> nn.Module:
        network = self.blueprint.build()
        network.load_state_dict(self.weights)
        return network.eval()


def from_run(run: RunFolder) -> Exportable:
    """The network that a run retrained, without its auxiliary head.

    Raises:
        ValueError: the run has no retrained network.
    """
    config, data = run.read("config.json"), run.read("data.json")
    weights = run.path / "retrain" / WEIGHTS
    if not weights.is_file():
        raise ValueError(
            f"{run.path} has no retrained network ({weights} is missing). Finish the run with "
            f"--resume {run.path}, or export its genotype.json with untrained weights."
        )
    channels, *image = data["shape"]
    try:
        state = load(weights.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged ({error}). Retrain in a new run.") from error
    state = {name: value for name, value in state.items() if not name.startswith(AUXILIARY)}
    blueprint = Blueprint(
        Genotype.from_dict(run.read("genotype.json")),
        channels=config["retrain"]["channels"],
        cells=config["retrain"]["cells"],
        classes=len(data["class_names"]),
        in_channels=channels,
    )
    result = run.read("result.json") if run.has("result.json") else {}
    facts = {
        "trained": True,
        "class_names": data["class_names"],
        "normalisation": data["normalisation"],
        "test": result.get("retrain", {}).get("test"),
        "run": {"preset": config["preset"], "data": data["name"], "config": config["retrain"]},
    }
    return Exportable(blueprint, state, (image[0], image[1]), facts)


def untrained(blueprint: Blueprint, image: tuple[int, int], seed: int) -> Exportable:
    """A network with the initial weights of a seed, the ones that a retraining begins with."""
    with seeded(derive_seed(seed, "derived network")):
        weights = blueprint.build().state_dict()
    facts = {"trained": False, "class_names": None, "normalisation": None, "seed": seed}
    return Exportable(blueprint, weights, image, facts)


def export(item: Exportable, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write `item` to a new folder; the files.

    network.safetensors: the weights. genotype.txt: the cells in DARTS's notation.
    network.pt2, if asked for: `torch.export`, batches of any size, images of `item.image`.
    network.onnx: the same as ONNX, input "images" [b c h w] float32, output "logits".
    network.json: everything else, written last, so that a folder with it is whole.

    The input is normalised as network.json says. The .pt2 file is for your own use: reading one
    with `torch.export.load` can run code that it holds, so pass on the safetensors or the ONNX.

    Raises:
        ValueError: ONNX is asked for and its packages are not installed; nothing is written.
        FileExistsError: the folder has something in it.
    """
    if "onnx" in formats:
        require_extra("export", "Export to ONNX", "onnx", "onnxscript")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not empty. Give --to a new name.")
    network = item.network()
    shape = (item.blueprint.in_channels, *item.image)
    weights = save({name: value.contiguous() for name, value in item.weights.items()})
    text = genotype_to_text(item.blueprint.genotype) + "\n"
    files = {WEIGHTS: weights, "genotype.txt": text.encode()}
    if formats:
        files |= _programs(network, shape, formats)
    description = {
        "format": FORMAT,
        **item.blueprint.to_dict(),
        "image_height_width": list(item.image),
        "params": count_parameters(network),
        "multiply_adds": count_multiply_adds(network, shape),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        **item.facts,
    }
    written = [write_atomically(folder / name, content) for name, content in files.items()]
    return [*written, RunFolder(folder).write(DESCRIPTION, description)]


def _programs(
    network: nn.Module, shape: tuple[int, int, int], formats: Sequence[str]
) -> dict[str, bytes]:
    """The network traced with a batch of any size, in the formats asked for."""
    example = torch.zeros(2, *shape)
    batch = {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(network, (example,), dynamic_shapes=(batch,))
    files = {}
    if "pt2" in formats:
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        files["network.pt2"] = buffer.getvalue()
    if "onnx" in formats:
        onnx = torch.onnx.export(
            program, dynamo=True, input_names=["images"], output_names=["logits"], verbose=False
        )
        assert onnx is not None  # it is None only for the exporter that writes files itself
        files["network.onnx"] = onnx.model_proto.SerializeToString()
    return files
