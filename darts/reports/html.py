"""A run folder as one self-contained page, report.html."""

from html import escape
from typing import Any

from darts.config.as_json import to_json
from darts.config.imagenet_presets import MOBILE
from darts.config.paper_presets import PAPER_CELLS, PAPER_SEARCHES
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.records.run_folder import Record, RunFolder
from darts.records.writing import write_atomically
from darts.reports import plots
from darts.reports.images import images_section, spread
from darts.reports.page import facts, figure, page
from darts.reports.shares import NONE, SKIP, share
from darts.reports.simple_models import accuracy_bars, regression_note, regression_words
from darts.reports.tables import mixing_table, settings_table, table, wilson_interval
from darts.reports.top5 import top5_words
from darts.spaces import S1_FIXED, Genotype, named_by_edges, spaces_in_words


def write_report(run: RunFolder) -> str:
    """Write `report.html` and the pictures of the cells from the records; a line about it.

    Nothing is computed again. A run that is not finished gets a report of what there is.
    """
    config = run.read("config.json")
    result = run.read("result.json") if run.has("result.json") else {}
    sections = [
        _head(config, run, result),
        _result(config, run, result),
        _cells(run),
        _search(config, run),
        _retrain(run),
        images_section(run.read("data.json")),
        _beside_the_paper(config),
        _not_shown(config),
        _again(config, run),
    ]
    title = f"Architecture search on {run.read('data.json')['name']}"
    path = write_atomically(
        run.path / "report.html", page(title, "\n".join(filter(None, sections))).encode()
    )
    return f"{_verdict(run, result)}; report: {path}"


def _verdict(run: RunFolder, result: Record) -> str:
    if "retrain" not in result:
        return "finished the search" if "search" in result else "not finished"
    test, base = result["retrain"]["test"], result["baselines"]
    return (
        f"test accuracy {test['accuracy_percent']:.2f} %{top5_words(run, test)} of "
        f"{test['images']} images{regression_words(base)}"
    )


def _head(config: Record, run: RunFolder, result: Record) -> str:
    data = run.read("data.json")
    environment = run.read("environment.json")
    seed = (config["search"] or config["retrain"])["seed"]
    missing = "" if result else " <b>This run is not finished.</b>"
    return (
        f"<h1>Architecture search on {escape(data['name'])}</h1>"
        f'<p class="lead">Preset {escape(config["preset"])}, seed {seed}, '
        f"{escape(environment['started'][:10])}.{missing}</p>"
    )


def _result(config: Record, run: RunFolder, result: Record) -> str:
    data = run.read("data.json")
    shape = data["shape"]
    kind = f"{shape[1]}×{shape[2]} {'grey' if shape[0] == 1 else 'colour'} images"
    channels = result.get("retrain", {}).get("channels")
    text = [_what_was_done(config, data, kind, channels)]
    if "retrain" in result:
        trained, base = result["retrain"], result["baselines"]
        test = trained["test"]
        interval = wilson_interval(test["accuracy_percent"], test["images"])
        wrong = round(test["images"] * (1 - test["accuracy_percent"] / 100))
        text.append(accuracy_bars(base, "Network found", test["accuracy_percent"]))
        text.append(
            f'<p class="note">Accuracy on {test["images"]:,} test images that neither search nor '
            f"training saw; the network got {wrong} wrong{top5_words(run, test)}. 95 % interval "
            f"for the choice of test images: {interval.low:.1f} to {interval.high:.1f} %. "
            f"{regression_note(base)}</p>"
        )
        numbers = [
            (f"{trained['params_millions']:.3f} M", "parameters"),
            (f"{trained['multiply_adds_millions']:.1f} M", "multiply-adds an image"),
        ]
    else:
        numbers = []
    if "search" in result:
        numbers.append((_duration(result["search"]["wall_seconds"]), "search"))
    if "retrain" in result:
        numbers.append((_duration(result["retrain"]["wall_seconds"]), "retraining"))
    if numbers:
        text.append(facts(numbers))
    return "".join(text)


def _what_was_done(config: Record, data: Record, kind: str, channels: int | None) -> str:
    search, retrain = config["search"], config["retrain"]
    sentences = []
    if search:
        estimator = search["estimator"]
        sentences.append(
            f"A supernet of {search['cells']} cells with {search['channels']} channels, in which "
            f"every edge mixes {len(search['space']['operations'])} operations, was trained for "
            f"{_times(search['epochs'])} on one half of {data['train_images']:,} {kind}. The "
            f"mixing weights α were moved to lower the loss on the other half, by the "
            f"{_words(estimator['type'])} estimate of that loss’s hypergradient."
        )
    if retrain:
        which = "The strongest operation of each edge was kept, and the" if search else "The"
        width = f"{channels or retrain['channels']} channels"
        if channels is None and isinstance(retrain["channels"], dict):
            width = f"as many channels as {retrain['channels']['millions']:g} M multiply-adds allow"
        sentences.append(
            f"{which} resulting network, {retrain['cells']} cells with {width}, was trained from "
            f"scratch on all {data['train_images']:,} images for {_times(retrain['epochs'])}."
        )
    return f"<p>{' '.join(sentences)}</p>"


