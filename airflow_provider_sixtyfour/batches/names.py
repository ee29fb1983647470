"""
Names of batches and of the folders that they land in.

Invariant: a name depends on the input's name and the batch's number alone, so it is the same in each run; and two
batches with different names never get one folder. A name that can be used as it is stays as it is, a
CSV file's without its extension. Of any other, what can be used is kept and a digest of the whole is added; the number
comes last and is never cut.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b
from pathlib import PurePosixPath

from airflow_provider_sixtyfour.formats.names import LONGEST_NAME, cut_to, safe_text
from airflow_provider_sixtyfour.formats.table import FORMATS, extension_of

LONGEST_STEM = LONGEST_NAME - len("-00000")  # bytes of a name without its number
_DIGEST = 6  # bytes
_CSV = "csv"
_OTHERS = [one for each in FORMATS.values() for one in each.extensions if one != _CSV]
_NUMBER = re.compile(r"-[0-9]{5,9}\Z")


def batch_stem(name: str, suffix: str = "") -> str:
    """
    Return what the files of an input's batches are named: ``{stem}-00000.csv`` is the first.

    :param name: of the input, a path or URL.
    :param suffix: what is added to it, whole in any case.
    """
    stem = PurePosixPath(name).stem
    fits = len(stem.encode("utf-8", "replace")) + len(suffix) <= LONGEST_STEM
    # Half a surrogate pair, a line end or the like: no store, log or database need take that.
    if fits and not any(unicodedata.category(char)[0] == "C" for char in stem):
        return stem + suffix
    return _unique_name(stem, "", suffix)


def is_batch_name(name: str) -> bool:
    """Return whether a file is named as a batch is: ``{stem}-00000.csv``."""
    path = PurePosixPath(name)
    return bool(path.suffix and _NUMBER.search(path.stem) and not path.stem.startswith("-"))


def folder_name(name: str) -> str:
    """
    Return the name of the folder that a batch lands in.

    :param name: of the batch's file.
    """
    path = PurePosixPath(name)
    extension = path.suffix.lower().removeprefix(".")
    stem, number = path.stem, ""
    if found := _NUMBER.search(stem):
        stem, number = stem[: found.start()], found[0]
    longest = LONGEST_STEM if number else LONGEST_NAME
    safe = safe_text(name, extension)
    if safe and safe == path.stem and len(stem.encode()) <= longest:
        if extension != _CSV:
            return f"{safe}.{extension}"
        if extension_of(safe) not in _OTHERS:
            return safe
    return _unique_name(stem, extension, number)


def _unique_name(stem: str, extension: str, ending: str) -> str:
    """Return a name that no other stem or extension gives."""
    digest = blake2b(f"{stem}.{extension}".encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()
    kept = cut_to(safe_text(stem, extension), LONGEST_STEM - len(f"--{digest}{ending}")).rstrip("._- ")
    return f"{kept or 'batch'}--{digest}{ending}"
