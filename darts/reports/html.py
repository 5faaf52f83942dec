"""A run folder as one self-contained page, report.html, and as lines for the terminal."""

from markupsafe import Markup

from darts.config.full import FullConfig
from darts.names import ESTIMATORS
from darts.records.run_folder import CONFIG, Record, RunFolder
from darts.records.writing import write_atomically
from darts.reports import plots
from darts.reports.answer import answer, beside, interval_words, only_checks
from darts.reports.cells_part import cells_part
from darts.reports.images import class_part, images_part, spread
from darts.reports.measures import besides, measure_in, shown
from darts.reports.measures import title as measure_title
from darts.reports.millions import millions
from darts.reports.page import duration, render
from darts.reports.search_part import search_part
from darts.reports.statistics import wilson_interval
from darts.reports.the_paper import is_the_papers, papers_settings
from darts.reports.top5 import top5_words
from darts.tasks import Classification
from darts.training.answers import FILE as ANSWERS


def write_report(run: RunFolder) -> str:
    """Write `report.html` and the pictures of the cells from the records; lines about the run.

    Nothing is computed again. A run that is not finished gets a report of its records so far. The
    lines are the answer in sentences, the genotype as DARTS writes it, and the report's path.
    """
    config, data = run.read(CONFIG), run.read("data.json")
    _require_stages(run, config)
    result = run.read("result.json") if run.has("result.json") else {}
    environment = run.read("environment.json")
    seed = (config["search"] or config["retrain"])["seed"]
    sentences = answer(run)
    values = {
        "title": f"Architecture search on {data['name']}",
        "lead": f"Preset {config['preset']}, seed {seed}, {environment['started'][:10]}.",
        "finished": bool(result),
        "answer": sentences,
        "check": only_checks(config),
        "what_was_done": _what_was_done(config, data, result.get("retrain", {}).get("channels")),
        "facts": _facts(result),
        "images": images_part(data),
        "beside_the_paper": _beside_the_paper(config),
        "settings": papers_settings(config),
        "not_shown": _not_shown(config, result, _certified(run)),
        "environment": _environment(environment, data),
        **_result(config, run, result),
        **cells_part(config, run),
        **search_part(config, run),
        **_retrain(run),
    }
    path = write_atomically(run.path / "report.html", render("run.html", **values))
    genotype = [str(values["genotype"])] if values["cells"] else []
    return "\n".join([*sentences, *genotype, f"{_verdict(run, result)}; report: {path}"])


def _require_stages(run: RunFolder, config: Record) -> None:
    """Raise ValueError if config.json is no run's, or leaves out a stage that has records."""
    if config.get("type") != FullConfig.__name__:
        raise ValueError(
            f"{run.path / CONFIG}: type is {config.get('type', 'missing')}, and must be "
            f"{FullConfig.__name__}. Restore the file."
        )
    for stage in ("search", "retrain"):
        if config[stage] is None and run.records(f"{stage}/epochs"):
            raise ValueError(
                f"{run.path / CONFIG}: {stage} is null, and the folder has records of its epochs. "
                "Restore the file."
            )


def _verdict(run: RunFolder, result: Record) -> str:
    if "retrain" not in result:
        return "finished the search" if "search" in result else "not finished"
    test = result["retrain"]["test"]
    measure = measure_in(test)
    return (
        f"test {measure.words} {shown(measure, test[measure.name])}{top5_words(run, test)}"
        f"{besides(test)} of {test['images']} images"
    )


def _result(config: Record, run: RunFolder, result: Record) -> Record:
    """Bars of everything that the network stands beside, and what the numbers mean."""
    trained = result.get("retrain")
    if trained is None or measure_in(trained["test"]) != Classification.measure:
        return {"bars": [], "bars_note": ""}
    test = result["retrain"]["test"]
    others = beside(run)
    bars: list[Record] = [
        {
            "name": entry.name,
            "percent": entry.percent,
            "own": False,
            "beside": "" if entry.difference is None else f"Δ {interval_words(entry.difference)}",
        }
        for entry in others
    ]
    own = test["accuracy_percent"]
    found = "Network found" if config["search"] else "This network"
    bars.append({"name": found, "percent": own, "own": True, "beside": ""})
    bars.sort(key=lambda bar: bar["percent"])
    wrong = round(test["images"] * (1 - own / 100))
    note = [
        f"Accuracy on {test['images']:,} test images that neither search nor training saw; the "
        f"network got {wrong} wrong{top5_words(run, test)}."
    ]
    if not only_checks(config):
        interval = wilson_interval(own, test["images"])
        note.append(
            f"95 % interval for the choice of test images: {interval.low:.1f} to "
            f"{interval.high:.1f} %. Δ: the same of the network’s accuracy minus the bar’s, "
            "in points; the two are within noise where it holds 0."
        )
    if any(entry.paired for entry in others) and not only_checks(config):
        note.append(
            "Cells were trained as the found one was and are compared image by image. Another seed "
            "of a training, or other random cells, would move the numbers too: no interval here "
            "covers that."
        )
    note.append(regression_note(result["baselines"]))
    return {"bars": bars, "bars_note": " ".join(note)}


def regression_note(base: Record) -> str:
    """How the logistic regression was fitted, or that it was not."""
    if base["logistic_percent"] is None:
        return (
            "No logistic regression was fitted: there are too many images, pixels and classes, or "
            "too few images of a class to choose its penalty on."
        )
    fit = "" if base["converged"] else f", stopped after {base['iterations']} iterations"
    return (
        "The logistic regression has the same training and test images, and its penalty "
        f"(C = {base['penalty']:g}) was chosen on a fifth of the training images{fit}."
    )


