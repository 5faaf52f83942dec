"""A network made ready for use elsewhere: safetensors and JSON, torch.export, ONNX."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import nn

from darts.extras import require_extra
from darts.spaces.notation import genotype_to_text
from darts.training.saved_network import SavedNetwork

FORMATS = ("pt2", "onnx")
"""Further files of an exported network, beside safetensors, JSON and the genotype."""


def export(item: SavedNetwork, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write `item` to a new folder; the files.

    network.safetensors: the weights. genotype.txt: the cells, as `genotype_to_text` writes them.
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
    require_new(folder)
    text = genotype_to_text(item.blueprint.genotype) + "\n"
    files = {"genotype.txt": text.encode()}
    if formats:
        files |= _programs(item.network(), (item.blueprint.in_channels, *item.image), formats)
    with left_as_found(folder):
        return item.write(folder, files)


def require_new(folder: Path) -> None:
    """Raise FileExistsError if the folder has something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not empty. Give --to a new name.")


@contextmanager
def left_as_found(folder: Path) -> Iterator[None]:
    """If the block fails, `folder`, which was empty or not there, is so again.

    The same command may then be given once more.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        yield
    except BaseException:
        for path in folder.glob("*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)
        for place in made:
            with suppress(OSError):
                place.rmdir()
        raise


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
