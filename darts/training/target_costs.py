"""The costs of the operations that a search with a target chooses among."""

from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import SearchData
from darts.methods.random_search import lightest_genotype
from darts.networks.blueprint import Blueprint
from darts.networks.cost import CostTable, multiply_add_table
from darts.networks.latency import LatencyTable


def retrain_costs(
    search: SearchConfig,
    retrain: RetrainConfig,
    shape: tuple[int, int, int],
    classes: int,
    latency: LatencyTable | None = None,
) -> CostTable:
    """Costs in the network that will be retrained.

    Args:
        search: settings of the search, with a target.
        retrain: settings of the retraining, with the network's sizes.
        shape: (channels, height, width) of an image.
        classes: number of classes.
        latency: times of operations; None counts multiply-adds.

    Raises:
        ValueError: the width of the network follows from its cells, or a time is not in the table.
    """
    if not isinstance(retrain.channels, int):
        raise ValueError(
            f"--search.target with --retrain.channels within:millions="
            f"{retrain.channels.millions:g}: such a network is widened until it costs as much, "
            "whatever its cells. Give --retrain.channels a number."
        )
    blueprint = retrain.blueprint(lightest_genotype(search.space), shape, classes)
    return _table(search, blueprint, shape, latency)


def supernet_costs(search: SearchConfig, data: SearchData) -> CostTable:
    """Multiply-adds in a network with the supernet's own sizes and stem, for a search alone."""
    blueprint = Blueprint(
        lightest_genotype(search.space),
        search.channels,
        search.cells,
        data.train.classes,
        data.train.channels,
        search.stem,
    )
    return _table(search, blueprint, data.train.shape, None)


def _table(
    search: SearchConfig,
    blueprint: Blueprint,
    shape: tuple[int, int, int],
    latency: LatencyTable | None,
) -> CostTable:
    _, height, width = shape
    if latency is None:
        return multiply_add_table(search.space, blueprint, (height, width))
    return latency.costs(search.space, blueprint, (height, width))
