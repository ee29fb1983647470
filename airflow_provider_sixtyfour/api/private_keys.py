"""
The PEM text of a private key, out of the forms in which it arrives in a file or in a connection.

Only what is around the key and its line breaks are corrected: its base64 text is taken as it is, and whoever loads it
finds out whether it is a key.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

LARGEST_FILE = 1024 * 1024  # bytes
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


def pem(text: str) -> str:
    r"""
    Return the private key in a text, as PEM with its line breaks.

    What is around it (a byte order mark, a certificate, the attributes that OpenSSL writes) is left out. Line breaks
    may be those of any system, escaped (``\n``, ``\r\n``) once or twice, spaces, or missing. A text with no such key in
    it is returned as it is.
    """
    found = _BLOCK.search(text)
    if found is None:
        return text
    kind, content = found.groups()
    body = "".join(re.sub(r"\\+[rn]", "\n", content).split())
    if not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", body):
        body_as_given = re.sub(r"(?:\\+r)?\\+n", "\n", content).strip()  # with headers, so encrypted
        return f"-----BEGIN {kind}-----\n{body_as_given}\n-----END {kind}-----\n"
    lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"


def read_file(path: str) -> str:
    """
    Return the text of a key file, in whatever encoding: a key itself is ASCII.

    :param path: also with ``~`` for the home folder.
    :raises OSError: if it can't be read.
    :raises ValueError: if it is too large for a key, or its path can't be one.
    """
    try:
        file = Path(path).expanduser()
    except RuntimeError:  # nobody's home
        raise ValueError("its home folder is not known") from None
    with file.open("rb") as stream:
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
