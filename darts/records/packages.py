"""Versions of the packages that are installed."""

from importlib import metadata


def version_of(package: str) -> str:
    """The version; "not installed" where the code is only on the path, as of a plain clone."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
