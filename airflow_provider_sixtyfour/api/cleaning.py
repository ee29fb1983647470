"""
The one function that text of the API passes before anybody reads it: in a log, an error, an event, an XCom, a manifest.

Credentials and the signed part of URLs are replaced by ``***``, whatever their spelling; what could move a terminal's
cursor, reverse a line or hide in it is gone; the length is bounded. `Cleaner.message` and `Cleaner.name` make text for
readers. `Cleaner.value` is for text that is also compared (an id, a status, a file's name): ordinary text stays exactly
as it is, and text that holds a secret never equals an ordinary one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from html import unescape
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

LONGEST_MESSAGE = 500  # characters of the API's own words
LONGEST_NAME = 120  # characters of the name of a block, a file, a status
LONGEST_VALUE = 1000  # characters of a text that is also compared
SHORTEST_SECRET = 5  # characters; Airflow's own masker looks for no shorter ones either
_LONGEST_LOOK = 20_000  # characters of a text that are looked at
_LONGEST_WORD = 4_000  # characters, as long as a token is with every letter encoded
_HIDDEN = "***"
_DEEPEST = 3  # encodings within one another that are looked through
_ESCAPE = re.compile(r"\\{1,8}(?:u([0-9a-f]{4})|x([0-9a-f]{2})|([\"'/]))", re.IGNORECASE)

# Each in the spellings that it has in plain text, percent-encoded once or twice, and in JSON text.
_EQUALS = r"(?:=|%(?:25)?3d|\\u003d)"
_MARK = re.compile(r"(?:[?#]|%(?:25)?(?:3f|23)|\\u00(?:3f|23))(?=.)", re.IGNORECASE)
_QUERY = re.compile(rf"(?:\?|%(?:25)?3f|\\u003f)(?=[\w.%\[\]-]{{1,100}}{_EQUALS})", re.IGNORECASE)
_TWO_SLASHES = r"(?:\\?/){2}|(?:%(?:25)?2f){2}|(?:\\u002f){2}"
_SLASHES = re.compile(_TWO_SLASHES, re.IGNORECASE)
_LOGIN = re.compile(rf"({_TWO_SLASHES})[^/\\?#@]{{1,500}}?(?:@|%(?:25)?40)", re.IGNORECASE)
_RUN = re.compile(r"[^\s\"'<>]+")  # what a URL can be within
_NAMES = (
    r"(?:x-(?:amz|goog|ms|oss|cos|obs|tos)-[\w-]{1,40}|x-signature|x-api-key|api[_-]?key|sig|signature|hmac|"
    r"[\w-]{0,30}token|client_assertion|assertion|(?:client_)?secret|password|passwd|credential|policy|"
    r"authorization|awsaccesskeyid|googleaccessid|key-pair-id)"
)
_NAMED = re.compile(
    rf"(?P<name>(?<![\w-]){_NAMES}{_EQUALS})[^\s\"'<>]+"  # name=value without its mark
    rf"|(?P<member>\\?[\"']{_NAMES}\\?[\"']\s{{0,9}}:\s{{0,9}}\\?[\"'])[^\"'\\]+"  # "name": "value", also with \" for "
    r"|(?P<scheme>\b(?:bearer|basic)\s{1,9})[\w.~+/=-]{8,}"  # Authorization: Bearer value
    r"|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",  # a JSON Web Token
    re.IGNORECASE,
)
# What none of these can do without.
_SUSPECT = re.compile(r"//|\\/|2f|[?#=]|%|\\u00|[\"']\s*:|bearer|basic|eyJ", re.IGNORECASE)
_TERMINAL = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b[@-Z\\^_]?")
# Printable by their category, and yet nothing that could be seen.
_BLANKS = dict.fromkeys(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]
)


# Most names and ids: with nothing in them that could be cleaned, but for a secret. No dots, which tokens have.
_PLAIN = re.compile(rf"[A-Za-z0-9_~:-]{{0,{LONGEST_NAME}}}")


class Cleaner(NamedTuple):
    """
    Cleans text that came from the API.

    :param secrets: texts that nobody may read: the credential, and what was minted from it.
    """

    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return how many secrets it knows, and none of them."""
        return f"Cleaner({len(self.secrets)} secrets)"

    def message(self, text: str, longest: int = LONGEST_MESSAGE) -> str:
        """Return a text as one line, of ``longest`` characters at most."""
        return _cut(" ".join(self._cleaned(text).split()), longest)

    def name(self, text: str) -> str:
        """Return a name as one line; the name of a block, say."""
        if _PLAIN.fullmatch(text) and not self._knows(text):
            return text
        return self.message(text, LONGEST_NAME)

    def value(self, text: str, *, blank: str = "\ufffd") -> str:
        """
        Return a text that is compared or used as a name: itself, if it holds nothing that has to be cleaned.

        :param blank: stands for each character that can't be printed.
        """
        if _PLAIN.fullmatch(text) and not self._knows(text):
            return text
        cleaned = self._cleaned(text)
        if cleaned != text and _HIDDEN not in cleaned:
            # Nothing is removed from it: what is left could be another's id, or name.
            cleaned = "".join(char if char.isprintable() else blank for char in text)
        return _cut(cleaned, LONGEST_VALUE)

    def without_known(self, text: str) -> str:
        """Return a text without the secrets themselves: a step only, for what has to be cut before it is cleaned."""
        for secret in self.secrets:
            for spelling in _spellings(secret):
                if spelling in text:
                    text = text.replace(spelling, _HIDDEN)
        return text

    def _without_interrupted(self, text: str) -> str:
        """Return a text without the secrets, also where something invisible is between their characters."""
        for secret in self.secrets:
            for spelling in _spellings(secret):
                if set(text).issuperset(spelling):
                    text = _without_interrupted(text, spelling)
        return text

    def _knows(self, plain: str) -> bool:
        """Return whether a plain text holds a secret, which has but one spelling there."""
        return any(secret in plain and len(secret) >= SHORTEST_SECRET for secret in self.secrets)

    def _cleaned(self, text: str) -> str:
        # Before anything is cut: half a secret is no text to look for.
        text = _head(self.without_known(text))
        cleaned = _without_signed(self._without_secrets(text))
        for _ in range(_DEEPEST):  # text within JSON within a URL
            decoded = _decoded(text)
            if decoded == text:
                break
            text = decoded
            without_secrets = self._without_secrets(text)
            replaced = _without_signed(without_secrets)
            holds_secret = without_secrets.count(_HIDDEN) > text.count(_HIDDEN)
            if holds_secret or replaced.count(_HIDDEN) > cleaned.count(_HIDDEN):
                cleaned = replaced
        return cleaned

    def _without_secrets(self, text: str) -> str:
        """Return a text without the secrets, and without what can't be seen."""
        # After each step: what one removes may be within a secret, or take a secret's beginning for its own end.
        text = self.without_known(text)
        if text.isprintable() and text.isascii():
            return text
        text = self._without_interrupted(text)
        if (visible := _without_hidden(text)) != text:
            text = self._without_interrupted(visible)
        # Not across what stands for a secret: a sequence would take that along, and nobody knew of the secret.
        return self.without_known(_HIDDEN.join(map(_without_controls, text.split(_HIDDEN))))


