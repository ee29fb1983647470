"""
Lands the result files of a run at a destination: each whole and verified or not at all, the manifest last.

Invariant: a byte passes through once, from the storage host to the destination, and is counted and hashed on its way;
a file appears under its name only after what was counted has been compared with what was announced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.formats.names import storable
from airflow_provider_sixtyfour.formats.table import FORMATS
from airflow_provider_sixtyfour.results.download_stats import DownloadStats
from airflow_provider_sixtyfour.results.earlier_landing import earlier_landing, seem_there
from airflow_provider_sixtyfour.results.file_list import ResultFileList, choose
from airflow_provider_sixtyfour.results.filenames import safe_names
from airflow_provider_sixtyfour.results.landing_conflicts import LandingGuard, remove
from airflow_provider_sixtyfour.results.manifest import LandedFile, Manifest, now
from airflow_provider_sixtyfour.results.options import PARQUET, LandingOptions
from airflow_provider_sixtyfour.results.pipeline import DownloadPipeline
from airflow_provider_sixtyfour.results.progress import Progress, size
from airflow_provider_sixtyfour.results.run_files import Hook, how_it_ended, listed
from airflow_provider_sixtyfour.results.selection import wanted_blocks
from airflow_provider_sixtyfour.results.verification import check
from airflow_provider_sixtyfour.runs.status import RunOutcome
from airflow_provider_sixtyfour.storage.errors import publishing

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.api.models import ResultFile
    from airflow_provider_sixtyfour.results.download import Fetched
    from airflow_provider_sixtyfour.storage.file_stats import FileStats
    from airflow_provider_sixtyfour.storage.multipart import PartSenders


def land(
    hook: Hook,
    job_id: str,
    folder: ObjectStoragePath,
    landing: LandingOptions,
    *,
    log: Any,
    ended: RunOutcome | None = None,
    kind: JobKind = WORKFLOW_RUN,
) -> Manifest:
    """
    Land the files of a run that has ended.

    :param folder: the destination.
    :param log: a logger.
    :param ended: how it ended, from who has waited for it; else the API is asked.
    :param kind: of the run, see `api.job_kinds`.
    :raises SixtyfourInputError: if ``job_id`` can't be an id.
    :raises SixtyfourRefusedError: if the API refuses, or the run can't have such a file.
    :raises SixtyfourTransferError: if the run has not ended, its files aren't listed yet, a file can't be fetched
        whole or isn't what was announced, the store fails, or another landing writes into the same folder; nothing of
        a file that failed is at the destination then.
    """
    calls.identifier(job_id, "job_id")
    found = earlier_landing(folder, landing, job_id, log)
    there = found.same
    if (
        there
        and not landing.overwrite
        and there.selection == landing.selection
        and seem_there(folder, there.files, log)
    ):
        log.info("Nothing to land: all files are there already, by the manifest. Files: %s. Run %s.", folder, job_id)
        return there
    is_typed = ended is not None  # this task has started the run itself, with the formats that its landing takes
    if ended is None:
        ended = how_it_ended(hook, job_id, log, kind=kind)
    wanted = wanted_blocks(landing.files)
    file_list, last_block = listed(hook, job_id, landing, wanted, ended, is_typed=is_typed, log=log, kind=kind)
    if landing.manifest is not None and found.may_be_there and there is None:
        remove(folder / landing.manifest)  # another run's: it names objects that are about to change
    guard = LandingGuard(folder, landing.manifest, found.content if there else None, job_id, log)
    known = {file.name: file for file in there.files} if there and not landing.overwrite else {}
    files = Files(hook, folder, landing, file_list, known, guard, log)
    try:
        landed = files.land(choose(file_list.files, wanted, last_block))
    except BaseException:
        guard.abandon()
        raise
    workflow_id = None if ended.workflow_id is None else storable(ended.workflow_id)
    manifest = Manifest(
        job_id=job_id,
        workflow_id=workflow_id,
        format=landing.extension,
        selection=landing.selection,
        created_at=now(),
        files=tuple(landed),
        input=landing.input or (there.input if there else None),
        metrics=ended.metrics or (there.metrics if there else {}),
    )
    guard.finish(manifest)
    return manifest


class Files:
    """The files of one landing, several at a time."""

    def __init__(
        self,
        hook: Hook,
        folder: ObjectStoragePath,
        landing: LandingOptions,
        file_list: ResultFileList,
        known: dict[str, LandedFile],
        guard: LandingGuard,
        log: Any,
    ) -> None:
        self._hook = hook
        self._folder = folder
        self._landing = landing
        self._file_list = file_list
        self._known = known
        self._guard = guard
        self._log = log
        self._stop = threading.Event()
        self._masking = threading.Lock()

    def land(self, chosen: Sequence[int]) -> list[LandedFile]:
        """Land the files at these positions of the list; all stop when one fails."""
        from airflow_provider_sixtyfour.storage.multipart import PartSenders

        files = [self._file_list.files[position] for position in chosen]
        names = safe_names([self._without_ending(file) for file in files], self._landing.extension)
        senders = PartSenders()
        try:
            # Before there are threads: finding a store's client asks Airflow for its connection.
            paths = [self._folder / name for name in names]
            work = [partial(self._one, position, path, senders) for position, path in zip(chosen, paths, strict=True)]
            return self._side_by_side(work)
        finally:
            senders.close()

    def land_as(self, position: int, path: ObjectStoragePath) -> LandedFile:
        """Land the file at this position of the list under another name."""
        from airflow_provider_sixtyfour.storage.multipart import PartSenders

        senders = PartSenders()
        try:
            return self._one(position, path, senders)
        finally:
            senders.close()

    def _without_ending(self, file: ResultFile) -> ResultFile:
        """Return a file of another name where it is to have another ending."""
        if self._landing.extension == self._file_list.format:
            return file
        return file._replace(filename=file.filename.removesuffix(f".{self._file_list.format}"))

    def _side_by_side(self, work: Sequence[Callable[[], LandedFile]]) -> list[LandedFile]:
        if len(work) == 1 or self._landing.max_parallel_files == 1:
            return [one() for one in work]
        with ThreadPoolExecutor(self._landing.max_parallel_files, thread_name_prefix="sixtyfour-file") as threads:
            futures = [threads.submit(one) for one in work]
            try:
                for done in wait(futures, return_when=FIRST_EXCEPTION).done:
                    done.result()
                return [future.result() for future in futures]
            finally:
                self._stop.set()
                for future in futures:
                    future.cancel()

    def _one(self, position: int, path: ObjectStoragePath, senders: PartSenders) -> LandedFile:
        file = self._file_list.files[position]
        known = self._known.get(path.name) or self._known.get(self._as_it_came(path.name))
        if known and _are_same(known, file) and seem_there(self._folder, (known,), self._log):
            self._log.info("%s is there already, by the manifest.", path)
            return known
        stats = DownloadStats(self._file_list.format, file.file_size)
        progress = Progress(path.name, file.file_size, self._log.info)
        target = path.path
        with ExitStack() as ending:
            ending.callback(stats.close)
            if self._landing.output_format == PARQUET:
                from airflow_provider_sixtyfour.formats.parquet.writer import as_parquet

                converted = ending.enter_context(as_parquet(self._file_list.format, self._landing.parquet_schema))
                self._fetch_whole(position, path.name, DownloadPipeline(converted, stats, progress, self._stop), stats)
                # Only now it is known whether it becomes Parquet, and so what it is called.
                if not converted.convert(path.name, self._log.warning):
                    target = self._as_it_came(target)
                publication = ending.enter_context(publishing(path.fs, target, senders=senders, size=converted.size))
                converted.publish(publication.write)
                made: FileStats | DownloadStats = converted.stats if converted.is_parquet else stats
            else:
                publication = ending.enter_context(publishing(path.fs, target, senders=senders, size=file.file_size))
                self._fetch_whole(
                    position, path.name, DownloadPipeline(publication, stats, progress, self._stop), stats
                )
                made = stats
            name = target.rpartition("/")[2]
            self._guard.before_publishing(name)
            publication.commit()
            self._guard.published(name, publication.version)
        url = str(path) if target == path.path else self._as_it_came(str(path))
        seconds = progress.seconds()
        self._log.info(
            "Landed %s rows, %s in %.1f s (%s/s): %s",
            "an unknown number of" if made.rows is None else f"{made.rows:,}",
            size(made.bytes),
            seconds,
            size(stats.bytes / max(seconds, 1e-3)),
            url,
        )
        return LandedFile(
            url, made.rows, made.bytes, made.sha256, file.block_number, file.filename, quality=stats.quality
        )

    def _as_it_came(self, name: str) -> str:
        """Return the name or path of a file that can't become what its name says."""
        return name.removesuffix(self._landing.extension) + self._file_list.format

    def _fetch_whole(self, position: int, name: str, pipeline: DownloadPipeline, stats: DownloadStats) -> None:
        fetched = self._fetch(position, name, pipeline)
        pipeline.flush()
        stats.finish()
        check(
            name,
            self._file_list.files[position],
            stats,
            format=self._file_list.format,
            content_type=fetched.content_type if fetched else "",
            is_end_known=fetched is None or fetched.is_end_known,
            is_inline=fetched is None,
            on_mismatch=self._landing.on_mismatch,
            log=self._log,
        )

    def _fetch(self, position: int, name: str, pipeline: DownloadPipeline) -> Fetched | None:
        """Fetch a file; return what is known of it, or ``None`` for rows that came with the list of files."""
        from airflow_provider_sixtyfour.results.download import Download

        file = self._file_list.files[position]
        if file.download_url is None and file.rows is not None:
            for chunk in FORMATS[self._file_list.format].encode(file.rows):
                pipeline.write(chunk)
            return None
        download = Download(self._hook.settings, on_secret=self._mask, sleep=self._stop.wait)
        try:
            return download.fetch(name, lambda: self._file_list.link(position), pipeline, size=file.file_size)
        finally:
            download.close()

    def _mask(self, secret: str) -> None:
        from airflow.providers.common.compat.sdk import mask_secret

        with self._masking:  # Airflow's masker, and the line to the supervisor that it uses, are no thread's own
            mask_secret(secret)


def _are_same(landed: LandedFile, file: ResultFile) -> bool:
    return (landed.filename, landed.block_number) == (file.filename, file.block_number)
