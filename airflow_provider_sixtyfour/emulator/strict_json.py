"""
JSON as RFC 8259 has it: Python's own parser also takes NaN, Infinity and half a surrogate pair.

Invariant: what was parsed can be written again, as JSON and as UTF-8.
"""

from __future__ import annotations

import json
from typing import Any


def _refuse_constant(name: str) -> object:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def parse(text: str) -> Any:
    """Parse a document, or raise a `json.JSONDecodeError`."""
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise json.JSONDecodeError(f"not Unicode text ({error.reason})", "", 0) from error
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deeply", "", 0) from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        raise json.JSONDecodeError("a number with too many digits", "", 0) from error
    return document