def _cells(run: RunFolder) -> str:
    if not run.has("genotype.json"):
        return ""
    genotype = Genotype.from_dict(run.read("genotype.json"))
    pictures = []
    for cell in genotype.cells:
        drawing = plots.svg(plots.cell_figure(cell), f"cell-{cell.kind}")
        write_atomically(run.path / "figures" / f"{cell.kind}.svg", drawing.encode())
        name = "Reduction" if cell.kind == "reduce" else cell.kind.replace("_", " ").capitalize()
        halves = ", which halves the resolution" if cell.kind == "reduce" else ""
        title = f"{name} cell" if cell.kind in ("normal", "reduce") else name
        pictures.append(f"<h3>{title}{halves}</h3><figure>{drawing}</figure>")
    cell = genotype.cells[0]
    reads = "the two cells" if cell.first == 2 else "the cell"
    whole = len(cell.concat) == cell.nodes
    output = "concatenates the nodes" if whole else f"is node {cell.concat[-1] - cell.first + 1}"
    caption = (
        f'<p class="note">A cell reads the output of {reads} before it. Each of its nodes, 1 to '
        f"{cell.nodes}, adds operations on earlier states; the output {output}. This genotype is "
        f"{spaces_in_words(genotype)}.</p>"
    )
    return "<h2>What was found</h2>" + "".join(pictures) + caption


def _search(config: Record, run: RunFolder) -> str:
    epochs, steps = run.records("search/epochs"), run.records("search/steps")
    if not epochs:
        return ""
    last = epochs[-1]
    text = ["<h2>How the search went</h2>"]
    drawn = {
        "weights": (
            plots.weights_figure(epochs),
            "Mean over all edges of each kind of cell. Band: lowest to highest of the other "
            "operations. Dotted: all equal. A search has collapsed when skip takes everything."
            + ("" if NONE in last["operations"] else " This space has no “none” operation."),
        ),
        "search": (
            plots.search_figure(epochs),
            "After each epoch, on images not augmented, with batch-norm averages taken anew; "
            "the loss on ω’s half is the mean over the epoch’s steps.",
        ),
        "norms": (
            plots.norms_figure(steps),
            "The hypergradient is g₁ + g₂: g₁ differentiates the validation loss at fixed "
            "weights, g₂ follows the weights. g₂′ is the estimate of g₂ that the search used. "
            "The angle says whether the two terms pull α together (below 90°) or apart.",
        ),
    }
    if all(name in last for name in _TABLE):
        drawn["table"] = (
            plots.table_figure(epochs, _TABLE),
            "The accuracy of the cell that α stands for after each epoch, trained for 200 epochs: "
            "looked up in the table of NAS-Bench-201, not trained here. Reported is the cell of "
            f"epoch {run.read('result.json')['search']['epoch'] + 1}."
            if run.has("result.json")
            else "The accuracy of the current cell, looked up in the table of NAS-Bench-201.",
        )
    for name, (drawing, caption) in drawn.items():
        text.append(figure(plots.svg(drawing, name), caption))
    text.append(_shares(last))
    genotype = Genotype.from_dict(last["genotype"])
    edges = [tuple(edge) for edge in config["search"]["space"]["edges"]]
    for cell in genotype.cells:
        text.append(f"<h3>Mixing weights at the end, {cell.kind} cells, per cent</h3>")
        text.append(mixing_table(last, cell.kind, edges, cell))
    text.append('<p class="note">Framed: the operation that was kept.</p>')
    return "".join(text)


_TABLE = {
    "table_cifar10_percent": "True accuracy, CIFAR-10, %",
    "table_cifar100_percent": "CIFAR-100, %",
    "table_imagenet16_percent": "ImageNet16-120, %",
}
"""Scores of a search in NAS-Bench-201, by their names in records."""


def _shares(last: Record) -> str:
    rows = []
    for label, operation in (("skip-connect", SKIP), ("none", NONE)):
        for kind in last["mixing"]:
            part = share(last, operation, kind)
            if part is not None:
                rows.append(
                    [
                        label,
                        kind,
                        f"{part.weight_percent:.1f} %",
                        f"{part.strongest} of {part.edges}",
                    ]
                )
    return table(["operation", "cells", "mean weight at the end", "strongest on edges"], rows)


def _retrain(run: RunFolder) -> str:
    epochs = run.records("retrain/epochs")
    if not epochs:
        return ""
    looks = sum("test_loss" in record for record in epochs)
    caption = (
        "Training values are means over each epoch’s augmented images. The test images were looked "
        f"at {'once, after the last epoch' if looks == 1 else f'{looks} times'}; "
        "the last epoch is the one reported."
    )
    drawing = plots.svg(plots.retrain_figure(epochs), "retrain")
    return "<h2>Training the network found</h2>" + figure(drawing, caption)


