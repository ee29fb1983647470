"""
What rows are read from: a CSV file, a file of JSON lines, or rows that another task made.

Invariant: a source gives each row once, in order, as the very bytes of the file; only a header with other names, and
JSON whose members get other names, are rewritten. A row that isn't what its format asks for goes to the rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol, cast

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.columns import check_renamed
from airflow_provider_sixtyfour.formats.input_formats import check_delimiter, check_readable
from airflow_provider_sixtyfour.formats.ndjson_rows import JsonSource, lines_of
from airflow_provider_sixtyfour.formats.records import RecordChunk
from airflow_provider_sixtyfour.formats.rejects import NoRejects, Rejects
from airflow_provider_sixtyfour.formats.sniffing import PeekedStream, refuse_other_kinds


class Source(Protocol):
    """
    Rows in chunks.

    ``name`` is the input's, for messages; ``extension`` that of a file of such rows; ``header`` what it begins with;
    ``columns`` are their names in the header, none where each row names its own.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def extension(self) -> str: ...  # noqa: D102
    @property
    def header(self) -> bytes: ...  # noqa: D102
    @property
    def columns(self) -> Sequence[str]: ...  # noqa: D102

    def chunks(self) -> Iterator[RecordChunk]:
        """Give all rows, once."""

    def row(self, record: bytes) -> Mapping[str, Any]:
        """Return a record of a chunk by its columns' names."""

    def require(self, names: Iterable[str]) -> None:
        """
        Have it checked that there are columns of these names.

        :raises SixtyfourInputError: if there aren't; or `chunks` does after the last row, where only then it is known.
        """


def open_source(
    stream: BinaryIO,
    name: str,
    *,
    rejects: Rejects,
    rename_columns: Mapping[str, str] | None = None,
    delimiter: str | None = None,
) -> Source:
    """
    Return the rows of a file.

    :param name: its name, which gives its format.
    :param rejects: where rows go that are no rows.
    :param rename_columns: other names for some columns, by the names that they have in the file.
    :param delimiter: what separates the cells of CSV, where it isn't commas: the rows get commas.
    :raises SixtyfourInputError: if it is of another format than its name says, its cells are probably separated by
        something else, or its header can't be right.
    """
    renamed, separator = check_renamed(rename_columns), check_delimiter(delimiter)
    format = check_readable(name, separator)
    looked = PeekedStream(stream)
    refuse_other_kinds(looked.start, name, format)
    read = cast("Callable[..., Source]", format.read)
    return read(looked, name, rejects=rejects, renamed=renamed, delimiter=separator)


def comma_separated(stream: BinaryIO, name: str, delimiter: str) -> Iterator[bytes]:
    """
    Give a file of CSV as it is to be sent: with commas, in UTF-8 without a mark, without empty lines.

    :param delimiter: what separates the cells.
    :raises SixtyfourInputError: if it can't be read, naming the line.
    """
    source = open_source(stream, name, rejects=NoRejects(name), delimiter=delimiter)
    yield source.header
    for chunk in source.chunks():
        yield chunk.data


def open_rows(rows: Any, *, rejects: Rejects, rename_columns: Mapping[str, str] | None = None) -> Source:
    """
    Return rows as JSON lines; a row's line is its number.

    :param rows: objects, as a list or another collection; read once, and not held as a whole.
    :param rejects: as for `open_source`.
    :param rename_columns: as for `open_source`.
    :raises SixtyfourInputError: if it is something else; `Source.chunks` raises it for a row that JSON can't say.
    """
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise SixtyfourInputError(f"rows should be a list of objects, not {type(rows).__name__}.")
    return JsonSource(lines_of(rows, "rows"), "rows", "ndjson", rejects=rejects, renamed=check_renamed(rename_columns))
