"""
One landing at a time in a folder, without a lock: what was published is compared with what is there.

Stores have no lock in common, and one that a killed task left would keep its retry out. Instead each landing knows the
version (ETag, inode …) of every file that it published. It looks whether they are still there before it writes its
manifest, and once more after that; and whether another landing has finished before it replaces anything. So a manifest
that stays never names the file of another landing. Of two that run at the same time, at least one fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.results.manifest import LandedFile, Manifest, read_bytes
from airflow_provider_sixtyfour.storage.atomic import current_version
from airflow_provider_sixtyfour.storage.errors import publish, store_errors
from airflow_provider_sixtyfour.storage.file_stats import FileStats

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class LandingGuard:
    """
    A landing's hold on its folder. Its methods may be called from several threads.

    :param manifest: the name of the manifest; ``None`` for none.
    :param there: the manifest's content when the landing began; ``None`` for none, or where it can't be read.
    """

    def __init__(
        self, folder: ObjectStoragePath, manifest: str | None, there: bytes | None, job_id: str, log: Any
    ) -> None:
        self._folder = folder
        self._manifest = None if manifest is None else folder / manifest
        self._there = there
        self._job_id = job_id
        self._log = log
        self._versions: dict[str, object] = {}
        self._can_read = True
        if self._manifest is not None:
            _ = self._manifest.fs  # before there are threads: finding a store's client asks Airflow for its connection

    def before_publishing(self, name: str) -> None:
        """
        Check that nobody else has finished a landing here since this one began.

        :raises SixtyfourTransferError: if somebody has.
        """
        if self._others() is not None:
            self.abandon()
            raise self._disturbed(f"it finished before {name} was written")

    def published(self, name: str, version: object) -> None:
        """Take in what a file was when it was published."""
        self._versions[name] = version

    def abandon(self) -> None:
        """Remove the manifest of another landing if it names a file that this one has replaced: call it on failure."""
        others = self._others()
        if others is None or self._manifest is None:
            return
        try:
            names = {file.name for file in Manifest.read(others).files}
        except ValueError:
            return
        if any(self._is_still(self._folder / name, self._versions[name]) for name in names & self._versions.keys()):
            remove(self._manifest)

    def finish(self, manifest: Manifest) -> None:
        """
        Write the manifest, if all that it names is what this landing left there.

        :raises SixtyfourTransferError: if another landing has replaced something. No manifest of this one stays then.
        """
        self._check(manifest)
        if self._manifest is None:
            return
        self.before_publishing(self._manifest.name)
        version = publish(self._manifest.fs, self._manifest.path, manifest.text().encode())
        try:
            self._check(manifest)
        except SixtyfourTransferError:
            # If by now it is the other's, it stays: that one has looked after its files as this one has.
            if self._is_still(self._manifest, version):
                remove(self._manifest)
            raise
        if not self._is_still(self._manifest, version):
            raise self._disturbed("the manifest was replaced")

    def _others(self) -> bytes | None:
        """Return the manifest of another landing that has appeared since this one began."""
        if self._manifest is None or not self._can_read:
            return None
        try:
            found = read_bytes(self._manifest)
        except SixtyfourTransferError as error:
            self._give_up_reading(error)
            return None
        return None if found is None or found == self._there or self._is_ours(found) else found

    def _check(self, manifest: Manifest) -> None:
        for file in manifest.files:
            if file.name in self._versions and not self._is_what_landed(file):
                raise self._disturbed(f"{file.name} was replaced")

    def _is_what_landed(self, file: LandedFile) -> bool:
        path = self._folder / file.name
        return self._is_still(path, self._versions[file.name]) or self._has_content(path, file)

    def _is_still(self, path: ObjectStoragePath, version: object) -> bool:
        if version is None or not self._can_read:
            return True
        try:
            with store_errors("read", path.fs, path.path):
                try:
                    return current_version(path.fs, path.path) in (version, None)
                except FileNotFoundError:
                    return False
        except SixtyfourTransferError as error:
            self._give_up_reading(error)
            return True

    def _has_content(self, path: ObjectStoragePath, file: LandedFile) -> bool:
        """Return whether what is there is the same all the same: another try of this task may have written it."""
        stats = FileStats()
        with store_errors("read", path.fs, path.path):
            try:
                with path.fs.open(path.path, "rb") as stream:
                    stats.add_rest(stream)
            except FileNotFoundError:
                return False
        return stats.sha256 == file.sha256

    def _is_ours(self, content: bytes) -> bool:
        """Return whether a manifest is of the same run: another try of this task may have written it."""
        try:
            return Manifest.read(content).job_id == self._job_id
        except ValueError:
            return False

    def _give_up_reading(self, error: SixtyfourTransferError) -> None:
        if self._can_read:
            self._log.warning("Another landing into the same folder would not be noticed. %s", error)
        self._can_read = False

    def _disturbed(self, what: str) -> SixtyfourTransferError:
        return SixtyfourTransferError(
            f"Another landing writes into the same folder: {what}. Give each run a folder of its own, such as one with "
            f"run_id in its name. A retry lands the same run and pays for nothing. Folder {self._folder}, run "
            f"{self._job_id}."
        )


def remove(path: ObjectStoragePath) -> None:
    """
    Remove a manifest, if there is one.

    Where objects can be written and not removed, a text that is no manifest replaces it.

    :raises SixtyfourTransferError: if neither can be done.
    """
    try:
        with store_errors("remove", path.fs, path.path):
            try:
                path.fs.rm_file(path.path)
            except FileNotFoundError:
                return
    except SixtyfourTransferError:
        publish(path.fs, path.path, b'{"version": null, "state": "a landing is in progress, or failed"}')