def _facts(result: Record) -> list[tuple[str, str]]:
    search, trained = result.get("search"), result.get("retrain")
    facts = []
    if trained:
        facts = [
            (millions(trained["params_millions"], 3), "parameters"),
            (millions(trained["multiply_adds_millions"], 1), "multiply-adds an image"),
        ]
    if search:
        facts.append((duration(search["wall_seconds"]), "search"))
    if trained:
        facts.append((duration(trained["wall_seconds"]), "retraining"))
    return facts


def _what_was_done(config: Record, data: Record, channels: int | None) -> str:
    search, retrain = config["search"], config["retrain"]
    shape = data["shape"]
    kind = f"{shape[1]}×{shape[2]} {'grey' if shape[0] == 1 else 'colour'} images"
    sentences = []
    if search:
        sentences.append(
            f"A supernet of {search['cells']} cells with {search['channels']} channels, in which "
            f"every edge mixes {len(search['space']['operations'])} operations, was trained for "
            f"{_times(search['epochs'])} on one half of {data['train_images']:,} {kind}. The "
            "mixing weights α were moved to lower the loss on the other half, by an estimate of "
            f"that loss’s hypergradient: {_words(search['estimator']['type'])}."
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
    return " ".join(sentences)


def _retrain(run: RunFolder) -> Record:
    epochs = run.records("retrain/epochs")
    parts: Record = {"training_chart": None, "classes": None, "mistakes": []}
    if run.has(ANSWERS):
        answers, names = run.read(ANSWERS), run.read("data.json")["class_names"]
        parts["classes"] = class_part(answers, names)
        parts["mistakes"] = [
            {
                **one,
                "true": names[answers["labels"][one["image"]]],
                "said": names[answers["answers"][one["image"]]],
            }
            for one in answers["mistakes"]
        ]
    if not epochs:
        return parts
    measure = measure_in(epochs[-1], "train_")
    looks = sum("test_loss" in record for record in epochs)
    parts["training_chart"] = {
        "pictures": [
            plots.curve_panel(
                title,
                epochs,
                {
                    f"train_{name}": (plots.BLUE, "training images"),
                    f"test_{name}": (plots.RED, "test images"),
                },
                f"retrain-{name}",
            )
            for name, title in (("loss", "Loss"), (measure.name, measure_title(measure)))
        ],
        "caption": "Training values are means over each epoch’s augmented images. The test images "
        f"were looked at {'once, after the last epoch' if looks == 1 else f'{looks} times'}; the "
        "last epoch is the one reported.",
    }
    return parts


def _beside_the_paper(config: Record) -> str:
    if not is_the_papers(config):
        return (
            "The paper has no number for this cell: it searches and retrains on the whole of "
            "CIFAR-10, or ImageNet, with the settings in the right-hand columns. Nothing here "
            "confirms or contradicts its tables."
        )
    setting = (
        "ImageNet’s mobile setting on all images in its folders. If these are ImageNet’s,"
        if config["data"]["type"] == "ImageFolders"
        else "the paper’s settings in this space on the whole of CIFAR-10:"
    )
    return (
        f"This run has {setting} set its test error beside the paper’s row for this space and "
        "estimator. One run is one seed; the paper’s rows are means of several."
    )


_FIRST = ESTIMATORS.kinds["first-order"].__name__


def _not_shown(config: Record, result: Record, certified: bool) -> list[Markup]:
    points = []
    if config["search"] and not result.get("cells"):
        points.append(
            "That the search did better than chance: most cells of a space train well. "
            "<code>--baselines 2</code> retrains random cells and a published one beside the found."
        )
    points.append(
        "How much the result varies. This is one seed; <code>--seeds 3</code> runs several, and "
        "<code>darts compare</code> sets any runs beside one another."
    )
    if config["search"] and config["search"]["estimator"]["type"] != _FIRST and not certified:
        points.append(
            "That the implicit term points the right way: its angle to the exact g₂ would need a "
            "solve with the Hessian at every step."
        )
    if not is_the_papers(config):
        points.append(
            "Anything at the paper’s scale: images, channels, cells and epochs are all reduced."
        )
    return [Markup(point) for point in points]


def _certified(run: RunFolder) -> bool:
    """Whether every step's angle to g₂ was certified as asked."""
    epochs = run.records("search/epochs")
    return bool(epochs) and all(r.get("certified_steps_percent") == 100 for r in epochs)


def _environment(environment: Record, data: Record) -> Record:
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return {
        "command": environment["command"],
        "rows": [
            ["commit", Markup("<code>{}</code>").format(environment["commit"])],
            ["device", f"{environment['device']} ({environment['device_name']})"],
            [
                "processor",
                f"{environment['processor']}, {_counted(environment['cpus'], 'CPU')}, "
                f"{_counted(environment['torch_threads'], 'thread')}",
            ],
            ["Python", f"{environment['python']} on {environment['system']}"],
            ["packages", packages],
            [
                "images",
                f"{data['train_images']:,} for training ({spread(data['train_counts'])} a class), "
                f"{data['test_images']:,} for testing ({spread(data['test_counts'])})",
            ],
        ],
    }


def _times(epochs: int) -> str:
    return "one epoch" if epochs == 1 else f"{epochs} epochs"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _words(name: str) -> str:
    """DartsSecondOrder → darts second order."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
