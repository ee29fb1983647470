"""Files that the API lists some time after it reports their run as completed are waited for."""

import csv

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.results import file_list

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def columns(landed):
    with open(landed["files"][0]["path"].removeprefix("file://"), newline="") as lines:
        return next(csv.reader(lines))


@BOTH_MODES
def test_a_list_of_files_that_is_empty_at_first(emulator, enriching, leads, deferrable):
    emulator.plan(seconds=0, links_after_seconds=2.0)

    landed = enriching(source=f"file://{leads}", deferrable=deferrable).run()

    assert landed["rows"] == 5
    assert len(emulator.runs()) == 1


@BOTH_MODES
def test_the_last_blocks_file_that_comes_after_the_others(emulator, enriching, leads, deferrable):
    """Else the file of an earlier block would pass for the final one."""
    emulator.plan(seconds=0, late_files={2: 1.5})

    landed = enriching(source=f"file://{leads}", deferrable=deferrable).run()

    assert landed["files"][0]["block_number"] == 2
    assert "industry" in columns(landed)


def test_files_that_do_not_come_fail_the_task_and_the_retry_lands_the_same_run(emulator, enriching, leads, monkeypatch):
    emulator.plan(seconds=0, links_after_seconds=3.0)
    one = enriching(source=f"file://{leads}")

    with monkeypatch.context() as patch:
        patch.setattr(file_list, "LATE_PAUSES", (0.05, 0.05))
        with pytest.raises(SixtyfourTransferError, match="no result file"):
            one.run()
    job_id = one.retry()["job_id"]

    assert [run["job_id"] for run in emulator.runs()] == [job_id]
