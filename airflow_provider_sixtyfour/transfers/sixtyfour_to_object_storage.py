"""Lands the result files of a run in object storage."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourInputError,
    SixtyfourRefusedError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.filenames import safe_names
from airflow_provider_sixtyfour.api.verdicts import COMPLETED, describe_progress, verdict
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.operators.failing import failing_for_good
from airflow_provider_sixtyfour.transfers.destination import object_storage_path, whole_file

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.downloads import Download, Link
    from airflow_provider_sixtyfour.api.models import ResultFile

PIECE = 1024 * 1024  # bytes
LINK_RESERVE = 60.0  # seconds before its end from which a link is not used any more


class SixtyfourToObjectStorageOperator(BaseOperator):
    """
    Write the result files of a run to any object store or file system, each whole or not at all.

    :param job_id: the run. (templated)
    :param destination: the folder to write to, as a URL: ``s3://conn_id@bucket/prefix/``, ``gs://…``, ``abfs://…``,
        ``file:///…``. A file of the same name there is replaced. (templated)
    :param format: ``csv``, ``json`` or ``ndjson``; the run must have been started with it, but for ``csv``.
        (templated)
    :param files: ``final``: what the last block made; ``all``: what every block made; or the number (or a list of
        numbers) of the blocks. (templated)
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: a list with, for each file, its ``path``, ``rows`` (counted; ``None`` for JSON that is no array),
        ``bytes``, ``sha256``, ``block_number`` and ``filename`` (as the API calls it).
    :raises AirflowFailException: if a parameter can't be right, the API refuses, or the run has no such file.
    :raises SixtyfourTransferError: if the run has not ended, or a file can't be fetched whole; nothing of it is at
        the destination.
    """

    template_fields: Sequence[str] = ("job_id", "destination", "format", "files", "sixtyfour_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        job_id: str,
        destination: str | ObjectStoragePath,
        format: str = "csv",
        files: str | int | Sequence[int] = "final",
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.format = format
        self.files = files
        self.sixtyfour_conn_id = sixtyfour_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the files, then fetch and publish them one by one."""
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_sixtyfour.api.downloads import Download

        with failing_for_good():
            calls.identifier(self.job_id, "job_id")
            if self.format not in calls.RESULT_FORMATS:
                raise SixtyfourInputError(
                    f"format should be one of {', '.join(calls.RESULT_FORMATS)}, not {self.format!r:.60}."
                )
            wanted = _wanted_blocks(self.files)
            folder = object_storage_path(self.destination, "destination")
            hook = SixtyfourHook(self.sixtyfour_conn_id)
            self._require_ended(hook.client)
            listing = _Listing(hook.client, self.job_id, self.format)
            chosen = _choose(listing.files, wanted, self.job_id, self.format)
            names = safe_names([listing.files[position] for position in chosen], self.format)
            download = Download(hook.settings, on_secret=mask_secret)
            try:
                return [
                    self._land(download, listing, position, folder / name)
                    for position, name in zip(chosen, names, strict=True)
                ]
            finally:
                download.close()

    def _require_ended(self, client: SixtyfourClient) -> None:
        """Refuse a run that is going: it would give the files of the blocks that have finished, as if they were all."""
        live = client.send(calls.live_status(self.job_id))
        ended = verdict(self.job_id, live)
        if ended is None:
            raise SixtyfourTransferError(
                f"Run {self.job_id} has not ended: {describe_progress(live)}. Wait for it first, with "
                "SixtyfourRunSensor or wait_for_completion=True."
            )
        if ended.status != COMPLETED:
            self.log.warning("Run %s has ended as %s: landing what it left.", self.job_id, ended.status)

    def _land(self, download: Download, listing: _Listing, position: int, path: ObjectStoragePath) -> dict[str, Any]:
        from airflow_provider_sixtyfour.api.row_counts import row_count

        file = listing.files[position]
        started = time.monotonic()
        with whole_file(path) as target:
            if file.download_url is None and file.rows is not None:
                _write_rows(file.rows, self.format, target)
            else:
                download.fetch(path.name, lambda: listing.link(position), target, size=file.file_size)
            digest, rows, size = hashlib.sha256(), row_count(self.format), 0
            target.seek(0)
            while piece := target.read(PIECE):
                digest.update(piece)
                rows.feed(piece)
                size += len(piece)
        counted = rows.rows()
        if file.row_count is not None and counted is not None and counted != file.row_count:
            self.log.warning("%s has %d rows; the API said %d.", path.name, counted, file.row_count)
        self.log.info("Landed %s: %s rows, %d bytes in %.1f s.", path, counted, size, time.monotonic() - started)
        return {
            "path": str(path),
            "rows": counted,
            "bytes": size,
            "sha256": digest.hexdigest(),
            "block_number": file.block_number,
            "filename": file.filename,
        }


