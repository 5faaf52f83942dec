"""Which methods go together: what means nothing is refused, with the reason, before any work."""

from collections.abc import Mapping

from darts.methods.alpha_penalty import AlphaPenalty
from darts.methods.early_stopping import Stop
from darts.methods.mixing import Mixing
from darts.methods.partial_channels import PartialChannels
from darts.methods.perturbation import Perturbation
from darts.methods.progressive import Progressive
from darts.methods.removal import Removal
from darts.methods.target import Target
from darts.spaces.space import NONE, Space


def require_combination(
    space: Space,
    *,
    cells: int,
    channels: int,
    weight_decay: float,
    mixing: Mixing,
    partial_channels: PartialChannels | None,
    perturbation: Perturbation | None,
    progressive: Progressive | None,
    stop: Stop | None,
    target: Target | None,
    alpha_penalty: AlphaPenalty | None,
    selection: Removal | None,
) -> None:
    """Raise ValueError unless a supernet of these sizes can be searched by these methods at once.

    What is not named here goes with everything: estimators, auxiliary skips, drop-path, dropout.
    """
    for depth in (cells,) if progressive is None else progressive.cells:
        space.macro_architecture.places(depth)
    if mixing.samples:
        _require_path(mixing, weight_decay, perturbation)
    if selection is not None:
        others = {
            "the channels that go by an edge's operations stay": partial_channels,
            "it limits skip-connects of a genotype by their weights": progressive,
            "it keeps the genotype of an earlier epoch, whose supernet is gone": stop,
            "operations are chosen by accuracy alone, and its cost would be ignored": target,
        }
        _require_selection(mixing, weight_decay, others)
    if mixing.independent:
        _require_independent(space, mixing, perturbation, target)
    if alpha_penalty is not None:
        _require_penalty(mixing, alpha_penalty)
    if partial_channels is not None:
        _require_partial(space, channels, partial_channels)
    if progressive is not None:
        _require_stages(space, cells, progressive, stop)
    if stop is not None:
        stop.require(space)


def _require_path(mixing: Mixing, weight_decay: float, perturbation: Perturbation | None) -> None:
    """Raise ValueError where a drawn path would leave something out."""
    name = type(mixing).__name__
    if weight_decay == 0:
        raise ValueError(
            f"weight_decay=0 with mixing {name}: L_train would ignore the operations that are not "
            "drawn. Give a weight decay above 0."
        )
    if perturbation is not None:
        raise ValueError(
            f"{type(perturbation).__name__} with mixing {name}: a drawn path has weight one, and "
            "its place in the simplex nothing to perturb. Use Softmax or GumbelSoftmax."
        )


def _require_selection(
    mixing: Mixing, weight_decay: float, others: Mapping[str, object | None]
) -> None:
    """Raise ValueError where a selection after the search means nothing.

    `others` are methods that it does not go with, by the reason.
    """
    if mixing.samples:
        raise ValueError(
            f"selection Removal with mixing {type(mixing).__name__}: the supernet is evaluated by "
            "one path, and without its operation an edge is empty. Use Softmax, GumbelSoftmax or "
            "Sigmoid."
        )
    if weight_decay == 0:
        raise ValueError(
            "weight_decay=0 with selection Removal: L_train would ignore the operations that are "
            "not chosen. Give a weight decay above 0."
        )
    for reason, other in others.items():
        if other is not None:
            raise ValueError(
                f"selection Removal with {type(other).__name__}: {reason}. Use one of the two."
            )


def _require_independent(
    space: Space, mixing: Mixing, perturbation: Perturbation | None, target: Target | None
) -> None:
    """Raise ValueError where weights are taken for shares of an edge, which these are not."""
    name = type(mixing).__name__
    if space.keeps_none:
        raise ValueError(
            f"mixing {name} in space {space.name!r}, where {NONE!r} can be chosen: its weight "
            "takes nothing from the others, so that no loss says how large it should be. Use "
            "Softmax, or another space."
        )
    if perturbation is not None:
        raise ValueError(
            f"{type(perturbation).__name__} with mixing {name}: perturbed weights are divided by "
            "their sum, and these do not add up to one. Use Softmax or GumbelSoftmax."
        )
    if target is not None and target.drawn:
        raise ValueError(
            f"{type(target).__name__} with mixing {name}: it adds up costs by the weights of a "
            "step, which are no probabilities here. Use CostWeight or CostLimit."
        )


def _require_penalty(mixing: Mixing, penalty: AlphaPenalty) -> None:
    """Raise ValueError where a penalty is of other weights than the mixing's."""
    if penalty.independent == mixing.independent:
        return
    both = f"{type(penalty).__name__} with mixing {type(mixing).__name__}"
    raise ValueError(
        f"{both}: it is a loss of σ(α), and here no weight is that. Use Sigmoid, or leave the "
        "penalty out."
        if penalty.independent
        else f"{both}: it lowers α by softmax weights, and here no weight is that. Use Softmax or "
        "GumbelSoftmax, or leave the penalty out."
    )


def _require_partial(space: Space, channels: int, partial: PartialChannels) -> None:
    """Raise ValueError where channels cannot be shared out, or β would have nothing to choose."""
    partial.require(channels)
    if partial.edge_normalisation and space.keep_edges is None:
        raise ValueError(
            f"edge normalisation in space {space.name!r}, whose edges are fixed: it learns "
            "which edges to keep. Set edge_normalisation=false, or search edges."
        )


def _require_stages(space: Space, cells: int, progressive: Progressive, stop: Stop | None) -> None:
    """Raise ValueError where stages do not fit the space, the first network, or a stopping rule."""
    progressive.require(space)
    if cells != progressive.cells[0]:
        raise ValueError(
            f"cells={cells} with stages of {progressive.cells} cells. Set cells to "
            f"{progressive.cells[0]}, the first stage's."
        )
    if stop is not None:
        raise ValueError(
            f"{type(stop).__name__} with progressive stages: a rule on the epochs of one "
            "network, where the network changes. Use one or the other."
        )
