"""Packages of the wheel: the code, and the records that its claims are verified from."""

from pathlib import Path

from setuptools import find_packages, setup

RECORDS = "proofs_checks.records"
folders = {RECORDS: Path("docs/records"), f"{RECORDS}.figures": Path("docs/figures")}
for folder in sorted(path for path in Path("docs/records").rglob("*") if path.is_dir()):
    place = folder.relative_to("docs/records").parts
    folders[".".join((RECORDS, *place))] = folder

setup(
    packages=[
        *find_packages(include=["bilevel*", "darts*", "proofs_checks*", "toy*"]),
        *folders,
    ],
    package_dir={name: folder.as_posix() for name, folder in folders.items()},
)
