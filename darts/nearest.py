"""The known name that an unknown one was probably meant to be."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "frame": "stem",
        "still_epochs": "frozen_epochs",
        "arrangement": "macro_architecture",
        "SmallImageFrame": "SmallImageStemAndHead",
        "ImageNetFrame": "ImageNetStemAndHead",
    }
)
"""Settings and classes that older files and scripts name otherwise; config.json may have either."""


def nearest(found: str, known: Iterable[str]) -> str | None:
    """The known name that is meant by the one found, or most like it; None if none is."""
    names = list(known)
    field = found.rpartition(".")[2].lstrip("-")
    renamed = RENAMED.get(field.replace("-", "_"))
    if renamed is not None:
        meant = found.removesuffix(field) + (renamed if "_" in field else renamed.replace("_", "-"))
        if meant in names:
            return meant
    close = get_close_matches(found.lower(), names, n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(what: str, found: str, known: Iterable[str], *also: str) -> str:
    """A message that refuses a name, offers the nearest, and lists the known ones."""
    names = list(known)
    near = nearest(found, names)
    listed = ", ".join((*names, *also)) or "none"
    if near is None:
        return f"No {what} {found!r}; there are {listed}."
    return f"No {what} {found!r}. Did you mean {near!r}? There are {listed}."