class _Listing:
    """The run's result files, asked for again just before a link that may not live long enough is needed."""

    def __init__(self, client: SixtyfourClient, job_id: str, format: str) -> None:
        self._client = client
        self._call = calls.result_files(job_id, format)
        self._used: set[int] = set()
        self._refresh()

    def _refresh(self) -> None:
        self.files = self._client.send(self._call)
        self._asked_at = time.monotonic()
        self._used.clear()

    def link(self, position: int) -> Link:
        """Return a link that hasn't been tried yet and has time left."""
        from airflow_provider_sixtyfour.api.downloads import Link

        reserve = min(LINK_RESERVE, self.files[position].expires_in / 2)
        if position in self._used or time.monotonic() > self._asked_at + self.files[position].expires_in - reserve:
            expected = self.files[position]
            self._refresh()
            if position >= len(self.files) or _identity(self.files[position]) != _identity(expected):
                raise SixtyfourUnavailableError("The API lists other result files than a moment ago.")
        self._used.add(position)
        file = self.files[position]
        if file.download_url is None:
            said = f" ({file.message})" if file.message else ""
            raise SixtyfourUnavailableError(f"The API gives no link to {file.filename!r}{said}.")
        return Link(file.download_url, self._asked_at + file.expires_in)


def _identity(file: ResultFile) -> tuple[str, int | None]:
    return file.filename, file.block_number


def _wanted_blocks(files: Any) -> str | set[int]:
    """Read ``files``: ``final``, ``all``, or block numbers, also as a rendered template gives them."""
    if files in ("final", "all"):
        return str(files)
    items = [files] if isinstance(files, int | str) else files
    try:
        numbers = {int(item) for item in items if not isinstance(item, bool)}
    except (TypeError, ValueError):
        numbers = set()
    if not numbers:
        raise SixtyfourInputError(f"files should be 'final', 'all' or block numbers, not {files!r:.60}.")
    return numbers


def _choose(files: Sequence[ResultFile], wanted: str | set[int], job_id: str, format: str) -> list[int]:
    """Return the positions of the wanted files in the list."""
    if not files:
        hint = "" if format == "csv" else f" Start the run with result_formats=('csv', '{format}')."
        raise SixtyfourRefusedError(f"Run {job_id} has no result file as {format}.{hint}")
    numbers = [-1 if file.block_number is None else file.block_number for file in files]
    if wanted == "all":
        return list(range(len(files)))
    chosen = {max(numbers)} if isinstance(wanted, str) else wanted
    if missing := sorted(chosen - set(numbers)):
        raise SixtyfourRefusedError(
            f"Run {job_id} has no result file of block {missing[0]}; there are files of blocks {sorted(set(numbers))}."
        )
    return [position for position, number in enumerate(numbers) if number in chosen]


def _write_rows(rows: Sequence[Mapping[str, Any]], format: str, target: BinaryIO) -> None:
    """Write rows that the API sent inline, in the form that the file would have had."""
    text = io.TextIOWrapper(target, encoding="utf-8", newline="")
    if format == "csv":
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
            )
    elif format == "ndjson":
        text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        json.dump(list(rows), text, ensure_ascii=False)
    text.detach()
