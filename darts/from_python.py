"""`darts.search` and `darts.retrain`: a run of one's own data from Python."""

from pathlib import Path
from typing import Any, cast

from darts.commands.requests import Job, do_jobs, usual_path
from darts.config.as_json import differences, to_json
from darts.config.full import FullConfig
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import ImageSet
from darts.data.arrays import image_set
from darts.data.given import Given
from darts.data.sets import DATA_SETS, DataSet, images_of_set
from darts.parallel.launch import Devices
from darts.records.run_folder import RunFolder
from darts.spaces import Genotype
from darts.training.full import FullResult
from darts.training.retrain import RetrainResult
from darts.training.search import SearchResult

OWN = PRESETS["own"]


def search(
    data: Any,
    labels: Any = None,
    *,
    config: SearchConfig | None = None,
    run_dir: Path | str | None = None,
    device: str = "cpu",
    **about: Any,
) -> SearchResult:
    """Search an architecture on images of one's own; `genotype` of the result is what was found.

    Writes a run folder with records of every step and epoch, checkpoints and report.html, as the
    command `darts search` does. Called again with the same images, config and `run_dir` it goes on
    where it was stopped, with the same bits on the CPU.

    One half of the training images moves the weights, the other the architecture; test images are
    not looked at. What a step costs in gradient evaluations is said by the estimator in the
    config. That the cell found is better than a random one is not guaranteed.

    Args:
        data: images [n c h w] as an array or tensor, with `labels`; or a
            `torch.utils.data.Dataset` of (image, label); or an `ImageSet`; or the name of a data
            set, registered ones included.
        labels: see `image_set`.
        config: settings of the search; by default those of the preset "own".
        run_dir: folder to write; by default one in runs/.
        device: cpu, cuda, cuda:1, ...
        about: what else `image_set` takes: test, task, class_names, mirror, crop, colour,
            normalisation, test_share, split_seed, name.

    Raises:
        ValueError: data, labels and config do not fit together, or the folder holds another run.
        NonFiniteLossError: a loss or a gradient is not finite; the last checkpoint is kept.
    """
    stage = config or cast(SearchConfig, OWN.search)
    result = _run(data, labels, about, stage, None, None, run_dir, device)
    assert result.search is not None  # it is all that was asked for
    return result.search


def retrain(
    genotype: Genotype,
    data: Any,
    labels: Any = None,
    *,
    config: RetrainConfig | None = None,
    run_dir: Path | str | None = None,
    device: str = "cpu",
    **about: Any,
) -> RetrainResult:
    """Train a genotype's network from scratch on images of one's own, and test it.

    Writes a run folder as `search` does; `darts.networks.load_network(run_dir / "retrain")` gives
    the trained network. Its costs are those of training: one gradient a step.

    Args:
        genotype: the genotype of a search's result, or any other.
        data: as `search` takes it. Images that `search` set aside as a test set are so here too,
            for the same images, test_share and split_seed.
        labels: as `search` takes them.
        config: settings of the training; by default those of the preset "own".
        run_dir: as `search` takes it.
        device: as `search` takes it.
        **about: as `search` takes it.

    Raises:
        ValueError: data, labels, genotype and config do not fit together, or the folder holds
            another run.
        NonFiniteLossError: a loss is not finite; the last checkpoint is kept.
    """
    stage = config or cast(RetrainConfig, OWN.retrain)
    result = _run(data, labels, about, None, stage, genotype, run_dir, device)
    assert result.retrain is not None
    return result.retrain


def _run(
    data: Any,
    labels: Any,
    about: dict[str, Any],
    search_config: SearchConfig | None,
    retrain_config: RetrainConfig | None,
    genotype: Genotype | None,
    run_dir: Path | str | None,
    device: str,
) -> FullResult:
    images, source = _images(data, labels, about)
    config = FullConfig("own", source, search_config, retrain_config)
    path = usual_path(images.name, config.seed) if run_dir is None else Path(run_dir)
    _require_same(path, config, genotype)
    function = "search" if retrain_config is None else "retrain"
    command = f"darts.{function}(..., run_dir={str(path)!r})"
    job = Job(config, path, command, genotype, usual=run_dir is None)
    (result,) = do_jobs([job], images, Devices(device))
    return result


def _images(data: Any, labels: Any, about: dict[str, Any]) -> tuple[ImageSet, DataSet]:
    """The images, and what the config says of them."""
    if isinstance(data, str):
        if data not in DATA_SETS:
            raise ValueError(
                f"No data set {data!r}; there are {', '.join(DATA_SETS)}. Register one of your own "
                "with register_data_set."
            )
        data = DATA_SETS[data]()
    if isinstance(data, (ImageSet, DataSet)) and (labels is not None or about):
        raise ValueError(
            f"{type(data).__name__} with {', '.join(about) or 'labels'}: a whole data set says all "
            "of itself. Leave it out, or pass arrays."
        )
    if isinstance(data, DataSet) and not isinstance(data, ImageSet):
        return images_of_set(data), data
    images = (
        data.require_whole() if isinstance(data, ImageSet) else image_set(data, labels, **about)
    )
    return images, Given(images.name)


def _require_same(path: Path, config: FullConfig, genotype: Genotype | None) -> None:
    """Raise ValueError if the folder holds a run with other settings, or something else."""
    if not (path / "config.json").is_file():
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{path} is not empty, and no run. Give run_dir a new name.")
        return
    run = RunFolder.open(path)
    unequal = differences(run.read("config.json"), to_json(config))
    if not unequal and genotype is not None and run.read("genotype.json") != genotype.to_dict():
        unequal = ["another genotype"]
    if unequal:
        raise ValueError(
            f"{path} holds a run with other settings ({'; '.join(unequal[:3])}). Give run_dir a "
            "new name, or the settings of that run to go on with it."
        )
