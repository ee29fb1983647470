"""How much of a result file has arrived, what its host said of the whole, and whether an answer continues it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError, SixtyfourUnavailableError, during
from airflow_provider_sixtyfour.results.content_encoding import Damaged, Decoder, UnknownEncoding, decoders

if TYPE_CHECKING:
    from requests import Response

    from airflow_provider_sixtyfour.storage.protocols import Restartable

# Bytes that are read at a time.
CHUNK = 256 * 1024
_NUMBER = "[0-9]{1,18}"  # of bytes; Python refuses to read one of thousands of digits


class FileBody:
    """
    One file's state over all of its requests.

    :param target: where it goes. What its ``write`` raises ends the download: another request wouldn't help.
    :param purpose: of the requests, for messages.
    """

    def __init__(self, target: Restartable, purpose: str) -> None:
        self._target = target
        self._purpose = purpose
        self._validator: tuple[str, str] | None = None  # the header that names the file's version, and its value
        self._decoders: list[Decoder] = []
        self._is_framed = False
        self.position = 0
        self.total: int | None = None
        self.is_end_known = False
        self.content_type = ""

    def resuming(self) -> dict[str, str]:
        """Return the headers that ask for the rest, if the host can show that it is still the same file."""
        if not self.position or self._validator is None:
            return {}
        return {"Range": f"bytes={self.position}-", "If-Range": self._validator[1]}

    def begin(self, response: Response) -> None:
        """
        Take in the head of an answer: continue, or start over where the host sends the whole.

        :raises SixtyfourUnavailableError: for another part, or a part of another version, than was asked for; the
            next request asks for the whole.
        :raises SixtyfourTransferError: for an encoding that can't be undone.
        """
        self.content_type = response.headers.get("Content-Type", "")
        encoding = response.headers.get("Content-Encoding", "")
        try:
            self._decoders = decoders(encoding)
        except UnknownEncoding as unknown:
            raise SixtyfourTransferError(
                during(
                    f"Content-Encoding {str(unknown)[:60]!r} is not supported (gzip and deflate are). Nothing was left "
                    "at the destination.",
                    self._purpose,
                )
            ) from None
        is_chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if response.status_code == 206:
            self._continue(response)
            self._is_framed = True  # by its Content-Range
            return
        if self.position:
            self._target.start_over()
        self.position = 0
        length = response.headers.get("Content-Length", "")
        has_length = re.fullmatch(_NUMBER, length) is not None and not is_chunked
        # Of an encoded body the length says nothing about the file, and a part can't be asked for.
        self.total = int(length) if has_length and not self._decoders else None
        self._is_framed = has_length or is_chunked
        self._validator = None if self._decoders else _validator(response)

    def _continue(self, response: Response) -> None:
        part = re.fullmatch(rf"bytes ({_NUMBER})-{_NUMBER}/({_NUMBER}|\*)", response.headers.get("Content-Range", ""))
        total = int(part[2]) if part and part[2] != "*" else self.total
        is_next = part is not None and int(part[1]) == self.position and not self._decoders
        # RFC 9110 has each 206 name the version that it is of. Where nothing was asked for, any version will do.
        is_same = self._validator is None or response.headers.get(self._validator[0]) == self._validator[1]
        if not is_next or not is_same or self.total not in (None, total) or (self.position and not self._validator):
            self.distrust_ranges()
            what = "part" if is_same else "version of the file"
            raise SixtyfourUnavailableError(during(f"The host sent another {what} than was asked for.", self._purpose))
        self._validator = self._validator or _validator(response)
        self.total = total

    def distrust_ranges(self) -> None:
        """Have the next request ask for the whole file."""
        self._validator = None

    def read(self, response: Response) -> None:
        """
        Pass on the body.

        :raises SixtyfourUnavailableError: if it is damaged, or stops before its encoding ends.
        :raises requests.RequestException: if the connection breaks.
        """
        # Decoded in here: requests would make as much of a chunk as it expands to, and take a cut body for a whole one.
        response.raw.headers.pop("Content-Encoding", None)
        try:
            for chunk in response.iter_content(CHUNK):
                self._write(chunk, 0)
        except Damaged as damaged:
            raise SixtyfourUnavailableError(during(f"A damaged body came ({damaged}).", self._purpose)) from None
        if not all(decoder.is_at_end for decoder in self._decoders):
            raise SixtyfourUnavailableError(during("A compressed body stopped before its end.", self._purpose))
        self.is_end_known = self._is_framed or bool(self._decoders)

    def _write(self, chunk: bytes, level: int) -> None:
        if level < len(self._decoders):
            for decoded in self._decoders[level].feed(chunk):
                self._write(decoded, level + 1)
            return
        self._target.write(chunk)
        self.position += len(chunk)


def _validator(response: Response) -> tuple[str, str] | None:
    """Return what names the version of a file strongly enough to continue it."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return "ETag", etag
    changed = response.headers.get("Last-Modified")
    return None if changed is None else ("Last-Modified", changed)
