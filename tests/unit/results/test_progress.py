"""The progress of a file is logged every 10 s or 10 %, not more often than once in a second."""

from airflow_provider_sixtyfour.results.progress import Progress, size


class LoggedProgress:
    def __init__(self, total=None):
        self.now = 100.0
        self.lines = []
        self._progress = Progress("leads.csv", total, self.lines.append, clock=lambda: self.now)

    def at(self, position, after):
        self.now += after
        self._progress.at(position, lambda: position // 100)
        return len(self.lines)


def test_a_line_has_bytes_share_rows_and_speed():
    logged = LoggedProgress(total=2_000_000_000)
    logged.at(500_000_000, after=2.0)

    assert logged.lines == ["leads.csv: 500.0 MB of 2.0 GB (25%), 5,000,000 rows, 250.0 MB/s."]


def test_every_ten_percent():
    logged = LoggedProgress(total=1000)

    assert [logged.at(at, after=2.0) for at in (50, 100, 150, 199, 200, 900)] == [0, 1, 1, 1, 2, 3]


def test_every_ten_seconds():
    logged = LoggedProgress(total=10**12)

    assert [logged.at(at, after=4.0) for at in range(1, 8)] == [0, 0, 1, 1, 1, 2, 2]


def test_without_a_total():
    logged = LoggedProgress()

    assert [logged.at(at, after=5.0) for at in (10_000, 20_000)] == [0, 1]
    assert logged.lines == ["leads.csv: 20.0 kB, 200 rows, 2.0 kB/s."]


def test_a_quick_file_logs_nothing():
    logged = LoggedProgress(total=100)

    assert [logged.at(at, after=0.05) for at in range(0, 101, 10)][-1] == 0


def test_sizes():
    assert [size(number) for number in (0, 999, 1000, 1_500_000, 2_147_483_648)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.5 MB",
        "2.1 GB",
    ]
