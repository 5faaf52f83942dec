"""How a search went, on its page: charts of what was measured, and its mixing weights."""

from collections.abc import Sequence
from typing import Any

from darts.names import MIXINGS
from darts.records.run_folder import Record, RunFolder
from darts.reports import plots
from darts.reports.drawing import operation_label, state_label
from darts.reports.measures import measure_in, title
from darts.reports.selected import epochs_as_chosen
from darts.reports.shares import share
from darts.spaces import Genotype
from darts.spaces.space import NONE, SKIP


def search_part(config: Record, run: RunFolder) -> Record:
    epochs, steps = epochs_as_chosen(run), run.records("search/steps")
    if not epochs:
        return {"search_charts": [], "shares": [], "mixing": []}
    last = epochs[-1]
    measure = measure_in(last, "val_")
    columns = len(last["operations"])
    none = "" if NONE in last["operations"] else " This space has no “none” operation."
    sigmoid = config["search"]["mixing"]["type"] == MIXINGS.kinds["sigmoid"].__name__
    even, dotted = (0.5, "1/2, where all begin") if sigmoid else (1 / columns, "all equal")
    charts = [
        {
            "pictures": plots.weight_panels(epochs, even),
            "caption": "Mean over all edges of each kind of cell. Band: lowest to highest of the "
            f"other operations. Dotted: {dotted}.{none}",
        },
        {
            "pictures": [
                plots.curve_panel("Loss of the supernet", epochs, _LOSSES, "search-loss"),
                plots.curve_panel(
                    f"{title(measure).partition(',')[0]} of the supernet on α’s half"
                    f"{',' + measure.unit if measure.unit else ''}",
                    epochs,
                    {f"val_{measure.name}": (plots.RED, "")},
                    "search-accuracy",
                ),
            ],
            "caption": "After each epoch, on images not augmented, with batch-norm averages taken "
            "anew; the loss on ω’s half is the mean over the epoch’s steps.",
        },
        *_terms(steps),
        *_scores(epochs, run),
        *_costs(epochs, run),
        *_curvature(epochs),
    ]
    genotype = Genotype.from_dict(last["genotype"])
    edges = [tuple(edge) for edge in config["search"]["space"]["edges"]]
    return {
        "search_charts": charts,
        "shares": _shares(last),
        "mixing": [_mixing(last, edges, cell) for cell in genotype.cells],
    }


_LOSSES = {
    "train_loss": (plots.BLUE, "ω’s half, with weight decay"),
    "val_loss": (plots.RED, "α’s half"),
}
_TABLE = {
    "table_cifar10_percent": "True accuracy, CIFAR-10, %",
    "table_cifar100_percent": "True accuracy, CIFAR-100, %",
    "table_imagenet16_percent": "True accuracy, ImageNet16-120, %",
}
"""Scores of a search in NAS-Bench-201, by their names in records."""


def _terms(steps: Sequence[Record]) -> list[Record]:
    """Sizes of the hypergradient's terms; with their angle where the search had two."""
    if not any(record["direct_norm"] for record in steps):
        return []
    second = any(record["implicit_norm"] for record in steps)
    names = {"direct_norm": (plots.BLUE, "‖g₁‖")}
    if not second:
        return [
            {
                "pictures": [plots.step_panel("Norm of the direct term", steps, names, "norms")],
                "caption": "g₁ differentiates the validation loss at fixed weights. This estimator "
                "has no other term.",
            }
        ]
    names["implicit_norm"] = (plots.RED, "‖g₂′‖")
    angle = {"angle_degrees": (plots.INK, "")}
    return [
        *_certificate(steps),
        {
            "pictures": [
                plots.step_panel("Norm of the direct and the implicit term", steps, names, "norms"),
                plots.step_panel("Angle between the two, degrees", steps, angle, "angle"),
            ],
            "caption": "The hypergradient is g₁ + g₂: g₁ differentiates the validation loss at "
            "fixed weights, g₂ follows the weights. g₂′ is the estimate of g₂ that the search "
            "used. The angle says whether the two pull α together (below 90°) or apart.",
        },
    ]


