"""
Compares a file that has arrived with what the API announced, before it appears at its destination.

Invariant: a file that falls short of its announced size, and an error or login page in place of a file, never lands,
whatever the settings. All else may be right: a file that is longer than was announced (perhaps the size of the
compressed file), or whose rows the API counts in another way. What has been paid for lands then, with a warning.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.formats.records import BYTE_ORDER_MARK
from airflow_provider_sixtyfour.formats.table import FORMATS

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import ResultFile
    from airflow_provider_sixtyfour.results.download_stats import DownloadStats

ON_MISMATCH = ("warn", "fail")

# A document's first tag, after an XML declaration and comments. What is followed by a comma is a cell of a CSV file.
_PAGE = re.compile(
    rb"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*"
    rb"(?P<kind><!doctype\s+html[^>]*>|<(html|head|body|title|error)(\s[^>]*)?>)(?!\s*[,;\"])",
    re.IGNORECASE | re.DOTALL,
)
_JSON = re.compile(rb'\s*(\[\s*)?\{\s*("([^"\\]|\\.)*"\s*:|\}\s*\]?\s*$)|\s*\[\s*\]\s*$')
_ERROR_KEYS = {"error", "detail", "errors", "message"}  # one of these, and others that say more
_BESIDE_ERROR = {"code", "status", "status_code", "statusCode", "request_id", "requestId", "type", "title", "path"}


def check(
    name: str,
    file: ResultFile,
    stats: DownloadStats,
    *,
    format: str,
    content_type: str = "",
    is_end_known: bool = True,
    is_inline: bool = False,
    on_mismatch: str,
    log: Any,
) -> None:
    """
    Check a file that has been counted.

    :param file: what the API announced.
    :param format: the name of the format that the file should have.
    :param content_type: what its host calls it.
    :param is_end_known: whether something said where the file ends. If nothing did, fewer rows than announced are
        taken for a connection that broke.
    :param is_inline: whether the rows came with the API's answer: the size announced is that of another file then.
    :param on_mismatch: for other rows, or more bytes, than were announced: ``warn`` or ``fail``.
    :raises SixtyfourTransferError: if the file isn't what was announced; a retry lands the same run.
    """
    size = None if is_inline else file.file_size
    rows = stats.rows
    if not stats.bytes and (size or file.row_count):
        announced = f"{size:,} bytes" if size else f"{file.row_count:,} rows"
        raise _short(name, f"is empty; the API announced {announced}")
    page = None if is_inline else _page(stats, format, content_type, file)
    if page is not None:
        raise _short(name, f"is {page}, not {format.upper()}: an error or login page in place of the file?")
    if size is not None and stats.bytes < size:
        lacking = "" if rows is None or file.row_count is None else f" and {rows:,} of {file.row_count:,} rows"
        raise _short(name, f"has only {stats.bytes:,} of the {size:,} bytes that the API announced{lacking}")
    if not is_end_known and rows is not None and file.row_count is not None and rows < file.row_count:
        raise _short(
            name, f"has only {rows:,} of {file.row_count:,} rows, and came without a length: the connection broke"
        )
    for announced_number, counted, what in ((file.row_count, rows, "rows"), (size, stats.bytes, "bytes")):
        if announced_number is None or counted is None or announced_number == counted:
            continue
        difference = f"{name} has {counted} {what}; the API said {announced_number}"
        if on_mismatch == "fail":
            raise SixtyfourTransferError(
                f"{difference}. Nothing of it was left at the destination; on_mismatch='warn' lands it all the same."
            )
        log.warning("%s.", difference)


def _short(name: str, what: str) -> SixtyfourTransferError:
    return SixtyfourTransferError(
        f"{name} {what}. Nothing of it was left at the destination; a retry of the task fetches it again and pays for "
        "nothing."
    )


def _page(stats: DownloadStats, format: str, content_type: str, file: ResultFile) -> str | None:
    """Return what a file is that is none of a run's results; ``None`` if it may be one."""
    head = stats.head.removeprefix(BYTE_ORDER_MARK)
    if found := _PAGE.match(head):
        return "an XML error document" if found["kind"][:6].lower() == b"<error" else "an HTML page"
    is_confirmed = stats.bytes == file.file_size or (stats.rows is not None and stats.rows == file.row_count)
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in ("text/html", "application/xhtml+xml") and not is_confirmed:
        return f"{media_type}, as its host says"
    if not FORMATS[format].is_json:
        return "JSON" if _JSON.match(head) else None
    return "a JSON error document" if not is_confirmed and _is_error(head, stats.bytes) else None


def _is_error(head: bytes, size: int) -> bool:
    """Return whether a whole file is one JSON object that says that something went wrong."""
    if size > len(head) + len(BYTE_ORDER_MARK):
        return False
    try:
        content = json.loads(head)
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict) or not content:
        return False
    return bool(_ERROR_KEYS & content.keys()) and content.keys() <= _ERROR_KEYS | _BESIDE_ERROR
