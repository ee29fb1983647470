"""Result files as Parquet. Imports pyarrow, apart from `schema` and `types`."""