def _certificate(steps: Sequence[Record]) -> list[Record]:
    """How far the implicit term may be from g₂, where the estimator guaranteed anything."""
    known = [record for record in steps if "certified_degrees" in record]
    if not known:
        return []
    held = sum(record["certificate_holds"] for record in known)
    bound = {"certified_degrees": (plots.GREEN, "")}
    title = "Certified: angle of g₂′ to g₂ at most, degrees"
    return [
        {
            "pictures": [plots.step_panel(title, known, bound, "certificate")],
            "caption": f"{held} of {len(known)} steps kept to the angle asked for. Below 90° the "
            "implicit term points the right way; 180° means that nothing is known. It is certain "
            "on the estimator’s assumptions: second derivatives that are right, and the smallest "
            "curvature that it was given or estimated.",
        }
    ]


def _scores(epochs: Sequence[Record], run: RunFolder) -> list[Record]:
    if not all(name in epochs[-1] for name in _TABLE):
        return []
    caption = (
        "The accuracy of the cell that α stands for after each epoch, trained for 200 epochs: "
        "looked up in the table of NAS-Bench-201, not trained here."
    )
    if run.has("result.json"):
        epoch = run.read("result.json")["search"]["epoch"] + 1
        caption += f" Reported is the cell of epoch {epoch}."
    pictures = [
        plots.curve_panel(title, epochs, {name: (plots.RED, "")}, name)
        for name, title in _TABLE.items()
    ]
    return [{"pictures": pictures, "caption": caption}]


def _costs(epochs: Sequence[Record], run: RunFolder) -> list[Record]:
    """What the network to be retrained costs, where the search had a target."""
    if "found_cost" not in epochs[-1]:
        return []
    unit = epochs[-1]["cost_unit"]
    caption = (
        "What a retrained network costs: expected, where each kept edge draws its operation by α, "
        "and that of the cell that α stands for after each epoch."
    )
    cost = run.read("result.json")["search"].get("cost") if run.has("result.json") else None
    if cost is not None:
        limit = "" if cost["most"] is None else f"; the limit was {cost['most']:g}"
        caption += f" What was found costs {cost['value']:.4g} {unit}{limit}."
    curves = {"expected_cost": (plots.BLUE, "expected"), "found_cost": (plots.RED, "of the cell")}
    picture = plots.curve_panel(f"Cost of the network, {unit}", epochs, curves, "cost")
    return [{"pictures": [picture], "caption": caption}]


def _curvature(epochs: Sequence[Record]) -> list[Record]:
    if not any("alpha_eigenvalue" in record for record in epochs):
        return []
    names = {"alpha_eigenvalue": (plots.AMBER, "")}
    title = "Largest eigenvalue of ∇²_αα L_val"
    return [
        {
            "pictures": [plots.curve_panel(title, epochs, names, "curvature")],
            "caption": "How sharp the validation loss is in α, on one batch after each epoch.",
        }
    ]


def _shares(last: Record) -> list[list[str]]:
    found = [
        (label, kind, share(last, operation, kind))
        for label, operation in (("skip-connect", SKIP), ("none", NONE))
        for kind in last["mixing"]
    ]
    return [
        [
            label,
            plots.cells_title([kind]),
            f"{part.weight_percent:.1f} %",
            f"{part.strongest} of {part.edges}",
        ]
        for label, kind, part in found
        if part is not None
    ]


def _mixing(
    epoch: Record, edges: Sequence[tuple[int, ...]], cell: Any
) -> tuple[str, list[str], list[Any]]:
    """Mixing weights of every edge; the operation that was kept is marked."""
    operations = epoch["operations"]
    kept = cell.by_ends
    rows = []
    for edge, weights in zip(edges, epoch["mixing"][cell.kind], strict=True):
        source, target = (state_label(state, cell.first) for state in edge)
        marked = [
            (weight, kept.get((edge[0], edge[1])) == name)
            for name, weight in zip(operations, weights, strict=True)
        ]
        rows.append((f"{source} → {target}", marked))
    return plots.cells_title([cell.kind]), ["edge", *map(operation_label, operations)], rows
