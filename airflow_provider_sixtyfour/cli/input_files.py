"""What a command reads: JSON documents, rows and files to upload, from local paths, URLs and stdin."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

STDIN = "-"


def read_json(path: str) -> Any:
    """
    Return the value of a JSON file.

    :param path: of a local file; ``-`` for stdin.
    :raises SixtyfourInputError: if it can't be read, or isn't JSON.
    """
    try:
        if path == STDIN:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        else:
            with open(path, encoding="utf-8-sig") as file:
                text = file.read()
    except UnicodeDecodeError:
        raise SixtyfourInputError(f"{shown(path)} is not UTF-8 text.") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not text.strip():
        raise SixtyfourInputError(f"{shown(path)} is empty.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SixtyfourInputError(f"{shown(path)} is not valid JSON: {error}.") from None


def unreadable(path: str, error: OSError | ValueError) -> SixtyfourInputError:
    """Return the error for a local file that can't be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SixtyfourInputError(f"{shown(path)} can't be read: {reason}.")


def shown(path: str) -> str:
    """Return a path for a message."""
    return "stdin" if path == STDIN else f"The file {os.path.normpath(path)[:300]!r}"
