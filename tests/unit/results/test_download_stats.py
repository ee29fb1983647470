"""What is counted of a file while it is downloaded; its columns only if it isn't large, and whatever is in it."""

import pytest

from airflow_provider_sixtyfour.formats import table
from airflow_provider_sixtyfour.results import download_stats
from airflow_provider_sixtyfour.results.download_stats import QUALITY_LIMIT, DownloadStats

CONTENT = b"name,email\nA,\nB,b@x\n"
QUALITY = {"name": {"filled": 2, "empty": 0, "distinct": 2}, "email": {"filled": 1, "empty": 1, "distinct": 1}}


def stats_of(*chunks, format="csv", size=None):
    stats = DownloadStats(format, size)
    try:
        for chunk in chunks:
            stats.feed(chunk)
        stats.finish()
    finally:
        stats.close()
    return stats


def test_columns_are_counted_along_with_the_rest():
    stats = stats_of(CONTENT[:5], CONTENT[5:])

    assert (stats.rows, stats.bytes, stats.quality) == (2, len(CONTENT), QUALITY)


def test_begun_again_nothing_of_the_first_time_counts():
    stats = DownloadStats("csv")
    stats.feed(b"other\n1\n")
    stats.start_over()
    stats.feed(CONTENT)
    stats.finish()
    stats.close()

    assert (stats.rows, stats.quality) == (2, QUALITY)


def test_of_a_file_that_is_announced_as_large_no_column_is_looked_at(monkeypatch):
    def fail(*_):
        raise AssertionError("looked at")

    monkeypatch.setattr(download_stats, "BackgroundReader", fail)
    assert stats_of(CONTENT, size=QUALITY_LIMIT + 1).quality == {}
    with pytest.raises(AssertionError, match="looked at"):
        stats_of(CONTENT, size=QUALITY_LIMIT)


def test_a_file_that_turns_out_to_be_large_has_no_quality(monkeypatch):
    monkeypatch.setattr(download_stats, "QUALITY_LIMIT", len(CONTENT))
    assert stats_of(CONTENT).quality == QUALITY

    stats = stats_of(CONTENT, b"C,\n", b"D,\n", size=5)
    assert (stats.rows, stats.quality) == (4, {})


@pytest.mark.parametrize(
    ("format", "content"),
    [("csv", b"x" * 1_000_000), ("ndjson", b"{broken"), ("json", b"[[[["), ("json", b"[" * 100_000)],
)
def test_a_file_that_can_not_be_read_has_no_quality(format, content):
    stats = stats_of(*[content] * 20, format=format)

    assert (stats.bytes, stats.quality) == (20 * len(content), {})


def test_whatever_is_wrong_with_the_counting_spoils_nothing(monkeypatch):
    def fail(chunks):
        raise MemoryError

    monkeypatch.setitem(table.FORMATS, "csv", table.FORMATS["csv"]._replace(quality=fail))

    assert (stats_of(CONTENT).rows, stats_of(CONTENT).quality) == (2, {})
