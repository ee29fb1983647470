"""An input is split from and to each store, and repaired there."""

from __future__ import annotations

import hashlib

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.operators.batches import repair_input, split_input
from airflow_provider_sixtyfour.storage.atomic import publishing
from tests.stores.conftest import Place


def put(place: Place, name: str, data: bytes) -> str:
    with publishing(place.fs, (place.path / name).path) as publication:
        publication.write(data)
        publication.commit()
    return f"{place.url}/{name}"


def test_an_input_is_split_and_repaired(place: Place) -> None:
    rows = [b'"Lead, %d",%d@x,%s\n' % (number, number, b"x" * 500) for number in range(40_000)]
    header = b"name,email,notes\n"
    source = put(place, "leads.csv", header + b"".join(rows))

    made = split_input(
        source=source,
        destination=f"{place.url}/sent",
        batch_rows=18_000,
        required="email",
        rejects=f"{place.url}/rejects.ndjson",
    )
    pending = repair_input(
        source=made,
        results=put(place, "results.ndjson", b'{"email": "1@x", "phone": "5"}\n{"email": "2@x", "phone": null}\n'),
        destination=f"{place.url}/pending",
        key="email",
        result_columns="phone",
        batch_rows=100_000,
    )

    sent = [f"sent/leads-0000{number}.csv" for number in range(3)]
    assert place.names() == [
        "leads.csv",
        "pending/leads-00000-repair-00000.csv",
        "rejects.ndjson",
        "results.ndjson",
        *sent,
    ]
    assert [batch["path"] for batch in made] == [f"{place.url}/{name}" for name in sent]
    contents = [place.read(name) for name in sent]
    assert [hashlib.sha256(content).hexdigest() for content in contents] == [batch["sha256"] for batch in made]
    assert len(contents[0]) > 8 * 2**20  # in parts
    assert b"".join(content.removeprefix(header) for content in contents) == b"".join(rows)
    assert [batch["rows"] for batch in pending] == [39_999]
    assert place.read("pending/leads-00000-repair-00000.csv") == header + b"".join([rows[0], *rows[2:]])
    assert place.unfinished() == 0


def test_an_error_in_the_middle_leaves_whole_batches_only(place: Place) -> None:
    content = b"a,b\n" + b"1,2\n" * 100_000 + b"ragged\n"

    with pytest.raises(SixtyfourInputError, match="Line 100002: the header has 2 cells, this row 1"):
        split_input(
            source=put(place, "leads.csv", content),
            destination=f"{place.url}/sent",
            batch_rows=40_000,
            rejects=None,
        )

    assert all(place.read(name) == b"a,b\n" + b"1,2\n" * 40_000 for name in place.names() if "sent" in name)
    assert place.unfinished() == 0


def test_there_is_no_such_input(place: Place) -> None:
    for name in ("missing.csv", "folder.csv"):
        put(place, "folder.csv/leads.csv", b"a\n")
        with pytest.raises(SixtyfourInputError, match=name):
            split_input(source=f"{place.url}/{name}", destination=f"{place.url}/sent")
