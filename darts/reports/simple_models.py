"""The simple models that a network's accuracy is shown beside."""

from darts.records.run_folder import Record
from darts.reports.page import bars


def accuracy_bars(base: Record, label: str, accuracy_percent: float) -> str:
    """The commonest class, the logistic regression if there is one, and the network."""
    linear = base["logistic_percent"]
    return bars(
        [
            ("Commonest class", base["majority_percent"], False),
            *([] if linear is None else [("Logistic regression", linear, False)]),
            (label, accuracy_percent, True),
        ]
    )


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


def regression_words(base: Record) -> str:
    """Its accuracy for a line of text, with a space before it; nothing if there is none."""
    linear = base["logistic_percent"]
    return "" if linear is None else f" (logistic regression {linear:.2f} %)"
