"""What is counted of columns is what a reader finds in them, however the file was cut; hostile files take no memory."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.formats.cell_values import cell_text, is_empty
from airflow_provider_sixtyfour.formats.column_counter import MOST_DISTINCT, MOST_HASHES
from airflow_provider_sixtyfour.formats.names import storable
from airflow_provider_sixtyfour.formats.quality import LONGEST_NAME, LONGEST_VALUE, MOST_COLUMNS, MOST_VALUES, Quality
from airflow_provider_sixtyfour.formats.records import LONGEST_RECORD
from airflow_provider_sixtyfour.formats.table import FORMATS
from tests.unit.api.properties import searched

MARK = b"\xef\xbb\xbf"
cells = st.text(max_size=4) | st.sampled_from(["", " ", "\t\u3000", "OK", "a,b", 'say "hi"', "a\r\nb", "\r", "\0", "é"])
widths = st.integers(1, 4)
cuts = st.lists(st.integers(0, 300), max_size=8)
values = cells | st.sampled_from([None, [], {}, 0, 1, 1.5, 10**400, True, False, ["x"], {"a": None}])


def pieces(content: bytes, at: list[int]) -> Iterator[bytes]:
    start = 0
    for stop in [*sorted(min(cut, len(content)) for cut in at), len(content)]:
        if start < stop:
            yield content[start:stop]
        start = stop


def count(format: str, content: bytes, at: list[int] | None = None) -> Quality:
    return FORMATS[format].quality(pieces(content, at or []))


def expected(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Count what there is in rows one by one."""
    found: dict[str, Any] = {}
    for name in names:
        texts = [cell_text(row.get(name)) for row in rows if not is_empty(row.get(name))]
        found[name] = {"filled": len(texts), "empty": len(rows) - len(texts), "distinct": len(set(texts))}
        if name == "status" and texts and max(map(len, texts)) <= LONGEST_VALUE:
            found[name]["values"] = Counter(map(storable, texts))
    return found


NAMES = ["name", "email", "status", "größe"]


@searched
@given(st.lists(st.lists(cells, min_size=1, max_size=5), max_size=8), widths, st.booleans(), st.booleans(), cuts)
@example([["\0", "\r\n"]], 2, True, True, [1, 2, 3, 4, 5, 6, 7])
def test_columns_of_csv_are_what_a_reader_sees(
    table: list[list[str]], width: int, has_mark: bool, quotes_all: bool, at: list[int]
) -> None:
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
    csv.writer(text, quoting=quoting, lineterminator="\r\n").writerows([NAMES[:width], *table])
    content = (MARK if has_mark else b"") + text.getvalue().encode("utf-8", "surrogatepass")
    decoded = content.removeprefix(MARK).decode("utf-8", "surrogateescape")
    rows = [dict(row) for row in csv.DictReader(io.StringIO(decoded, newline=""))]

    assert count("csv", content, at) == expected(rows, NAMES[:width])
    assert count("csv", content, list(range(len(content)))) == expected(rows, NAMES[:width])


@searched
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), values), max_size=8), st.booleans(), st.booleans(), cuts)
@example([{"name": "\ud83d"}, {"name": '{"}],['}], True, True, list(range(1, 60)))
def test_columns_of_json_are_the_members_of_its_objects(
    rows: list[dict[str, Any]], has_mark: bool, is_ascii: bool, at: list[int]
) -> None:
    def encoded(value: Any, indent: int | None = None) -> bytes:
        return json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogateescape")

    wanted = expected(rows, list(dict.fromkeys(name for row in rows for name in row)))
    mark = MARK if has_mark else b""
    lines = b"\r\n \n".join(map(encoded, rows))

    assert count("ndjson", mark + lines, at) == count("ndjson", lines + b"\n", list(range(len(lines)))) == wanted
    for indent in (None, 1):
        whole = mark + b" \n" + encoded(rows, indent) + b"\n"
        assert count("json", whole, at) == count("json", whole, list(range(len(whole)))) == wanted