def _without_signed(text: str) -> str:
    """Return a text without the signed part of its URLs, and without what its name shows to be a credential."""
    if not _SUSPECT.search(text):
        return text
    return _NAMED.sub(_without_value, _RUN.sub(_without_query, text))


def _without_query(run: re.Match[str]) -> str:
    """Cut what follows the path of a URL, which may begin anywhere in a run of characters."""
    text = run[0]
    if slashes := _SLASHES.search(text):
        if mark := _MARK.search(text, slashes.end()):
            text = f"{text[: mark.start()]}?{_HIDDEN}"
        return _LOGIN.sub(rf"\1{_HIDDEN}@", text)
    if mark := _QUERY.search(text):
        text = f"{text[: mark.start()]}?{_HIDDEN}"
    return text


def _without_value(match: re.Match[str]) -> str:
    return f"{match[match.lastgroup] if match.lastgroup else ''}{_HIDDEN}"


def _head(text: str) -> str:
    """Return as much of a text as is looked at, without a word that the cut goes through: it may be half a secret."""
    if len(text) <= _LONGEST_LOOK:
        return text
    words, _, cut = text[:_LONGEST_LOOK].rpartition(" ")
    return words if len(cut) <= _LONGEST_WORD else text[: _LONGEST_LOOK - _LONGEST_WORD]


