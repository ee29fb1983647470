"""A call of the API as a value: what to send, how to read the answer, whether it may be sent twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NamedTuple, TypeVar

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.table import FORMATS

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.cleaning import Cleaner

T = TypeVar("T")

RESULT_FORMATS = tuple(FORMATS)
MAX_LISTED_RUNS = 500  # the highest `limit` of GET /workflows/runs

# Bytes, decoded. Small where a triggerer reads the answers of many runs, and where an answer is one object.
LONGEST_ANSWER = 16 * 1024 * 1024
LONGEST_LIST_OF_RUNS = 4 * 1024 * 1024
LONGEST_OBJECT = 1024 * 1024

_IDENTIFIER = re.compile(r"(?!\.+$)[A-Za-z0-9._~:@-]{1,200}")


class Upload(NamedTuple):
    """A file to send as ``multipart/form-data``; ``stream`` is seekable, so that it can be sent again."""

    stream: BinaryIO
    filename: str


class Call(NamedTuple, Generic[T]):
    """
    One request to the API.

    :param purpose: what it is for, as an error message begins: "starting workflow X".
    :param read: makes of an answer's JSON what the call asks for; cleans all of it that is text for readers.
    :param longest_answer: bytes that the answer may have; a longer one counts as unreadable.
    :param repeatable: whether it may be sent again although it may have worked. A submission is repeatable
        under an ``Idempotency-Key`` only.
    """

    purpose: str
    method: str
    path: str
    read: Callable[[Any, Cleaner], T]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    form: Mapping[str, str] | None = None
    upload: Upload | None = None
    idempotency_key: str | None = None
    repeatable: bool = True
    authenticated: bool = True
    longest_answer: int = LONGEST_ANSWER

    def __repr__(self) -> str:
        """Tell what it is for, and neither rows nor a signed assertion."""
        return f"Call({self.purpose!r})"

    def headers(self) -> dict[str, str]:
        """Return the headers of this call, without those that authenticate it."""
        headers = {"Accept": "application/json"}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers


def identifier(value: Any, name: str) -> str:
    """
    Return ``value`` if it can be an id, fit to stand in a URL.

    :raises SixtyfourInputError: if it can't: not text, empty, a rendered ``None``, or with a slash in it.
    """
    if not isinstance(value, str) or value in ("None", "null") or not _IDENTIFIER.fullmatch(value):
        shown = repr(value) if isinstance(value, str) else type(value).__name__
        hint = " Did the upstream task return it?" if value in (None, "", "None", "null") else ""
        raise SixtyfourInputError(f"{name} should be an id, not {shown[:120]}.{hint}")
    return value


def format_flags(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what a request for these formats lists as ``result_formats``, and the flags that ask for the others."""
    flags = {name: each.flag for name, each in FORMATS.items() if each.flag and name in names}
    return [name for name in names if name not in flags], list(flags.values())


def json_body(value: Any) -> bytes:
    """Encode as JSON, NaN refused; the caller has checked that nothing else is in the way."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
