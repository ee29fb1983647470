from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.models import ResultFile
from airflow_provider_sixtyfour.results.filenames import safe_names
from tests.unit.api.properties import searched


def file(name: str, block_number: int | None = None) -> ResultFile:
    [one] = ResultFile.read_all([{"block_number": block_number}])
    return ResultFile(name, one.block_number, None, None, None, 900.0, None, None)


hostile = st.text() | st.text(alphabet="./\\. _-aAß\x00\n\u202e\ud800%:é\u0301", max_size=12)
long_names = st.sampled_from(["a", "ü", "😀", "."]).flatmap(lambda char: st.integers(0, 400).map(lambda n: char * n))
names = st.lists(st.tuples(hostile | long_names, st.none() | st.integers(0, 2**70)), max_size=12)


@searched
@given(names, st.sampled_from(["csv", "json", "ndjson"]))
@example([("a", 10**18)] * 30, "ndjson")
@example([("x" * 300, n) for n in range(30)], "csv")
@example([("ǰ", None), ("J\u030c", None), ("ß", None), ("SS", None), ("ﬁ", None), ("FI", None)], "csv")
@example([("a", None), ("a-2", None), ("a", None), ("A-2", None), ("a", 2), ("a-block-2", None)], "csv")
def test_any_names_become_safe_and_unique(given_names: list[tuple[str, int | None]], extension: str):
    files = [file(name, number) for name, number in given_names]
    made = safe_names(files, extension)
    assert len(made) == len(files)
    assert len({name.casefold() for name in made}) == len(files)
    for name in made:
        assert name.endswith(f".{extension}")
        assert len(name.encode()) <= 255
        assert name.isprintable()
        assert PurePosixPath(name).parts == (name,)
        assert PureWindowsPath(name).parts == (name,)
        assert name[0] not in "._"
        assert not set(name) & set('/\\\0<>:"|?*%#')
    assert safe_names(files, extension) == made


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("leads.csv", "leads.csv"),
        ("Leads.CSV", "Leads.csv"),
        ("leads.json", "leads.json.csv"),
        ("../../x", "x.csv"),
        ("..\\..\\x.csv", "x.csv"),
        ("/etc/passwd", "passwd.csv"),
        ("C:\\Windows\\system.ini", "system.ini.csv"),
        ("a/", "results.csv"),
        ("..", "results.csv"),
        (".", "results.csv"),
        ("", "results.csv"),
        (".csv", "results.csv"),
        (".hidden.csv", "hidden.csv"),
        ("_SUCCESS", "SUCCESS.csv"),
        ("a\x00b\nc.csv", "a_b_c.csv"),
        ("%2e%2e%2fx.csv", "2e_2e_2fx.csv"),
        ("gr\u0075\u0308n.csv", "grün.csv"),
        ("表.csv", "表.csv"),
        ("a\u202egpj.csv", "a_gpj.csv"),
        ("s3://bucket/key.csv", "key.csv"),
    ],
)
def test_a_name_from_the_api_stays_inside_the_destination(name: str, safe: str):
    assert safe_names([file(name)], "csv") == [safe]


def test_equal_names_are_distinguished_by_block_then_by_number():
    files = [file("out.csv", 2), file("OUT.csv", 3), file("out.csv", 3), file("out.csv"), file("out.csv")]
    assert safe_names(files, "csv") == ["out.csv", "OUT-block-3.csv", "out-block-3-2.csv", "out-2.csv", "out-3.csv"]