def _decoded(text: str) -> str:
    """Return a text with the escapes of JSON, Python, URLs and HTML undone, once."""
    if "\\" in text:
        text = _ESCAPE.sub(
            lambda escape: chr(int(escape[1] or escape[2], 16)) if escape[3] is None else escape[3], text
        )
    if "%" in text:
        text = unquote(text)
    return unescape(text) if "&" in text else text


def _without_hidden(text: str) -> str:
    """Return a text without the characters that show as nothing: zero width, directions, fillers."""
    text = text.translate(_BLANKS)
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable() or unicodedata.category(char) != "Cf")


def _without_interrupted(text: str, secret: str) -> str:
    """
    Return a text without a secret, also where something invisible is between the secret's characters.

    It looks at the text as it came: to remove a terminal sequence first could take the secret's first character along,
    which the sequence would end with. No combination of a place and a number of characters is looked at twice, so that
    the time is bounded by the product of both lengths.
    """
    kept, done = [], 0
    seen: set[tuple[int, int]] = set()
    begin = text.find(secret[0])
    while begin >= 0:
        end = _end_of(secret, text, begin, seen)
        if end:
            kept += [text[done:begin], _HIDDEN]
            done = end
        begin = text.find(secret[0], end or begin + 1)
    return "".join([*kept, text[done:]])


def _end_of(secret: str, text: str, begin: int, seen: set[tuple[int, int]]) -> int | None:
    """Return where a secret that begins at a place ends, whatever is invisible within it; ``None`` if none does."""
    open_ways = [(begin, 0)]
    while open_ways:
        way = place, matched = open_ways.pop()
        if matched == len(secret):
            return place
        if place >= len(text) or way in seen:
            continue
        seen.add(way)
        if matched:
            # A sequence may be unfinished, and end in the secret's next character.
            open_ways += [(end, matched) for end in _ends_of_invisible(text, place)]
        if text[place] == secret[matched]:
            open_ways.append((place + 1, matched + 1))
    return None


def _ends_of_invisible(text: str, place: int) -> range:
    """Return where something invisible that begins at a place may end: a character, or part of a terminal sequence."""
    if text[place].isprintable():
        return range(0)
    sequence = _TERMINAL.match(text, place)
    return range(place + 1, (sequence.end() if sequence else place + 1) + 1)


def _without_controls(text: str) -> str:
    """Return a text without what moves a cursor or changes its colour; a space for all else that can't be printed."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in _TERMINAL.sub("", text))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 4].rstrip() + " […]"


@lru_cache(maxsize=256)
def _spellings(secret: str) -> tuple[str, ...]:
    """
    Return the usual ways to write a secret: as it is, in JSON, in a URL; the longest first.

    Also what `_decoded` makes of it: where it looks encoded itself, a text that is decoded holds no other.
    """
    if len(secret) < SHORTEST_SECRET:
        return ()
    in_json = json.dumps(secret)[1:-1]
    found = {secret, in_json, in_json.replace("/", "\\/"), quote(secret), quote_plus(secret)}
    for _ in range(_DEEPEST):
        secret = _decoded(secret)
        if len(secret) >= SHORTEST_SECRET:
            found.add(secret)
    return tuple(sorted(found, key=lambda each: (-len(each), each)))
