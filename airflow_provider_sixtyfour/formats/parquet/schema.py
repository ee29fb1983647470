"""What is known of Parquet before anything is sent; pyarrow is imported only where a schema is given."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


def check_schema(schema: object) -> None:
    """
    Check that Parquet can be written, and a schema that is given for it.

    :param schema: types of columns by their names, as Arrow calls them: ``{"employees": "int64"}``.
    :raises SixtyfourInputError: if pyarrow is missing, or there is no such type.
    """
    if find_spec("pyarrow") is None:
        raise SixtyfourInputError(
            "output_format='parquet' needs pyarrow: pip install 'airflow-provider-sixtyfour[parquet]'."
        )
    if schema is None:
        return
    if not isinstance(schema, Mapping):
        raise SixtyfourInputError(f"parquet_schema should be a dict of types by columns, not {type(schema).__name__}.")
    from airflow_provider_sixtyfour.formats.parquet.types import arrow_type

    for column, name in schema.items():
        if not isinstance(column, str):
            raise SixtyfourInputError(f"parquet_schema should have names of columns as keys, not {column!r:.60}.")
        arrow_type(column, name)
