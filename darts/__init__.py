"""Differentiable architecture search: spaces, networks and runs.

From Python: `search` and `retrain` on images of one's own, `image_set` of arrays, and
`register_data_set`, which lets a name stand for images on the command line. PyTorch is loaded when
one of them is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts.data.arrays import image_set as image_set
    from darts.data.sets import register_data_set as register_data_set
    from darts.from_python import retrain as retrain
    from darts.from_python import search as search

_HOMES = {
    "image_set": "darts.data.arrays",
    "register_data_set": "darts.data.sets",
    "retrain": "darts.from_python",
    "search": "darts.from_python",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
