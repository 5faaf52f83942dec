"""`darts export`: a network for use elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts.commands.closing import closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import refusing
from darts.commands.named import genotype_named
from darts.commands.sizes import Sizes, blueprint_of
from darts.records.run_folder import RunFolder
from darts.training.export import export
from darts.training.saved_network import from_run, is_run, untrained


@dataclass(frozen=True)
class Export(Sizes, Command):
    """Write a network for use elsewhere: safetensors and JSON, torch.export (.pt2), ONNX.

    Args:
        source: a run folder, whose retrained network it is; or a genotype as `darts count` takes
            it, whose network has initial weights and the sizes below.
        to: folder to write; new or empty.
        formats: pt2, onnx, both, beside the safetensors. ONNX needs the extra "export".
        in_channels: number of channels of the images.
        seed: seed of the initial weights.
    """

    examples = (
        "darts export runs/NAME --to exported",
        "darts export DARTS_V2 --channels 16 --cells 8 --formats pt2",
    )
    main = "to formats channels cells classes image-size in-channels"

    source: str
    to: Path = Path("exported")
    formats: tuple[Literal["pt2", "onnx"], ...] = ("pt2", "onnx")
    in_channels: int = 3
    seed: int = 0

    def run(self, given: Invocation) -> int:
        path = Path(self.source)
        if is_run(path):
            item = from_run(RunFolder.open(path))
        else:
            genotype = genotype_named(self.source)
            with refusing():
                item = untrained(*blueprint_of(self, genotype, self.in_channels), self.seed)
        files = export(item, self.to, self.formats)
        trained, seed = item.facts["trained"], self.seed
        print("the trained network" if trained else f"a network of initial weights, seed {seed}")
        print(closing(files, ("count", self.to), ("draw", self.to)))
        return 0