def _beside_the_paper(config: Record) -> str:
    text = ["<h2>Beside the paper</h2>"]
    if is_the_papers(config):
        setting = (
            "ImageNet’s mobile setting on all images in its folders. If these are ImageNet’s,"
            if config["data"]["type"] == "ImageFolders"
            else "the paper’s settings in this space on the whole of CIFAR-10:"
        )
        text.append(
            f"<p>This run has {setting} set its test error beside the paper’s row for this space "
            "and estimator. One run is one seed; the paper’s rows are means of several.</p>"
        )
    else:
        text.append(
            "<p>The paper has no number for this cell: it searches and retrains on the whole of "
            "CIFAR-10, or ImageNet, with the settings in the right-hand columns below. Nothing "
            "here confirms or contradicts its tables.</p>"
        )
    for name, papers in (("search", _papers_search), ("retrain", _papers_retraining)):
        if config[name]:
            text.append(f"<h3>{name.capitalize()} settings</h3>")
            text.append(settings_table(config[name], papers(config)))
    text.append(
        '<p class="note">Bold: differs from the paper, which leaves some settings to DARTS and, on '
        "ImageNet, to PC-DARTS.</p>"
    )
    return "".join(text)


def _papers_search(config: Record) -> SearchConfig:
    """The paper's search in the same space, or of Table 1's S1 where it has none there."""
    name = str(named_by_edges(config["search"]["space"])["name"])
    return PAPER_SEARCHES.get(name, PAPER_SEARCHES[S1_FIXED.name])


def _papers_retraining(config: Record) -> RetrainConfig:
    """The paper's settings for photographs, or for images of CIFAR-10's kind."""
    return MOBILE if config["data"]["type"] == "ImageFolders" else RetrainConfig()


def is_the_papers(config: Record) -> bool:
    """Whether a run has the paper's own settings in its space, whatever its estimator and seed.

    On CIFAR-10 both stages, the second with 8 or 20 cells; on ImageNet, where genotypes are only
    retrained, the second, with as many cells as the genotype has.
    """
    data = config["data"]
    if data["type"] not in ("Cifar10", "ImageFolders") or data["train_size"] or data["test_size"]:
        return False
    search, retrain = config["search"], config["retrain"]
    if retrain is None or not _alike(retrain, _papers_retraining(config), "cells"):
        return False
    if data["type"] == "ImageFolders":
        return search is None and data["image_size"] == 224
    if search is None or retrain["cells"] not in PAPER_CELLS:
        return False
    return _alike(search, _papers_search(config))


def _alike(stage: Record, paper: Any, *free: str) -> bool:
    """Whether a stage has the paper's settings, but for those that are a run's own."""
    own = {"estimator", "seed", "test_every", "checkpoint_share", *free}
    return all(stage[name] == value for name, value in to_json(paper).items() if name not in own)


def _not_shown(config: Record) -> str:
    points = [
        "That the search did better than chance. Most cells of this space train well; a fair "
        "test retrains random cells with the same budget beside the one found.",
        "How much the result varies. This is one seed; <code>--seeds 3</code> runs several and "
        "writes their mean and deviation.",
    ]
    if config["search"]:
        points.append(
            "That the implicit term points the right way. Its size and angle to g₁ are recorded "
            "here, not its angle to the exact g₂, which would need a solve with the Hessian."
        )
    if not is_the_papers(config):
        points.append(
            "Anything at the paper’s scale: images, channels, cells and epochs are all reduced."
        )
    return (
        "<h2>What this does not show</h2><ul>" + "".join(f"<li>{p}</li>" for p in points) + "</ul>"
    )


def _again(config: Record, run: RunFolder) -> str:
    environment, data = run.read("environment.json"), run.read("data.json")
    packages = ", ".join(
        f"{escape(name)} {escape(version)}" for name, version in environment["packages"].items()
    )
    rows = [
        ["commit", f"<code>{escape(environment['commit'])}</code>"],
        ["device", escape(f"{environment['device']} ({environment['device_name']})")],
        [
            "processor",
            escape(
                f"{environment['processor']}, {environment['cpus']} CPUs, "
                f"{environment['torch_threads']} threads"
            ),
        ],
        ["Python", escape(f"{environment['python']} on {environment['system']}")],
        ["packages", packages],
        [
            "images",
            f"{data['train_images']:,} for training ({spread(data['train_counts'])} a class), "
            f"{data['test_images']:,} for testing ({spread(data['test_counts'])})",
        ],
    ]
    return (
        "<h2>Run it again</h2>"
        f"<pre>{escape(environment['command'])}</pre>"
        '<p class="note">Same commit, packages, processor type and number of threads give the same '
        "bits on a CPU. Records of every step and epoch, checkpoints, weights and TensorBoard "
        "events lie beside this page.</p>" + table([], rows)
    )


def _times(epochs: int) -> str:
    return "one epoch" if epochs == 1 else f"{epochs} epochs"


def _words(name: str) -> str:
    """DartsSecondOrder → darts second order."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
