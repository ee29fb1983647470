"""What an earlier landing has left in a folder, as far as it can be seen: to land needs no permission to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.results.manifest import LandedFile, Manifest, are_there, read_bytes, read_manifest

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.options import LandingOptions


class EarlierLanding(NamedTuple):
    """
    The manifest of a folder.

    :param may_be_there: whether there may be one: there is, or it can't be seen.
    :param content: of the manifest; ``None`` if there is none, or it can't be read.
    :param same: the manifest, if it is of the very landing that is about to begin.
    """

    may_be_there: bool
    content: bytes | None
    same: Manifest | None


def earlier_landing(folder: ObjectStoragePath, landing: LandingOptions, job_id: str, log: Any) -> EarlierLanding:
    """Look for the manifest of a folder."""
    if landing.manifest is None:
        return EarlierLanding(False, None, None)
    try:
        content = read_bytes(folder / landing.manifest)
    except SixtyfourTransferError as error:
        log.warning("An earlier landing can't be looked for: landing all files. %s", error)
        return EarlierLanding(True, None, None)
    if content is None:
        return EarlierLanding(False, None, None)
    try:
        there = Manifest.read(content)
    except ValueError:
        return EarlierLanding(True, content, None)
    is_same = (there.job_id, there.format) == (job_id, landing.extension) and landing.input in (None, there.input)
    return EarlierLanding(True, content, there if is_same else None)


def seem_there(folder: ObjectStoragePath, files: tuple[LandedFile, ...], log: Any) -> bool:
    """Return whether files are at a destination with their sizes; if that can't be seen, they are not."""
    try:
        return are_there(folder, files)
    except SixtyfourTransferError as error:
        log.warning("Files that may be there can't be looked at: landing them again. %s", error)
        return False


def landed_work(folder: ObjectStoragePath, landing: LandingOptions) -> Manifest | None:
    """
    Return the manifest of the very work of some options, whose ``input`` is its digest, if all that it names is there.

    What has such a manifest is not paid for again. ``None`` also if it is to be overwritten.

    :raises SixtyfourTransferError: if the store can't be read.
    """
    there = None if landing.overwrite else read_manifest(folder)
    if there is None or there.input != landing.input or not landing.is_of(there):
        return None
    return there if are_there(folder, there.files) else None
