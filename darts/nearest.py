"""What an unknown name was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(found: str, known: Iterable[str]) -> str | None:
    """The known name that is most like the one found; None if none is."""
    close = get_close_matches(found.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(what: str, found: str, known: Iterable[str], *also: str) -> str:
    """A message that refuses a name, offers the nearest, and lists what there is."""
    names = list(known)
    near = nearest(found, names)
    listed = ", ".join((*names, *also)) or "none"
    if near is None:
        return f"No {what} {found!r}; there are {listed}."
    return f"No {what} {found!r}. Did you mean {near!r}? There are {listed}."
