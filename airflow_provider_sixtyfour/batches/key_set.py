"""
Rows known by the text of their key columns.

A key is kept as 10 bytes of a digest, in one of 65,536 buckets that two more of its bytes choose: about 5 MB and 11
bytes a row, where a set of the same digests takes 90 a row. Two different keys among n rows are taken for one with
a probability of about n² / 2⁹³: for ten million rows 1 in 10¹⁴.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_sixtyfour.formats.cell_values import cell_text

KEPT = 10  # bytes


class KeySet:
    """A set of keys, as `key_of` makes them."""

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(1 << 16)]

    def add(self, key: bytes) -> bool:
        """Put a key in; return whether it is new."""
        bucket, kept = self._buckets[key[0] << 8 | key[1]], key[2:]
        # Also found where it lies across two others: as unlikely as an equal digest.
        if kept in bucket:
            return False
        bucket += kept
        return True

    def __contains__(self, key: bytes) -> bool:
        return key[2:] in self._buckets[key[0] << 8 | key[1]]


def key_of(row: Mapping[str, Any], columns: Sequence[str]) -> bytes | None:
    """Return the digest of a row's key columns; ``None`` if they are all empty, which identifies no row."""
    texts = [cell_text(row.get(column)) for column in columns]
    if not "".join(texts).strip():
        return None
    # With their lengths: ("ab", "c") is another key than ("a", "bc").
    text = "".join([f"{len(text)}:{text}" for text in texts])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=2 + KEPT).digest()
