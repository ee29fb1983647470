from __future__ import annotations

import datetime
import decimal
import enum
import json
from collections import OrderedDict, UserDict, namedtuple
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.calls import json_body
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.inputs.payload import check_fit, check_formats, check_rows, digest, run_body
from airflow_provider_sixtyfour.workflows.source import Source
from tests.unit.api.properties import searched

# Whole JSON: what `json` can write and read back as it was.
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)

rows = st.lists(st.dictionaries(st.text(), json_values, max_size=5), min_size=1, max_size=5)
anything = st.recursive(
    json_values | st.binary() | st.floats() | st.decimals() | st.dates() | st.complex_numbers() | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.just("\udfff"), inner, max_size=3)
        | st.sets(st.integers())
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)


@searched
@given(rows)
def test_rows_of_json_are_sent_as_they_are(payload: list[dict[str, Any]]):
    assert check_rows(payload) == payload
    assert json.loads(json_body(check_rows(payload))) == json.loads(json.dumps(payload))


@searched
@given(anything | st.lists(anything))
def test_whatever_is_let_through_can_be_sent(payload: Any):
    try:
        body = run_body(payload, None, None)
    except SixtyfourInputError:
        return
    assert json.loads(json_body(body)) == body
    assert digest("w", body, ["csv"])


Pair = namedtuple("Pair", "a b")


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("payload", "plain"),
    [
        ({"a": 1}, {"a": 1}),
        (({"a": 1},), [{"a": 1}]),
        (({"a": n} for n in range(2)), [{"a": 0}, {"a": 1}]),
        ([OrderedDict(a=(1, 2))], [{"a": [1, 2]}]),
        ([MappingProxyType({"a": UserDict({"b": 1})})], [{"a": {"b": 1}}]),
        ([{"a": Pair(1, None)}], [{"a": [1, None]}]),
        ([{Colour.RED: Colour.RED, "n": Number.ONE}], [{"red": "red", "n": 1}]),
        ([{"a": True, "b": -0.0, "c": 10**400, "d": "😀\x00"}], [{"a": True, "b": -0.0, "c": 10**400, "d": "😀\x00"}]),
        ([{}], [{}]),
        ({}, {}),
    ],
)
def test_mappings_tuples_and_lazy_rows_become_plain_json(payload: Any, plain: Any):
    checked = check_rows(payload)
    assert checked == plain
    assert json_body(checked) == json_body(plain)


def _selfish() -> list[Any]:
    row: dict[str, Any] = {}
    row["me"] = [row]
    return [row]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (
            [{"a": 1}, {"b": float("nan")}],
            "row 1['b'] is nan, which JSON cannot represent. Use None for a missing value.",
        ),
        ([{"a": float("inf")}], "row 0['a'] is inf, which JSON cannot represent. Use None for a missing value."),
        ([{"a": {"b": [1, b"x"]}}], "row 0['a']['b'][1] is of type bytes, which JSON cannot represent."),
        ({"a": datetime.datetime(2026, 1, 1)}, "webhook_payload['a'] is of type datetime, which JSON cannot represent"),
        ([{"a": decimal.Decimal("1.5")}], "row 0['a'] is of type Decimal, which JSON cannot represent."),
        ([{"a": {1, 2}}], "row 0['a'] is of type set, which JSON cannot represent."),
        ([{"a": iter([])}], "row 0['a'] is of type list_iterator, which JSON cannot represent"),
        ([{"a": 10**5000}], "row 0['a'] is a number of more than 3,000 digits."),
        ([{"a": "\ud800"}], "row 0['a'] holds text that isn't valid Unicode (half a surrogate pair)."),
        ([{"\udfff": 1}], "row 0 holds text that isn't valid Unicode (half a surrogate pair)."),
        ([{"a": {7: 1}}], "row 0['a'] has a key that isn't text, of type int."),
        ([{None: 1}], "row 0 has a key that isn't text, of type NoneType."),
        (_selfish(), "row 0 is nested more than 100 levels deep, or holds itself."),
        ([{"a": 1}, 7], "Row 1 of webhook_payload should be an object such as {'company': 'Example'}, not int."),
        ([["a", 1]], "Row 0 of webhook_payload should be an object such as {'company': 'Example'}, not list."),
        ([None], "Row 0 of webhook_payload should be an object such as {'company': 'Example'}, not NoneType."),
        ("[{}]", "webhook_payload should be a list of objects or one object, not str."),
        (b"", "webhook_payload should be a list of objects or one object, not bytes."),
        (7, "webhook_payload should be a list of objects or one object, not int."),
        ([], "webhook_payload is an empty list: there is nothing to run. Skip the task when there are no rows."),
        ((), "webhook_payload is an empty list: there is nothing to run. Skip the task when there are no rows."),
        (iter([]), "webhook_payload is an empty list: there is nothing to run. Skip the task when there are no rows."),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_can_not_be_sent_is_named_with_its_row_and_column(payload: Any, message: str):
    with pytest.raises(SixtyfourInputError) as caught:
        check_rows(payload)
    assert str(caught.value).startswith(message)


