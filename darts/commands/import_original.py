"""`darts import-original`: weights that DARTS's own code saved, as a network's folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from darts.commands.closing import closing
from darts.commands.command import Command, Invocation
from darts.commands.errors import UsageError
from darts.commands.named import genotype_named
from darts.commands.sizes import USUAL
from darts.data import Normalisation
from darts.networks.original import original
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES, StemAndHead
from darts.training.export import left_as_found, require_new
from darts.training.saved_network import SavedNetwork

THEIRS: Mapping[StemAndHead, Normalisation] = MappingProxyType(
    {
        SMALL_IMAGES: Normalisation(
            (0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)
        ),
        IMAGENET: Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    }
)
"""How their code normalises images: CIFAR-10's, and ImageNet's."""


@dataclass(frozen=True)
class ImportOriginal(Command):
    """Write weights that DARTS's code saved as a folder that every command here takes.

    The network gives the logits of theirs. Sizes are read off the weights. An auxiliary head is
    left out: it is for training. Then: darts evaluate FOLDER --dataset cifar10 --data-root DIR.

    Args:
        weights: the file of torch.save(model.state_dict()); no code of it is run.
        genotype: the genotype that was trained, in any form that `darts count` takes.
        to: folder to write; new or empty.
    """

    examples = (
        "darts import-original weights.pt --genotype DARTS_V2",
        "darts import-original weights.pt --genotype cells.py --to imported",
    )
    main = "genotype to"

    weights: Path
    genotype: str | None = None
    to: Path = Path("imported")

    def run(self, given: Invocation) -> int:
        if self.genotype is None:
            raise UsageError(
                "import-original needs --genotype: the weights do not say which states each "
                "operation reads. Give the one that was trained, such as DARTS_V2."
            )
        genotype = genotype_named(self.genotype)
        require_new(self.to)
        found = original(self.weights, genotype)
        blueprint = found.blueprint
        weights = {
            name: value
            for name, value in found.network().state_dict().items()
            if not name.startswith("auxiliary_head.")
        }
        usual = THEIRS[blueprint.stem]
        facts = {
            "trained": True,
            "class_names": None,
            "normalisation": asdict(usual) if blueprint.in_channels == len(usual.mean) else None,
            "imported_from": str(self.weights),
        }
        side = USUAL[blueprint.stem].image_size
        assert side is not None
        with left_as_found(self.to):
            files = SavedNetwork(blueprint, weights, (side, side), facts).write(self.to)
        print(
            f"{self.to}: C = {blueprint.channels}, {blueprint.cells} cells, {blueprint.classes} "
            f"classes, {blueprint.in_channels} channels, {blueprint.stem_name}"
        )
        images = "imagenet" if blueprint.stem == IMAGENET else "cifar10"
        evaluated = ("evaluate", self.to, "--dataset", images, "--data-root", "DIR")
        print(closing(files, evaluated, ("count", self.to)))
        return 0
