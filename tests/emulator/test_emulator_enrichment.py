from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.emulator.engine import fake_values
from tests.unit.api.properties import searched

names = st.text(alphabet='ab"\\\n\0\x7f é😀%{', max_size=4)
values = st.recursive(
    names | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


@searched
@given(st.dictionaries(names, names, max_size=5) | st.dictionaries(names, values, max_size=5))
@example({"b": "1", "a": "2"})
@example({"b": "1", "a": 2})
@example({"a": "\ud800"})
def test_a_row_is_known_by_its_canonical_json(row: dict[str, Any]) -> None:
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    expected = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    assert fake_values.digest(row) == fake_values.digest(dict(reversed(row.items()))) == expected
