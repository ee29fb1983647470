"""Text of the API, of files and of errors as text: nothing in it moves a cursor, or colours or reverses a line."""

from __future__ import annotations

import json
import re
import unicodedata
from importlib import import_module
from typing import Any

_REPLACEMENT = "\ufffd"


def printable(text: str) -> str:
    """Return a text as one line, with U+FFFD for each character that can't be printed."""
    text = " ".join(text.split())
    return text if text.isprintable() else "".join(char if char.isprintable() else _REPLACEMENT for char in text)


def one_line(text: str) -> str:
    """Return a message as one line; the lines of a list in it are joined by semicolons."""
    first, *rest = [printable(line) for line in text.splitlines() if line.strip()] or [""]
    items = [line.removeprefix("- ") for line in rest]
    return f"{first} {'; '.join(items)}".rstrip()


def json_text(value: Any, encoding: str | None) -> str:
    """
    Return a value as JSON, indented.

    What can't be printed is escaped, which is the same JSON; so is what the output's encoding can't represent.

    :raises ValueError: if it holds a number that JSON cannot represent.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    text = re.sub(r"[^\n]", lambda char: char[0] if char[0].isprintable() else json.dumps(char[0])[1:-1], text)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, indent=2)
    return text


def yaml_text(value: Any, encoding: str | None) -> str:
    """Return a value as YAML, with escapes as `json_text` has them."""
    # By name: its annotations are a package of their own.
    yaml = import_module("yaml")
    # By way of JSON: a tuple is a list then, and there are no references.
    plain = json.loads(json.dumps(value, allow_nan=False))
    text: str = yaml.safe_dump(plain, allow_unicode=True, sort_keys=False, width=1_000_000)
    is_safe = all(line.isprintable() for line in text.split("\n"))
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        is_safe = False
    return text if is_safe else str(yaml.safe_dump(plain, sort_keys=False, width=1_000_000))


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)
