"""
Undoes the ``Content-Encoding`` of a file that a storage host sends, with bounded memory, and knows whether it ended.

requests has decoders too, but takes a gzip body that stops before its trailer for a whole one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

# Names that say nothing of the bytes: some stores keep them with a file, which is sent as it is.
_PLAIN = {"", "identity", "none", "binary", "utf-8", "aws-chunked"}
_GZIP = {"gzip", "x-gzip"}
_MOST = 1024 * 1024  # bytes that come out of one step, however well they were compressed
_MAGIC = b"\x1f\x8b"


class Damaged(Exception):
    """The bytes are not what their encoding says."""


class UnknownEncoding(Exception):
    """There is no decoder for it."""


class Decoder(Protocol):
    """One encoding undone."""

    def feed(self, data: bytes, /) -> Iterator[bytes]:
        """
        Give what comes out of the next bytes.

        :raises Damaged: if they can't be decoded.
        """

    @property
    def is_at_end(self) -> bool:
        """Whether the encoding itself says that nothing is missing."""


def decoders(content_encoding: str) -> list[Decoder]:
    """
    Return the decoders for a ``Content-Encoding``, in the order in which they are to be applied.

    :raises UnknownEncoding: with its name.
    """
    found: list[Decoder] = []
    for name in (each.strip().lower() for each in content_encoding.split(",")):
        if name in _PLAIN:
            continue
        if name in _GZIP:
            found.append(_Gzip())
        elif name == "deflate":
            found.append(_Deflate())
        else:
            raise UnknownEncoding(name)
    return found[::-1]


class _Gzip:
    """Gzip, of one member or several; the trailer of each, with its CRC and its length, is checked by zlib."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._is_empty = True  # nothing has come at all
        self._after = b""  # what follows a member, until it is known whether it is another one
        self._is_padding = False

    @property
    def is_at_end(self) -> bool:
        return self._is_empty or self._member.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._is_empty = self._is_empty and not data
        while data and not self._is_padding:
            if self._member.eof:
                self._after += data
                if len(self._after) < len(_MAGIC):
                    return
                data, self._after = self._after, b""
                if not data.startswith(_MAGIC):
                    self._is_padding = True  # as gzip itself does, which ignores what follows
                    return
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflated(self._member, data)
            data = self._member.unused_data if self._member.eof else b""


class _Deflate:
    """Deflate, with zlib's header as the standard has it, or without as some servers send it."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None
        self._start = b""

    @property
    def is_at_end(self) -> bool:
        return self._stream.eof if self._stream is not None else not self._start

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            self._start += data
            if len(self._start) < 2:
                return
            data = self._start
            has_header = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        if not self._stream.eof:
            yield from _inflated(self._stream, data)


def _inflated(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    try:
        while True:
            out = stream.decompress(data, _MOST)
            data = stream.unconsumed_tail
            if out:
                yield out
            if stream.eof or (not data and len(out) < _MOST):
                return
    except zlib.error as error:
        raise Damaged(str(error)) from None
