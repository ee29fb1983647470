"""How to land a run's files: checked before anything is asked of anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.parquet.schema import check_schema
from airflow_provider_sixtyfour.formats.table import ALWAYS_MADE, FORMATS, TYPED
from airflow_provider_sixtyfour.results.selection import wanted_blocks
from airflow_provider_sixtyfour.results.verification import ON_MISMATCH
from airflow_provider_sixtyfour.storage.object_paths import MANIFEST, check_file_name

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.results.manifest import Manifest

PARQUET = "parquet"


@dataclass(frozen=True, kw_only=True)
class LandingOptions:
    """
    How to land a run's files; the parameters are those of `SixtyfourToObjectStorageOperator`.

    :param input: for the manifest, see there; a manifest of another input counts for none.
    :raises SixtyfourInputError: naming the parameter that can't be right.
    """

    format: str = ALWAYS_MADE
    files: Any = "final"
    overwrite: bool = True
    on_mismatch: str = "warn"
    max_parallel_files: int = 4
    manifest: str | None = MANIFEST
    output_format: str | None = None
    parquet_schema: Any = None
    input: str | None = None

    def __post_init__(self) -> None:
        if self.format not in calls.RESULT_FORMATS:
            raise SixtyfourInputError(
                f"format should be one of {', '.join(calls.RESULT_FORMATS)}, not {self.format!r:.60}."
            )
        if self.on_mismatch not in ON_MISMATCH:
            raise SixtyfourInputError(
                f"on_mismatch should be one of {', '.join(ON_MISMATCH)}, not {self.on_mismatch!r:.60}."
            )
        if not isinstance(self.max_parallel_files, int) or self.max_parallel_files < 1:
            raise SixtyfourInputError(f"max_parallel_files should be 1 or more, not {self.max_parallel_files!r:.60}.")
        if self.manifest is not None:
            check_file_name(self.manifest, "manifest")
        wanted_blocks(self.files)
        self._check_output()

    def _check_output(self) -> None:
        if self.output_format == PARQUET:
            if FORMATS[self.format].to_parquet is None:
                sources = " or ".join(name for name, each in FORMATS.items() if each.to_parquet)
                raise SixtyfourInputError(
                    f"Parquet is made of {sources}, not of {self.format}: set format to one of these."
                )
            check_schema(self.parquet_schema)
        elif self.output_format not in (None, self.format):
            raise SixtyfourInputError(
                f"output_format should be None, {self.format} or {PARQUET}, not {self.output_format!r:.60}."
            )

    @property
    def extension(self) -> str:
        """The format of what is written, and the ending of its name."""
        return self.output_format or self.format

    @property
    def selection(self) -> str | tuple[int, ...]:
        """What is landed, in the one form that a manifest has it in."""
        wanted = wanted_blocks(self.files)
        return wanted if isinstance(wanted, str) else tuple(sorted(wanted))

    @property
    def run_formats(self) -> tuple[str, ...]:
        """The result files that a run is to make for this: for Parquet also those that have types."""
        typed = (TYPED,) if self.output_format == PARQUET else ()
        return tuple(dict.fromkeys((ALWAYS_MADE, self.format, *typed)))

    def is_of(self, manifest: Manifest) -> bool:
        """Return whether a manifest lists the same files in the same form."""
        return (manifest.format, manifest.selection) == (self.extension, self.selection)
