"""What can be wrong with the parameters of split, repair, collect and upload when the Dag file is read."""

from __future__ import annotations

from typing import Any

from airflow_provider_sixtyfour.batches.limits import limits, most
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.columns import check_names, check_renamed
from airflow_provider_sixtyfour.formats.input_formats import EXTENSIONS, check_delimiter, check_readable
from airflow_provider_sixtyfour.inputs.file_checks import check_name
from airflow_provider_sixtyfour.inputs.limits import read_limit, read_shares
from airflow_provider_sixtyfour.runs.approval import Limits
from airflow_provider_sixtyfour.storage.object_paths import check_scheme
from airflow_provider_sixtyfour.tasks.literals import is_literal


def check_split(given: Any) -> None:
    """
    Check what is literal of a split's parameters.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    has_one = given.source is not None or given.rows is not None
    has_both = given.source is not None and given.rows is not None
    if not has_one or (has_both and is_literal(given.source) and is_literal(given.rows)):
        raise SixtyfourInputError("Give source or rows, and not both: a split has one input.")
    _check_url(given.destination, "destination")
    _check_url(given.rejects, "rejects")
    for names, parameter in ((given.unique_by, "unique_by"), (given.required, "required")):
        if is_literal(names):
            check_names(names, parameter)
    if given.row_check is not None and not callable(given.row_check):
        raise SixtyfourInputError(f"row_check should be a function of a row, not {type(given.row_check).__name__}.")
    _check_what_both_have(given)
    _check_url(given.source, "source")
    if given.source is not None and is_literal(given.source) and is_literal(given.delimiter):
        check_readable(str(given.source), check_delimiter(given.delimiter))


def check_repair(given: Any) -> None:
    """
    Check what is literal of a repair's parameters.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    _check_url(given.destination, "destination")
    if is_literal(given.key) and not check_names(given.key, "key"):
        raise SixtyfourInputError("key should name the columns that identify a row.")
    if is_literal(given.result_columns):
        check_names(given.result_columns, "result_columns")
    if is_literal(given.min_quality):
        read_shares(given.min_quality, "min_quality")
    _check_what_both_have(given)


def check_collect(given: Any) -> None:
    """
    Check what is literal of a collection's parameters.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    _check_url(given.destination, "destination")
    _check_url(given.merge_into, "merge_into")
    if given.merge_into is not None and is_literal(given.merge_into):
        endings = tuple(f".{one}" for one in EXTENSIONS)
        if not str(given.merge_into).lower().endswith(endings):
            raise SixtyfourInputError(
                f"merge_into should end as the files of the batches do, in {' or '.join(endings)}, not "
                f"{str(given.merge_into)[-120:]!r}. Other formats can't be appended to one another."
            )


def check_estimate(given: Any) -> None:
    """
    Check what is literal of an estimate's parameters.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    if given.rows is None and given.batches is None:
        raise SixtyfourInputError("Give rows, a number, or batches, and not both.")
    if given.batches is not None and given.destination is None:
        raise SixtyfourInputError("Give destination with batches: what has landed there is not paid for again.")
    _check_url(given.destination, "destination")


def check_approval(given: Any) -> None:
    """
    Check what is literal of an approval's parameters.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    limits = (given.approve_above_rows, given.approve_above_credits)
    if all(map(is_literal, limits)):
        Limits.read(*limits)


def check_budget_limits(given: Any) -> None:
    """
    Check what is literal of the limits of a budget.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    for name in ("max_credits", "max_credits_per_day"):
        if is_literal(value := getattr(given, name)):
            read_limit(value, name, "credits")


def check_upload(given: Any) -> None:
    """
    Check what is literal of an upload's parameters.

    :param given: the operator.
    :raises SixtyfourInputError: if it can't be right.
    """
    _check_url(given.source, "source")
    if is_literal(given.delimiter):
        delimiter = check_delimiter(given.delimiter)
        if is_literal(given.source):
            check_name(str(given.source).rpartition("/")[2], delimiter)
    for value, name in ((given.max_bytes, "max_bytes"), (given.max_rows, "max_rows")):
        if not isinstance(value, int | float) or value < 1:
            raise SixtyfourInputError(f"{name} should be a number of {name[4:]}, 1 at least, not {value!r:.60}.")


def _check_what_both_have(given: Any) -> None:
    """Check what split and repair have in common."""
    if is_literal(given.rename_columns):
        check_renamed(given.rename_columns)
    if is_literal(given.delimiter):
        check_delimiter(given.delimiter)
    sizes = (given.batch_rows, given.batch_bytes, getattr(given, "pilot_rows", None))  # of a split alone
    limits(*(value if is_literal(value) else 1 for value in sizes))
    for value, name in ((given.max_rows, "max_rows"), (given.max_runs, "max_runs")):
        if is_literal(value):
            most(value, name)


def _check_url(value: Any, name: str) -> None:
    # A path of Airflow's has a store already; and it need be loaded only by who uses one.
    if value is not None and is_literal(value) and not hasattr(value, "protocol"):
        check_scheme(value, name)
