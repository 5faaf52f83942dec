"""The stages of a run: search, retraining of what was found, and baselines beside it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from darts.config.full import FullConfig
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import ImageSet, RetrainData
from darts.data.image_file import UnreadableImageError
from darts.methods.random_search import lightest_genotype
from darts.networks.cost import CostTable, multiply_add_table
from darts.networks.latency import LatencyTable
from darts.parallel.launch import CPU, Devices
from darts.records.data_record import record_images, record_unreadable
from darts.records.run_folder import Record, RunFolder
from darts.records.untrusted import read_json
from darts.spaces import Genotype, Space
from darts.tasks import Classification
from darts.training.accuracy_table import AccuracyTable
from darts.training.answers import FILE as ANSWERS
from darts.training.answers import record_answers
from darts.training.baselines import Baselines, measure_baselines
from darts.training.comparison_cells import train_comparison_cells
from darts.training.retrain import RetrainResult, retrain
from darts.training.retraining import require_network, training_batches
from darts.training.search import SearchResult, search
from darts.training.searching import paired_batches
from darts.training.target_costs import retrain_costs, supernet_costs

LATENCY = "latency.json"
"""The latency table that a run counts by."""


@dataclass(frozen=True)
class FullResult:
    """The results of a run's stages; None for a stage left out.

    Attributes:
        search, retrain: results of the cell that was found, or given.
        baselines: accuracies of simple models.
        cells: records of other cells trained at the same budget, see `train_comparison_cells`.
    """

    search: SearchResult | None
    retrain: RetrainResult | None
    baselines: Baselines | None
    cells: tuple[Record, ...] = ()


def full_run(
    config: FullConfig, images: ImageSet, run: RunFolder, *, devices: Devices = CPU
) -> FullResult:
    """Do, or go on with, the stages of `config` and write `result.json`.

    A finished stage is not repeated. Without a search the genotype is that of `genotype.json` in
    the folder. Baselines exist for a classification alone; of several processes the first one
    trains them.
    """
    try:
        return _stages(config, images, run, devices)
    except UnreadableImageError as error:
        if error.path is not None and devices.ranks.first:
            record_unreadable(RunFolder(run.path), error.path)
        raise


def _stages(config: FullConfig, images: ImageSet, run: RunFolder, devices: Devices) -> FullResult:
    found, trained, baselines = None, None, None
    cells: tuple[Record, ...] = ()
    classes = isinstance(images.task, Classification)
    halves = None if config.search is None else config.search.halves(images)
    record_images(run, images, halves)
    if config.search is not None and halves is not None:
        score = None if config.accuracy_table is None else AccuracyTable.read(config.accuracy_table)
        costs = run_costs(config, images, run)
        found = search(config.search, halves, run, devices=devices, score=score, costs=costs)
    if config.retrain is not None:
        genotype = found.genotype if found else Genotype.from_dict(run.read("genotype.json"))
        trained = retrain(config.retrain, genotype, RetrainData.of(images), run, devices=devices)
        if devices.ranks.first and not run.has(ANSWERS):
            record_answers(run, images, config.retrain.batch_size, devices.device)
        cells = tuple(train_comparison_cells(config, images, run, devices))
    if config.retrain is not None and classes and devices.ranks.first:
        run.note("Training simple models on the same images, to compare with.")
        baselines = measure_baselines(
            images.train, images.test, images.normalisation, config.retrain.seed
        )
    result = FullResult(found, trained, baselines, cells)
    run.write("result.json", _summary(result))
    return result


def require_feasible(
    config: FullConfig,
    images: ImageSet,
    genotype: Genotype | None = None,
    run: RunFolder | None = None,
) -> None:
    """Raise ValueError, before anything is written, if images, table or genotype do not fit.

    A `run` that began with a latency table is judged by its own copy of it.
    """
    if config.search is not None:
        halves = config.search.halves(images)
        paired_batches(config.search, halves)
    if config.accuracy_table is not None:
        AccuracyTable.read(config.accuracy_table)
    if config.search is not None and config.search.target is not None:
        costs, sizes = _costs_by(config, images, _latency(config, run)), "the retraining"
        if costs is None:
            costs, sizes = supernet_costs(config.search, halves), "the supernet"
        _require_reach(config.search, costs, sizes)
    if config.retrain is not None:
        images.task.require_smoothing(config.retrain.label_smoothing)
        data = RetrainData.of(images)
        training_batches(config.retrain, data)
        if genotype is not None:
            require_network(config.retrain, genotype, data)
        elif config.search is not None:
            _require_some_network(config.retrain, config.search.space, data)


def _require_some_network(config: RetrainConfig, space: Space, data: RetrainData) -> None:
    """Raise ValueError if no genotype that the search can find could be retrained."""
    narrowest = 2 if config.stem.even else 1
    narrow, lightest = replace(config, channels=narrowest), lightest_genotype(space)
    require_network(narrow, lightest, data)
    if isinstance(config.channels, int):
        return
    height, width = data.train.shape[1:]
    blueprint = narrow.blueprint(lightest, data.train.shape, data.train.classes)
    least = multiply_add_table(space, blueprint, (height, width)).least
    if least > config.channels.millions:
        raise ValueError(
            f"--retrain.channels within:millions={config.channels.millions:g}: the lightest cells "
            f"of space {space.name!r} with C = {narrowest} have {least:.4g} M multiply-adds at "
            f"{height}×{width}. Raise the limit, or take fewer cells."
        )


def run_costs(
    config: FullConfig, images: ImageSet, run: RunFolder | None = None
) -> CostTable | None:
    """The costs that a target counts, of the network that the run retrains; None without both.

    The latency table is copied into `run`, so that a resumed search counts by the same one.
    """
    latency = _latency(config, run)
    if latency is not None and run is not None and not run.has(LATENCY):
        run.write(LATENCY, latency.to_dict())
    return _costs_by(config, images, latency)


def _latency(config: FullConfig, run: RunFolder | None) -> LatencyTable | None:
    """The table that a target counts by: the run's own copy, else the file that was named."""
    if config.latency_table is None:
        return None
    kept = run is not None and run.has(LATENCY)
    path = run.path / LATENCY if run is not None and kept else Path(config.latency_table)
    return LatencyTable.from_dict(read_json(path))


def _costs_by(
    config: FullConfig, images: ImageSet, latency: LatencyTable | None
) -> CostTable | None:
    if config.search is None or config.search.target is None or config.retrain is None:
        return None
    train = RetrainData.of(images).train
    return retrain_costs(config.search, config.retrain, train.shape, train.classes, latency)


def _require_reach(search: SearchConfig, costs: CostTable, sizes: str) -> None:
    """Raise ValueError if no network of the space is within the limit.

    `costs` are those at the sizes of the supernet or the retraining, as `sizes` says.
    """
    most = getattr(search.target, "most", None)
    if most is None:
        return
    if costs.least > most:
        raise ValueError(
            f"--search.target limit:most={most:g}: the lightest cells of space "
            f"{search.space.name!r} cost {costs.least:.4g} {costs.unit} at the sizes of "
            f"{sizes}. Raise the limit, or take fewer cells or channels."
        )


def _summary(result: FullResult) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    if result.search is not None:
        summary["search"] = result.search.to_dict()
    if result.retrain is not None:
        summary["retrain"] = result.retrain.to_dict()
    if result.baselines is not None:
        summary["baselines"] = asdict(result.baselines)
    if result.cells:
        summary["cells"] = list(result.cells)
    return summary
