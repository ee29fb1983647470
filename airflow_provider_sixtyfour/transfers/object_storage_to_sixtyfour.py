"""Uploads an input file from object storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.errors import SixtyfourInputError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.operators.failing import failing_for_good
from airflow_provider_sixtyfour.transfers.destination import extension, object_storage_path

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

EXTENSIONS = ("csv", "json", "jsonl", "ndjson")


class ObjectStorageToSixtyfourOperator(BaseOperator):
    """
    Upload a file of input rows, for a workflow that begins with a ``read_csv`` block.

    The file is streamed; it is never in memory as a whole.

    :param source: the file, as a URL: ``s3://conn_id@bucket/leads.csv``, ``gs://…``, ``abfs://…``, ``file:///…``.
        Its name ends in ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson``. (templated)
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: the handle id, for ``SixtyfourRunWorkflowOperator(resource_handle_id=…)``.
    :raises AirflowFailException: if there is no such file, it is empty, its name has another ending, or the API
        refuses it.
    """

    template_fields: Sequence[str] = ("source", "sixtyfour_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self, *, source: str | ObjectStoragePath, sixtyfour_conn_id: str = DEFAULT_CONNECTION, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.sixtyfour_conn_id = sixtyfour_conn_id

    def execute(self, context: Context) -> str:
        """Check and upload."""
        with failing_for_good():
            path = object_storage_path(self.source, "source")
            if extension(path) not in EXTENSIONS:
                raise SixtyfourInputError(
                    f"The API takes files that end in {', '.join(f'.{name}' for name in EXTENSIONS)}, "
                    f"not {path.name[:120]!r}."
                )
            try:
                size = path.stat().st_size
                if path.is_dir():
                    raise IsADirectoryError
            except FileNotFoundError:
                raise SixtyfourInputError(f"There is no file {path}.") from None
            except IsADirectoryError:
                raise SixtyfourInputError(f"{path} is a folder, not a file.") from None
            if size == 0:
                raise SixtyfourInputError(f"The file {path} is empty.")
            with path.open("rb") as stream:
                client = SixtyfourHook(self.sixtyfour_conn_id).client
                handle = client.send(calls.upload_file(cast("BinaryIO", stream), path.name))
            self.log.info("Uploaded %s (%d bytes) as %s.", path, size, handle)
            return handle
