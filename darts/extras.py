"""Packages that only some commands need, looked for before work starts."""

from importlib.util import find_spec


def installed(package: str) -> bool:
    return find_spec(package) is not None


def require_extra(extra: str, purpose: str, *packages: str) -> None:
    """Raise ValueError, naming the extra to install, if one of its packages is missing."""
    absent = [name for name in packages if not installed(name)]
    if absent:
        raise ValueError(
            f"{purpose} needs {' and '.join(absent)}, which "
            f"{'is' if len(absent) == 1 else 'are'} not installed: "
            f"pip install 'amended-darts[{extra}]'."
        )
