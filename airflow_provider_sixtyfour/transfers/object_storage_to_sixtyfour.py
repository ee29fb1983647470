"""Uploads an input file from object storage."""

from __future__ import annotations

from collections.abc import Sequence
from os import SEEK_END
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.formats.input_formats import check_delimiter
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.inputs.file import MAX_BYTES, MAX_ROWS, InputFile, checked_size, sendable
from airflow_provider_sixtyfour.inputs.file_checks import check_size, count_rows
from airflow_provider_sixtyfour.storage.object_paths import extension, object_storage_path
from airflow_provider_sixtyfour.tasks.batch_log import count, shown
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_upload

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.tasks.lineage import Dataset


class ObjectStorageToSixtyfourOperator(BaseOperator):
    """
    Upload a file of input rows, for a workflow that begins with a ``read_csv`` block.

    The file is streamed; it is never in memory as a whole. It is read twice: to check it, then to send it.

    :param source: the file, as a URL: ``s3://conn_id@bucket/leads.csv``, ``gs://…``, ``abfs://…``, ``file:///…``.
        Its name ends in ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson``. (templated)
    :param delimiter: what separates the cells of a CSV file, if it isn't commas: one character, such as ``";"``, or
        ``"tab"``. It is sent with commas. The name may end in ``.tsv`` or ``.txt`` then, too. Without, a file that
        probably has other separators is refused; ``","`` says that it has commas all the same. (templated)
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

    template_fields: Sequence[str] = ("source", "delimiter", "sixtyfour_conn_id")
    ui_color = "#e8e4fb"
    _datasets: tuple[tuple[Dataset, ...], tuple[Dataset, ...]] = ((), ())

    def __init__(
        self,
        *,
        source: str | ObjectStoragePath,
        delimiter: str | None = None,
        max_bytes: int = MAX_BYTES,
        max_rows: int = MAX_ROWS,
        validate: bool = True,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.delimiter = delimiter
        self.max_bytes = max_bytes
        self.max_rows = max_rows
        self.validate = validate
        self.sixtyfour_conn_id = sixtyfour_conn_id
        if can_check(self, ObjectStorageToSixtyfourOperator):
            with non_retryable_errors():
                check_upload(self)

    def execute(self, context: Context) -> str:
        """Check and upload."""
        from airflow_provider_sixtyfour.results.progress import size as shown_size
        from airflow_provider_sixtyfour.tasks.file_header import header
        from airflow_provider_sixtyfour.tasks.landing_lineage import upload_uri
        from airflow_provider_sixtyfour.tasks.lineage import (
            Dataset,
            record_hook_lineage,
            set_outlet_extra,
            uri_of,
        )
        from airflow_provider_sixtyfour.tasks.summary import since_start

        with non_retryable_errors(self.log):
            path = object_storage_path(self.source, "source")
            delimiter = check_delimiter(self.delimiter)
            size = checked_size(path, self.max_bytes, delimiter)
            with sendable(path, delimiter) as stream:
                if delimiter is not None:
                    size = stream.seek(0, SEEK_END)
                    check_size(str(path), size, self.max_bytes)
                    stream.seek(0)
                rows = None
                if self.validate:
                    rows = count_rows(stream, path.name, extension(path), self.max_rows, delimiter)
                hook = SixtyfourHook(self.sixtyfour_conn_id)
                name = InputFile(path, rows, size, "", delimiter).name
                handle = hook.client.send(calls.upload_file(stream, name))
            counted = "" if rows is None else f"{count(rows, 'row')}, "
            self.log.info(
                "Uploaded %s%s%s: %s. Handle %s.",
                counted,
                shown_size(size),
                since_start(context),
                shown(path),
                handle,
            )
        columns = header(path, delimiter)
        uploaded = Dataset(upload_uri(hook.settings.base_url, handle), rows, size, columns)
        self._datasets = ((Dataset(uri_of(path), columns=columns),), (uploaded,))
        extra = {"uri": uploaded.uri, "handle_id": handle, "source": str(path), "rows": rows, "bytes": size}
        set_outlet_extra(self.outlets or (), context, extra)
        record_hook_lineage(hook, *self._datasets)
        return handle

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the OpenLineage facets of the file and the upload."""
        from airflow_provider_sixtyfour.tasks.openlineage import operator_lineage

        return operator_lineage(*self._datasets)
