"""The rows of a CSV file with a header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats import csv_records
from airflow_provider_sixtyfour.formats.columns import refuse_missing_or_double
from airflow_provider_sixtyfour.formats.delimiters import after_sep_line, refuse_other_delimiters, with_commas
from airflow_provider_sixtyfour.formats.input_formats import COMMA
from airflow_provider_sixtyfour.formats.records import RecordChunk, RecordEnds, bad_line, check_text, whole_records
from airflow_provider_sixtyfour.formats.rejects import Rejects
from airflow_provider_sixtyfour.formats.sniffing import PeekedStream


class CsvSource:
    """
    A `Source`: reads the header when it is made.

    :param renamed: new names of columns by their old ones.
    :param delimiter: what separates the cells, where it was given; the rows get commas.
    :raises SixtyfourInputError: if the header can't be right, or the cells are probably separated by something else.
    """

    extension = "csv"

    def __init__(
        self, looked: PeekedStream, name: str, *, rejects: Rejects, renamed: Mapping[str, str], delimiter: str | None
    ) -> None:
        looked.start = after_sep_line(looked.start, name, delimiter)
        refuse_other_delimiters(looked.start, looked.is_whole, name, delimiter)
        self.name = name
        self._rejects = rejects
        self._chunks = self._text(
            whole_records(looked, name, ends_of=csv_records.record_ends, why_endless=csv_records.why_endless)
        )
        if delimiter not in (None, COMMA):
            self._chunks = with_commas(self._chunks, name, delimiter)
        line, record, self._first = self._header()
        names = csv_records.cells(record)
        if problem := csv_records.flaw(csv_records.outline(record), len(names)):
            raise bad_line(name, line, f"in the header there is {problem}")
        if not any(map(str.isalnum, "".join(names))):
            raise bad_line(name, line, "the header names no column. A CSV file begins with a line of column names")
        self.columns = names
        self.require(renamed)
        self.columns = [renamed.get(one, one) for one in names]
        self.require(renamed.values())
        ending = b"\r\n" if record.endswith(b"\r\n") else b"\n"
        self.header = csv_records.record_of(self.columns, ending) if renamed else record

    def chunks(self) -> Iterator[RecordChunk]:
        """
        Give all rows, once.

        :raises SixtyfourInputError: if the file isn't CSV from some line on, or the rejects refuse a row.
        """
        yield self._good(self._first)
        yield from map(self._good, self._chunks)

    def row(self, record: bytes) -> dict[str, str]:
        """Return a record of a chunk by its columns' names."""
        return dict(zip(self.columns, csv_records.cells(record), strict=True))

    def require(self, names: Iterable[str]) -> None:
        """
        Check that there is one column of each of these names.

        :raises SixtyfourInputError: if there aren't.
        """
        refuse_missing_or_double(self.name, names, self.columns)

    def _text(self, chunks: Iterator[RecordChunk]) -> Iterator[RecordChunk]:
        for chunk in chunks:
            check_text(chunk, self.name)
            yield chunk

    def _header(self) -> tuple[int, bytes, RecordChunk]:
        """Return the first line that isn't empty, where it is, and what is left of its chunk."""
        for chunk in self._chunks:
            for number, (line, record) in enumerate(chunk.records()):
                if record not in csv_records.BLANK:
                    end = chunk.ends.offsets[number]
                    after, ends = chunk.data[end:], [each - end for each in chunk.ends.offsets[number + 1 :]]
                    return line, record, RecordChunk(after, RecordEnds.at(ends), line + record.count(b"\n"))
        raise SixtyfourInputError(f"The file is empty: a CSV file begins with a line of column names. In {self.name}.")

    def _good(self, chunk: RecordChunk) -> RecordChunk:
        """Return the chunk without empty lines and rejects."""
        width = len(self.columns)
        outlined = csv_records.outline(chunk.data) if chunk.outline is None else chunk.outline
        if csv_records.flaw(outlined, width) is None:
            return chunk
        good = []
        for line, record in chunk.records():
            if record in csv_records.BLANK:
                continue
            problem = csv_records.flaw(csv_records.outline(record), width)
            if problem in csv_records.UNCERTAIN:
                raise bad_line(self.name, line, f"in the row that begins here there is {problem}")
            if problem:
                self._rejects.put(line, problem, record)
            else:
                good.append((line, record))
        return RecordChunk.of(good)