def test_a_value_that_is_refused_is_not_quoted():
    with pytest.raises(SixtyfourInputError) as caught:
        check_rows([{"k" * 10**6: b"SOMEBODY"}])
    assert "SOMEBODY" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("formats", "names"),
    [
        ("csv", ("csv",)),
        (("csv", "ndjson"), ("csv", "ndjson")),
        (["json", "csv", "json"], ("json", "csv")),
        (iter(["ndjson"]), ("ndjson",)),
    ],
)
def test_formats(formats: Any, names: tuple[str, ...]):
    assert check_formats(formats) == names


@pytest.mark.parametrize(
    "formats",
    [
        (),
        [],
        "",
        "xlsx",
        ["csv", "xlsx"],
        "CSV",
        "csv,json",
        None,
        7,
        [None],
        [["csv"]],
        [{}],
        b"csv",
        {"csv": 1, 2: 3},
    ],
    ids=repr,
)
def test_unknown_formats_are_refused(formats: Any):
    with pytest.raises(SixtyfourInputError, match=r"^result_formats should be "):
        check_formats(formats)


ROWS = [{"a": 1}]


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ((None, None, None), {}),
        ((ROWS, None, None), {"webhook_payload": ROWS}),
        (({"a": 1}, None, None), {"webhook_payload": {"a": 1}}),
        ((None, "h", None), {"specs_override": {"resource_handle_id": "h"}}),
        ((None, "h", {"x": (1,)}), {"specs_override": {"x": [1], "resource_handle_id": "h"}}),
        ((None, "h", {"resource_handle_id": "h"}), {"specs_override": {"resource_handle_id": "h"}}),
        ((None, None, {"resource_handle_id": "h"}), {"specs_override": {"resource_handle_id": "h"}}),
        ((ROWS, None, {"x": 1}), {"webhook_payload": ROWS, "specs_override": {"x": 1}}),
        ((ROWS, None, {}), {"webhook_payload": ROWS}),
    ],
)
def test_the_body_of_a_submission(arguments: tuple[Any, Any, Any], body: dict[str, Any]):
    assert run_body(*arguments) == body


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ROWS, "h", None), "Give webhook_payload or resource_handle_id, not both"),
        ((ROWS, None, {"resource_handle_id": "h"}), "Give webhook_payload or a resource_handle_id in specs_override"),
        ((None, "h", {"resource_handle_id": "g"}), "specs_override names another resource_handle_id"),
        ((None, "h", {"resource_handle_id": None}), "specs_override names another resource_handle_id"),
        ((None, "", None), "resource_handle_id should be an id"),
        ((None, "None", None), "resource_handle_id should be an id"),
        ((None, 7, None), "resource_handle_id should be an id"),
        ((None, None, [1]), "specs_override should be an object, not list"),
        ((None, None, "{}"), "specs_override should be an object, not str"),
        ((None, None, {"x": float("nan")}), r"specs_override\['x'\] is nan"),
        (([], None, None), "webhook_payload is an empty list"),
    ],
)
def test_what_is_no_body_is_refused(arguments: tuple[Any, Any, Any], message: str):
    with pytest.raises(SixtyfourInputError, match=f"^{message}"):
        run_body(*arguments)


