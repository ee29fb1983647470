"""Copies the example Dags to a folder of the user's."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.cli.console import Console

PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has them in the package, a checkout in the folder above.
PLACES = (PACKAGE / "example_dags", PACKAGE.parent / "example_dags")


def examples(given: Namespace, console: Console) -> int:
    """Copy the example Dags and the files that they read; leave files alone that are there."""
    source = next((place for place in PLACES if place.is_dir()), None)
    if source is None:
        raise SixtyfourInputError("This installation has no example Dags: install the package from its wheel.")
    target = Path(given.to)
    copied = []
    for path in sorted(source.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        to = target / path.relative_to(source)
        copied.append({"file": str(to), "copied": _is_copied(path, to)})
    console.records(copied, ("file", "copied"))
    if kept := sum(not each["copied"] for each in copied):
        console.note(f"{kept} of {len(copied)} files were there already, and were left as they are.")
    return exit_codes.SUCCESS


def _is_copied(source: Path, to: Path) -> bool:
    """Copy a file unless there is one; return whether it was copied."""
    if to.is_symlink() or to.exists():
        return False
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(source.read_bytes())
    except OSError as error:
        raise SixtyfourInputError(f"{to} can't be written: {error.strerror}.") from None
    return True
