"""
Names for result files at their destination: safe and unique whatever the API calls them.

A name is one path segment, made of what was left of the API's name after everything that could lead elsewhere
(slashes, `..`, control characters) is gone. The same list of files always gets the same names.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_sixtyfour.api.models import ResultFile
from airflow_provider_sixtyfour.formats.names import safe_stem


def safe_names(files: Sequence[ResultFile], extension: str) -> list[str]:
    """
    Return a name for each file, none equal to another even where case doesn't count.

    :param extension: of every name, without a dot: the format that the content has, whatever the API's name says.
    """
    taken: set[str] = set()
    names = []
    for file in files:
        stem = safe_stem(file.filename, extension) or "results"
        if stem.casefold() + extension in taken and file.block_number is not None:
            stem = f"{stem}-block-{file.block_number}"
        unique, number = stem, 2
        while unique.casefold() + extension in taken:
            unique, number = f"{stem}-{number}", number + 1
        taken.add(unique.casefold() + extension)
        names.append(f"{unique}.{extension}")
    return names