BY_ROWS, BY_FILE, BY_NOTHING = {"webhook_payload": ROWS}, {"specs_override": {"resource_handle_id": "h"}}, {}


@pytest.mark.parametrize(
    ("source", "body", "fits"),
    [
        ("webhook", BY_ROWS, True),
        ("webhook", {**BY_ROWS, "specs_override": {"x": 1}}, True),
        ("webhook", BY_FILE, False),
        ("webhook", BY_NOTHING, False),
        ("webhook", {**BY_ROWS, **BY_FILE}, False),
        ("read_csv", BY_FILE, True),
        ("read_csv", BY_ROWS, False),
        ("read_csv", BY_NOTHING, False),
        *((source, body, True) for source in (None, "new_source") for body in (BY_ROWS, BY_FILE, BY_NOTHING)),
    ],
)
def test_input_has_to_fit_the_first_block(source: str | None, body: dict[str, Any], fits: bool):
    found = Source(source) if source else None
    if fits:
        check_fit(body, found, "w")
    else:
        with pytest.raises(
            SixtyfourInputError, match=f"^The workflow begins with the block '{source}': it .* Workflow w"
        ):
            check_fit(body, found, "w")


SCHEMA = {"name": "string", "note": {"required": False}, "kind": {"default": "lead"}}


@pytest.mark.parametrize(
    ("body", "lacks"),
    [
        ({"webhook_payload": [{"name": None}, {"name": "a", "other": 1}]}, None),
        ({"webhook_payload": {"name": "a"}}, None),
        ({"webhook_payload": {"note": "a"}}, "Row 0 of webhook_payload lacks 'name'"),
        ({"webhook_payload": [{"name": "a"}, {"note": "a"}]}, "Row 1 of webhook_payload lacks 'name'"),
        ({"webhook_payload": {"a": 1}, "specs_override": {"input_schema": {"a": "int"}}}, None),
        ({"webhook_payload": {"name": 1}, "specs_override": {"input_schema": {"a": "int"}}}, "lacks 'a'"),
    ],
)
def test_rows_have_the_columns_that_the_webhook_requires(body: dict[str, Any], lacks: str | None):
    source = Source("webhook", SCHEMA)
    if lacks is None:
        check_fit(body, source, "w")
    else:
        with pytest.raises(SixtyfourInputError, match=lacks):
            check_fit(body, source, "w")


@searched
@given(st.dictionaries(st.text(), json_values, max_size=6), st.randoms())
def test_equal_work_has_equal_digests(row: dict[str, Any], random: Any):
    shuffled = list(row.items())
    random.shuffle(shuffled)
    one = digest("w", {"webhook_payload": [row], "specs_override": {"a": 1}}, ["csv", "json"])
    assert one == digest("w", {"specs_override": {"a": 1}, "webhook_payload": [dict(shuffled)]}, ["json", "csv"])


def test_other_work_has_another_digest():
    work = [
        ("w", {"webhook_payload": [{"a": 1}]}, ["csv"]),
        ("v", {"webhook_payload": [{"a": 1}]}, ["csv"]),
        ("w", {"webhook_payload": [{"a": 2}]}, ["csv"]),
        ("w", {"webhook_payload": [{"a": "1"}]}, ["csv"]),
        ("w", {"webhook_payload": [{"a": True}]}, ["csv"]),
        ("w", {"webhook_payload": {"a": 1}}, ["csv"]),
        ("w", {"webhook_payload": [{"a": 1}, {"a": 1}]}, ["csv"]),
        ("w", {"webhook_payload": [{"a": 1}]}, ["csv", "json"]),
        ("w", {"webhook_payload": [{"a": 1}], "specs_override": {"x": 1}}, ["csv"]),
    ]
    assert len({digest(*one) for one in work}) == len(work)


def test_a_digest_is_the_same_in_every_process():
    # Records of a running Dag outlive an upgrade of this package.
    body = {"webhook_payload": [{"name": "Zoë", "age": 7}]}
    assert digest("w", body, ("ndjson", "csv")).startswith("0860")
