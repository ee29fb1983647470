"""
The body of an answer, collected chunk by chunk within a bound on what it decodes to.

The HTTP libraries decode a chunk as a whole, and a megabyte of gzip can hold a gigabyte. Here nothing is decoded beyond
the bound, so that memory does not depend on what a server sends. Only gzip is requested and decoded.
"""

from __future__ import annotations

import zlib

_GZIP = 16 + zlib.MAX_WBITS
# Bytes of the bound for each value that an answer may hold. Parsed, the smallest value takes a hundred times its text:
# 16 MiB of "{}," would become 400 MiB. No answer of the API comes near one value for 16 bytes of its bound.
_BYTES_PER_VALUE = 16


class UnreadableBodyError(Exception):
    """The body can't be read; the text says why, without quoting from it."""


class Body:
    """
    The body of one answer.

    :param encoding: the answer's ``Content-Encoding``, or an empty text.
    :param longest: bytes that it may have, decoded and as it was sent.
    :raises UnreadableBodyError: if the encoding is another one than was requested.
    """

    def __init__(self, encoding: str, longest: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise UnreadableBodyError("it has a Content-Encoding that was not requested")
        self._gzip = zlib.decompressobj(_GZIP) if encoding.endswith("gzip") else None
        self._longest = longest
        self._sent = 0
        self._decoded = 0
        self._chunks: list[bytes] = []

    def take(self, chunk: bytes) -> None:
        """
        Decode the next chunk.

        :raises UnreadableBodyError: as soon as the bound is passed, or if the chunk can't be decoded.
        """
        self._sent += len(chunk)  # counted too: gzip can continue for ever and decode to nothing
        if self._gzip is None:
            self._keep(chunk)
        elif self._sent <= self._longest:
            self._decode(chunk)
        if self._sent > self._longest:
            raise self._too_long()

    def whole(self) -> bytes:
        """
        Return the body, when all of it has been taken.

        :raises UnreadableBodyError: if its gzip stream ends early.
        """
        if self._gzip is not None and self._sent and not self._gzip.eof:
            raise UnreadableBodyError("its gzip stream ends early")
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    def _decode(self, chunk: bytes) -> None:
        assert self._gzip is not None  # noqa: S101 - for mypy
        try:
            while chunk:
                if self._gzip.eof:  # another member follows
                    self._gzip = zlib.decompressobj(_GZIP)
                # One byte more than is left, so that passing the bound shows.
                self._keep(self._gzip.decompress(chunk, self._longest - self._decoded + 1))
                chunk = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
        except zlib.error:
            raise UnreadableBodyError("its gzip stream is damaged") from None

    def _keep(self, decoded: bytes) -> None:
        self._decoded += len(decoded)
        if self._decoded > self._longest:
            raise self._too_long()
        if decoded:
            self._chunks.append(decoded)

    def _too_long(self) -> UnreadableBodyError:
        self._chunks.clear()
        return UnreadableBodyError(f"it is longer than {_size(self._longest)}")


def check_values(body: bytes, longest: int) -> None:
    """
    Check that a JSON text does not hold more values than its bound in bytes stands for; counting is quick.

    :raises UnreadableBodyError: if it does.
    """
    most = longest // _BYTES_PER_VALUE
    if body.count(b",") + body.count(b"{") + body.count(b"[") > most:
        raise UnreadableBodyError(f"it holds more than {most:,} values")


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:g} MiB" if number >= 1024 * 1024 else f"{number / 1024:g} KiB"