def test_every_format_counts_the_same() -> None:
    rows = [{"name": "A", "n": 1, "ok": True, "email_status": "OK"}, {"name": " ", "n": None, "ok": False, "tags": []}]
    rows += [{"name": "A", "n": 2, "ok": False, "email_status": "OK", "tags": ["x"]}]
    of = {name: count(name, b"".join(format.encode(rows))) for name, format in FORMATS.items()}

    assert of["json"] == of["ndjson"]
    assert of["json"]["name"] == of["csv"]["name"] == {"filled": 2, "empty": 1, "distinct": 1}
    assert of["json"]["email_status"] == of["csv"]["email_status"]
    assert of["csv"]["email_status"] == {"filled": 2, "empty": 1, "distinct": 1, "values": {"OK": 2}}
    assert of["json"]["n"] == of["csv"]["n"] == {"filled": 2, "empty": 1, "distinct": 2}
    assert of["json"]["tags"] == {"filled": 1, "empty": 2, "distinct": 1}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", {}),
        (MARK, {}),
        (b"\n\n", {}),
        (b"a,b\n", {"a": (0, 0, 0), "b": (0, 0, 0)}),
        (b"a,b", {"a": (0, 0, 0), "b": (0, 0, 0)}),
        (b"\n\na,b\r\n1,\r\n\r\n2", {"a": (2, 0, 2), "b": (0, 2, 0)}),
        (b"a\r1\r2\r\r2\r", {"a": (3, 0, 2)}),
        (b'a,b\n"1",2\n\n\r\n3,4\n\n"5",""', {"a": (3, 0, 3), "b": (2, 1, 2)}),
        (b'a\n"1"\n""\n\n3\n', {"a": (2, 1, 2)}),
        (b"a,b\n1,2,3,4\n1\n", {"a": (2, 0, 1), "b": (1, 1, 1)}),
        (b"a,a,b\n1,2,3\n", {"b": (1, 0, 1)}),
        (b"a,\xff,\xfe,b\n1,2,3,4\n", {"a": (1, 0, 1), "b": (1, 0, 1)}),
        (b"a, ,,b\n1,2,3,4\n", {"a": (1, 0, 1), "b": (1, 0, 1)}),
        (b'a,b\n5" pipe,x\n"6" pipe",y\n', {"a": (2, 0, 2), "b": (2, 0, 2)}),
        (b'a,b\n1,"open\n2,3\n', {"a": (1, 0, 1), "b": (1, 0, 1)}),
        (b"a\xff,b\0\n\xff,\0\n\xfe,\0\n", {"a\ufffd": (2, 0, 2), "b\ufffd": (2, 0, 1)}),
        ("a\n\u3000\n\x85\n\x1f\n".encode(), {"a": (0, 3, 0)}),
    ],
)
def test_columns_of_csv(content: bytes, found: dict[str, tuple[int, int, int]]) -> None:
    wanted = {name: dict(zip(("filled", "empty", "distinct"), each, strict=True)) for name, each in found.items()}
    assert count("csv", content) == count("csv", content, list(range(len(content)))) == wanted


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("ndjson", b'{"a": 1}\n{broken\n'),
        ("ndjson", b'{"a": 1}\n[1]\n'),
        ("ndjson", b'{"a": 1}\n3\n'),
        ("ndjson", b'{"a": 1},{"a": 2}\n'),
        ("ndjson", b'{"a": 1}\n{"a": ' + b"[" * 100_000),
        ("ndjson", b'{"a": "' + b"x" * (LONGEST_RECORD + 10_000_000) + b'"}'),
        ("json", b""),
        ("json", b"{}"),
        ("json", b'[{"a": 1}, 2]'),
        ("json", b'[{"a": 1}'),
        ("json", b'[{"a": 1},]'),
        ("json", b'[{"a": 1}] x'),
        ("json", b'[{"a": 1}{"a": 2}]'),
        ("json", b'[,{"a": 1}]'),
        ("json", b'[{"a": ' + b"[" * 100_000),
        ("json", b'[{"a": "' + b"x" * (LONGEST_RECORD + 10_000_000) + b'"}]'),
        ("csv", b"a\n" + b"x" * (LONGEST_RECORD + 1_000_000)),
        ("csv", b'a,b\n1,"' + b"x\n" * (LONGEST_RECORD // 2 + 1_000_000)),
        ("csv", b"a\n" + b"x," * (LONGEST_RECORD // 2 + 5_000_000)),
    ],
    ids=lambda value: f"{value[:20]!r} {len(value)}",
)
def test_what_can_not_be_read_is_not_counted(format: str, content: bytes) -> None:
    with pytest.raises((ValueError, csv.Error, RecursionError)):
        count(format, content, list(range(0, len(content), 250_000)))


@pytest.mark.parametrize("format", FORMATS)
def test_a_large_cell_is_counted(format: str) -> None:
    rows = [{"a": "x" * 5_000_000, "b": "1"}, {"a": "é\n" * 1_000_000, "b": ""}, {"a": "", "b": "1"}]
    content = b"".join(FORMATS[format].encode(rows))

    assert count(format, content, list(range(0, len(content), 250_000))) == {
        "a": {"filled": 2, "empty": 1, "distinct": 2},
        "b": {"filled": 2, "empty": 1, "distinct": 1},
    }


@pytest.mark.parametrize("number", [b"9" * 5000, b"1e999", b"-0.0", b"NaN"])
def test_a_number_is_the_text_that_it_is(number: bytes) -> None:
    rows = b'{"a": %b}\n{"a": "%b"}\n{"a": 0}' % (number, number)

    for format, content in ("ndjson", rows), ("json", b"[%b]" % rows.replace(b"\n", b",")):
        assert count(format, content) == {"a": {"filled": 3, "empty": 0, "distinct": 2}}


def test_the_first_columns_are_counted() -> None:
    names = [f"c{number}" for number in range(100_000)]
    wide = ",".join(names).encode() + b"\n" + b",".join([b"1"] * 100_000) + b"\n"
    row = json.dumps(dict.fromkeys(names, 1)).encode()

    for format, content in ("csv", wide), ("ndjson", row + b"\n" + row), ("json", b"[" + row + b"]"):
        assert list(count(format, content)) == names[:MOST_COLUMNS]


def test_a_column_with_a_very_long_name_is_left_out() -> None:
    name = b"x" * (LONGEST_NAME + 1)
    assert list(count("csv", name + b",b\n1,2\n")) == ["b"]
    assert list(count("ndjson", b'{"%s": 1, "b": 2}' % name)) == ["b"]


def test_so_many_different_values_are_counted() -> None:
    def distinct(rows: int, columns: int) -> set[int | None]:
        head = ",".join(f"c{number}" for number in range(columns)) + "\n"
        body = "".join(f"{','.join([str(row)] * columns)}\n" for row in range(rows))
        return {column["distinct"] for column in count("csv", (head + body).encode()).values()}

    assert distinct(MOST_DISTINCT, 2) == {MOST_DISTINCT}
    assert distinct(MOST_DISTINCT + 1, 2) == {None}
    assert distinct(MOST_HASHES // 100, 100) == {MOST_HASHES // 100}
    assert distinct(MOST_HASHES // 100 + 1, 100) == {None}


def test_with_more_columns_in_later_rows_fewer_values_are_counted() -> None:
    early = b"".join(b'{"a": %d}\n' % number for number in range(MOST_DISTINCT))
    late = json.dumps({f"c{number}": 1 for number in range(MOST_COLUMNS)}).encode()

    assert count("ndjson", early)["a"]["distinct"] == MOST_DISTINCT
    assert count("ndjson", early + late)["a"]["distinct"] is None
    assert count("ndjson", late + b"\n" + early)["c1"]["distinct"] == 1


@pytest.mark.parametrize(
    ("name", "different", "is_counted"),
    [
        ("email_status", MOST_VALUES, True),
        ("Status", 3, True),
        ("email_status", MOST_VALUES + 1, False),
        ("stature", 3, False),
    ],
)
def test_the_values_of_a_status_are_counted_if_they_are_few(name: str, different: int, is_counted: bool) -> None:
    content = f"{name}\n" + "".join(f"S{number % different}\n" for number in range(3 * different))
    column = count("csv", content.encode())[name]

    assert column.get("values") == ({f"S{number}": 3 for number in range(different)} if is_counted else None)
    assert column["distinct"] == different


def test_a_long_text_is_no_status() -> None:
    assert "values" not in count("csv", b"status\n" + b"x" * 61 + b"\n")["status"]


@pytest.mark.parametrize("format", FORMATS)
def test_memory_is_bounded(format: str) -> None:
    rows = [{"name": f"Lead {number}", "email": f"{number}@example.com", "note": "x" * 50} for number in range(1000)]
    row_chunk = b"".join(FORMATS[format].encode(rows))
    if format == "csv":
        chunks = [row_chunk, *[row_chunk.partition(b"\n")[2]] * 200]
    elif format == "json":
        inner = row_chunk.strip()[1:-1]
        chunks = [b"[", *[inner + b","] * 200, inner, b"]"]
    else:
        chunks = [row_chunk] * 201
    tracemalloc.start()
    try:
        quality = FORMATS[format].quality(chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert quality["name"] == {"filled": 201_000, "empty": 0, "distinct": 1000}
    assert peak < 6 * 2**20


def test_memory_is_bounded_where_all_values_are_different() -> None:
    names = [f"c{number}" for number in range(20)]
    chunks = [(",".join(names) + "\n").encode()]
    chunks += [
        "".join(f"{','.join(f'{row}' for _ in names)}\n" for row in range(at, at + 1000)).encode()
        for at in range(0, 30_000, 1000)
    ]
    tracemalloc.start()
    try:
        quality = FORMATS["csv"].quality(chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert quality["c19"] == {"filled": 30_000, "empty": 0, "distinct": None}
    assert peak < 25 * 2**20
