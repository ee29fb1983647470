"""Uploads an input file from object storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.errors import SixtyfourInputError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.operators.failing import failing_for_good
from airflow_provider_sixtyfour.transfers.destination import extension, object_storage_path
from airflow_provider_sixtyfour.transfers.input_checks import EXTENSIONS, check_size, count_rows

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.transfers.lineage import Data

# What the vendor documents for the sister endpoint.
MAX_BYTES = 100_000_000
MAX_ROWS = 100_000
READ_AHEAD = 4 * 1024 * 1024  # bytes that are asked of a store at a time; its own default may be 50 MiB


class ObjectStorageToSixtyfourOperator(BaseOperator):
    """
    Upload a file of input rows, for a workflow that begins with a ``read_csv`` block.

    The file is streamed; it is never in memory as a whole. It is read twice: to check it, then to send it.

    :param source: the file, as a URL: ``s3://conn_id@bucket/leads.csv``, ``gs://…``, ``abfs://…``, ``file:///…``.
        Its name ends in ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson``. (templated)
    :param max_bytes: how large it may be.
    :param max_rows: how many rows it may have.
    :param validate: whether to read the file through before it is sent, to count its rows and to find the line where
        it isn't what its name says.
    :param sixtyfour_conn_id: the connection. (templated)

    The events of its ``outlets`` get ``uri``, ``handle_id``, ``source``, ``rows`` and ``bytes`` as ``extra``.

    :returns: the handle id, for ``SixtyfourRunWorkflowOperator(resource_handle_id=…)``.
    :raises AirflowFailException: if there is no such file, it is empty or too large, its name has another ending, a
        line of it is broken, or the API refuses it.
    """

    template_fields: Sequence[str] = ("source", "sixtyfour_conn_id")
    ui_color = "#e8e4fb"
    _moved: tuple[tuple[Data, ...], tuple[Data, ...]] = ((), ())

    def __init__(
        self,
        *,
        source: str | ObjectStoragePath,
        max_bytes: int = MAX_BYTES,
        max_rows: int = MAX_ROWS,
        validate: bool = True,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.max_bytes = max_bytes
        self.max_rows = max_rows
        self.validate = validate
        self.sixtyfour_conn_id = sixtyfour_conn_id

    def execute(self, context: Context) -> str:
        """Check and upload."""
        from airflow_provider_sixtyfour.transfers.lineage import Data, tell_hook_lineage, tell_outlets, uri_of

        with failing_for_good():
            path = object_storage_path(self.source, "source")
            size = self._checked_size(path)
            with path.open("rb", block_size=READ_AHEAD) as file:
                stream = cast("BinaryIO", file)
                rows = self._rows(stream, path)
                hook = SixtyfourHook(self.sixtyfour_conn_id)
                handle = hook.client.send(calls.upload_file(stream, path.name))
            counted = "" if rows is None else f"{rows} rows, "
            self.log.info("Uploaded %s (%s%d bytes) as %s.", path, counted, size, handle)
        uploaded = Data(f"{hook.settings.base_url}/storage/csv/{quote(handle)}", rows, size)
        self._moved = ((Data(uri_of(path)),), (uploaded,))
        extra = {"uri": uploaded.uri, "handle_id": handle, "source": str(path), "rows": rows, "bytes": size}
        tell_outlets(self.outlets or (), context, extra)
        tell_hook_lineage(hook, *self._moved)
        return handle

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage of the file and of the upload."""
        from airflow_provider_sixtyfour.transfers.lineage import openlineage

        return openlineage(*self._moved)

    def _checked_size(self, path: ObjectStoragePath) -> int:
        if extension(path) not in EXTENSIONS:
            raise SixtyfourInputError(
                f"The API takes files that end in {', '.join(f'.{name}' for name in EXTENSIONS)}, "
                f"not {path.name[:120]!r}."
            )
        try:
            size: int = path.stat().st_size
            if path.is_dir():
                raise IsADirectoryError
        except FileNotFoundError:
            raise SixtyfourInputError(f"There is no file {path}.") from None
        except IsADirectoryError:
            raise SixtyfourInputError(f"{path} is a folder, not a file.") from None
        check_size(str(path), size, self.max_bytes)
        return size

    def _rows(self, stream: BinaryIO, path: ObjectStoragePath) -> int | None:
        if not self.validate:
            return None
        rows = count_rows(stream, path.name, extension(path), self.max_rows)
        stream.seek(0)
        return rows
