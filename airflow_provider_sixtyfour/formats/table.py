"""
The formats of result files and inputs, as one table: a new format is an entry here and a module that it refers to.

Dag files and the API's calls read the table, so what an entry refers to is imported when it is first called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.formats.quality import Quality
    from airflow_provider_sixtyfour.formats.row_count import RowCount

OCTETS = "application/octet-stream"


class Format(NamedTuple):
    """
    One format of rows.

    :param name: its name in the API's queries and the operators' parameters, and the extension of a result file.
    :param extensions: what names of inputs in it end in, in lower case, without the dot.
    :param counter: returns a new `RowCount`.
    :param quality: counts the columns of a file from its chunks, see `formats.column_counts`.
    :param encode: gives the chunks of a file with the rows that it is given.
    :param read: makes a `formats.reader.Source` of a stream; ``None`` if the format can't be read row by row.
    :param to_parquet: converts a file to Parquet, see `formats.parquet.writer`; ``None`` if that isn't supported.
    :param flag: the query parameter that asks a run for such files; ``None`` if ``result_formats`` does, by name.
    :param with_delimiter: extensions of inputs whose delimiter the user gives.
    :param media_type: the ``Content-Type`` of an upload.
    :param is_upload: whether the API takes a file in it as input.
    :param is_json: whether what stands in it is JSON.
    :param has_header: whether its first record names the columns.
    """

    name: str
    extensions: tuple[str, ...]
    counter: Callable[[], RowCount]
    quality: Callable[[Iterable[bytes]], Quality]
    encode: Callable[..., Any]
    read: Callable[..., Any] | None = None
    to_parquet: Callable[..., object] | None = None
    flag: str | None = None
    with_delimiter: tuple[str, ...] = ()
    media_type: str = OCTETS
    is_upload: bool = True
    is_json: bool = True
    has_header: bool = False


def _lazy(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports a module of this package when it is called, and calls what it has of this name."""
    return lambda *args, **options: getattr(import_module(f"{__package__}.{module}"), name)(*args, **options)


_ALL = (
    Format(
        "csv",
        extensions=("csv",),
        counter=_lazy("row_count", "CsvRows"),
        quality=_lazy("column_counts", "count_csv"),
        encode=_lazy("writers", "csv_file"),
        read=_lazy("csv_rows", "CsvSource"),
        to_parquet=_lazy("parquet.from_csv", "convert_csv"),
        with_delimiter=("csv", "tsv", "tab", "psv", "txt"),
        media_type="text/csv",
        is_json=False,
        has_header=True,
    ),
    Format(
        "json",
        extensions=("json",),
        counter=_lazy("row_count", "JsonRows"),
        quality=_lazy("column_counts", "count_json"),
        encode=_lazy("writers", "json_file"),
        flag="save_json",
        media_type="application/json",
    ),
    Format(
        "ndjson",
        extensions=("ndjson", "jsonl"),
        counter=_lazy("row_count", "LineRows"),
        quality=_lazy("column_counts", "count_ndjson"),
        encode=_lazy("writers", "ndjson_file"),
        read=_lazy("ndjson_rows", "read_ndjson"),
        to_parquet=_lazy("parquet.from_ndjson", "convert_ndjson"),
    ),
)
FORMATS = {each.name: each for each in _ALL}
ALWAYS_MADE = "csv"  # the result files that every completed run has
TYPED = "ndjson"  # the result files that Parquet takes the columns' types from, where a run has them
_BY_EXTENSION = {one: each for each in _ALL for one in (*each.extensions, *each.with_delimiter)}


def extension_of(name: str) -> str:
    """Return what a name, path or URL ends in: lower case, without the dot."""
    return PurePosixPath(name).suffix.lower().removeprefix(".")


def format_of(extension: str) -> Format | None:
    """Return the format of files with this extension, where need be with a delimiter given; ``None`` for none."""
    return _BY_EXTENSION.get(extension)


def media_type_of(name: str) -> str:
    """Return the ``Content-Type`` of an upload of this name."""
    return next((each.media_type for each in _ALL if extension_of(name) in each.extensions), OCTETS)
