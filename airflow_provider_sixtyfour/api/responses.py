"""
Reads an answer: either the value that the call asked for, or the one error that says what went wrong.

Every shape of error that the API or a proxy in front of it is known to send becomes one readable line; what
comes without meaning (HTML with status 200, half a JSON text) counts as "unavailable for now".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from airflow_provider_sixtyfour.api.calls import Call
from airflow_provider_sixtyfour.api.cleaning import LONGEST_NAME, Cleaner
from airflow_provider_sixtyfour.api.models import MalformedAnswer
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
    during,
)

T = TypeVar("T")

_LONGEST_LOOK = 20_000  # characters of a page that are searched for words

# Statuses of transient errors. 408 and 425 are a proxy's ways of saying "send it again".
_PASSING = {408, 425, 429}
# Refused before any work was done, so that even a submission may be sent again.
_NOT_CARRIED_OUT = {425, 429}

_ADVICE = {
    401: "Check the API key, or the OAuth client, of the connection.",
    402: "Add credits to the Sixtyfour account, then clear the task.",
    403: "The connection's credential has no access to it.",
    404: "There is none of that id, or it belongs to another organisation.",
    429: "The account is over its limit of requests a minute.",
}


class Answer(NamedTuple):
    """What came back; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show the status; a body may hold a token, or signed links."""
        return f"Answer({self.status})"


def read(call: Call[T], answer: Answer, *, secrets: tuple[str, ...] = ()) -> T:
    """
    Return what the call asked for.

    :param secrets: texts that nobody may read, should the API echo them: in no error, and in no field of what is
        returned.
    :raises SixtyfourRefusedError: (404: `SixtyfourNotFoundError`) if asking again can't help.
    :raises SixtyfourUnavailableError: if it may.
    """
    status = answer.status
    cleaner = Cleaner(secrets)
    if 200 <= status < 300:
        try:
            return call.read(json.loads(answer.body), cleaner)
        except (MalformedAnswer, ValueError, RecursionError) as error:
            what = str(error) if isinstance(error, MalformedAnswer) else "it is not JSON"
            # What answers without a credential is the token endpoint: nothing of it is shown.
            taste = _taste(answer, cleaner) if call.authenticated else ""
            raise SixtyfourUnavailableError(
                during(f"Answer {status} of the API can't be read: {what}.{taste}", call.purpose), status=status
            ) from None

    reason = _reason(answer, cleaner)
    message = during(f"Sixtyfour answered {status}: {reason} {_ADVICE.get(status, '')}".rstrip(), call.purpose)
    if status >= 500 or status in _PASSING or status < 200:
        raise SixtyfourUnavailableError(
            message,
            status=status,
            retry_after=retry_after(answer.headers),
            may_have_worked=status not in _NOT_CARRIED_OUT,
        )
    kind = SixtyfourNotFoundError if status == 404 else SixtyfourRefusedError
    raise kind(
        message,
        status=status,
        from_api=_is_api_error(answer.body),
        about_credential=status == 401 or not call.authenticated,
    )


def _is_api_error(body: bytes) -> bool:
    """Return whether a body has the shape of the API's own errors; a proxy's page has not."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not value.keys().isdisjoint(("error", "message", "detail"))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, in either of its forms, or ``None``."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _reason(answer: Answer, cleaner: Cleaner) -> str:
    """Return why it refused, in the API's own words."""
    if 300 <= answer.status < 400:
        host = cleaner.name(_host(answer.headers.get("location", "")))
        return (
            f"a redirect{f' to {host}' if host else ''}, which is not followed. "
            "The host of the connection is probably not the API's own address."
        )
    try:
        words = _words(json.loads(answer.body))
    except (ValueError, RecursionError):
        words = _visible_text(answer, cleaner)
    words = cleaner.message(words)
    if not words:
        return "no reason given."
    return words if words[-1] in ".!?]" else words + "."


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _words(value: Any) -> str:
    """Find the message in any of the shapes that the API uses for an error."""
    match value:
        case {"error": {} as inner} if inner or "message" not in value:
            return _words(inner)
        case {"message": str(message), "error": str(code)} | {"message": str(message), "code": str(code)}:
            return f"{message} ({code})" if code and code != message else message
        case {"error_description": str(message), "error": str(code)}:  # RFC 6749, the token endpoint
            return f"{message} ({code})"
        case {"message": str(message)}:
            return message
        case {"detail": [*items]}:
            return "; ".join(_validation(item) for item in items)
        case {"detail": inner} | {"error": inner}:
            return _words(inner)
        case str(text):
            return text
        case None | {} | []:
            return "" if not value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _validation(item: Any) -> str:
    match item:
        case {"loc": [*where], "msg": str(message)}:
            return f"{'.'.join(map(str, where))}: {message}"
    return _words(item)


def _visible_text(answer: Answer, cleaner: Cleaner) -> str:
    """Reduce a proxy's HTML page to what a reader would see of it."""
    # Without secrets before it is cut: half a one is no text to look for.
    text = cleaner.without_known(answer.body.decode("utf-8", "replace"))[:_LONGEST_LOOK]
    title = re.search(r"<title[^>]{0,300}>([^<]{1,300})</title", text, re.IGNORECASE)
    if title:
        return unescape(title.group(1))
    return unescape(re.sub(r"<[^<>]{0,2000}>", " ", text))


def _taste(answer: Answer, cleaner: Cleaner) -> str:
    if answer.body.lstrip()[:1] in (b"{", b"["):
        return ""  # half a list of result files, say: its links are secrets
    text = cleaner.message(_visible_text(answer, cleaner), LONGEST_NAME)
    return f" It begins: {text!r}" if text else " It is empty."
