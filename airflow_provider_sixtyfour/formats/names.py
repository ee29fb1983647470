"""Names from the API or from users as one path segment: safe, and cut where a character ends."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = '<>:"|?*%#\ufffd'


LONGEST_NAME = 200  # bytes in UTF-8; file systems allow 255, and a suffix may follow


_FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))


def storable(text: str) -> str:
    """
    Return a text from the API as every log, database and JSON document can hold it.

    Half a surrogate pair is no Unicode, and PostgreSQL takes no NUL: each becomes U+FFFD.
    """
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


def safe_stem(name: str, extension: str) -> str:
    """Return a name as one path segment, without its extension; empty if nothing is left of it."""
    return cut_to(safe_text(name, extension), LONGEST_NAME)


def safe_text(name: str, extension: str) -> str:
    """Return what `safe_stem` returns, however long it is."""
    name = unicodedata.normalize("NFC", storable(name))
    name = re.split(r"[/\\]", name)[-1]
    name = "".join("_" if unicodedata.category(char)[0] in "CZ" or char in _UNSAFE else char for char in name)
    if name.lower().endswith(f".{extension}"):
        name = name[: -len(extension) - 1]
    # No leading dot or underscore: hidden to `ls` and to readers of object stores; no trailing dot.
    return name.strip("._ ")


def cut_to(text: str, limit: int) -> str:
    """
    Return as much of a text as fits, up to where a character ends as a person sees it.

    An accent, a variation or a skin colour stays with what it belongs to, and the two halves of a flag together.

    :param limit: bytes in UTF-8.
    """
    kept = text.encode()[:limit].decode("utf-8", "ignore")
    end = len(kept)
    while 0 < end < len(text) and _continues(text, end):
        end -= 1
    return text[:end] or kept  # a character of more than the limit


def _continues(text: str, at: int) -> bool:
    """Return whether the character at a place belongs to the one before it."""
    if unicodedata.category(text[at])[0] == "M" or "\U0001f3fb" <= text[at] <= "\U0001f3ff":
        return True
    if text[at] == "\u200d" or text[at - 1] == "\u200d":
        return True
    halves = len(text[:at]) - len(text[:at].rstrip(_FLAG_HALVES))
    return text[at] in _FLAG_HALVES and halves % 2 == 1
