"""
What can be wrong with the parameters of tasks that have a run or a workflow when the Dag file is read.

Each check is called at the end of a constructor, and looks only at what no template and no other task can change; what
it finds is found when the task runs, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.calls import RESULT_FORMATS, identifier
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.input_formats import check_delimiter
from airflow_provider_sixtyfour.inputs import payload
from airflow_provider_sixtyfour.inputs.file_checks import check_name
from airflow_provider_sixtyfour.inputs.limits import read_limit, read_shares
from airflow_provider_sixtyfour.runs.deadline import check_poll_interval, seconds
from airflow_provider_sixtyfour.storage.object_paths import check_scheme
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.json_params import json_file_parameters, parsed
from airflow_provider_sixtyfour.tasks.literals import can_check, is_settled

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

UNKNOWN = object()  # what a parameter is that only the task will know
Check = Callable[[Any], None]


def _when_final(check: Check) -> Callable[[BaseOperator, type[BaseOperator]], None]:
    @wraps(check)
    def checked(operator: BaseOperator, kind: type[BaseOperator]) -> None:
        if can_check(operator, kind):
            with non_retryable_errors():
                check(operator)

    return checked


@_when_final
def check_run(given: Any) -> None:
    """
    Check what is literal of the parameters of a task that runs a workflow.

    :raises AirflowFailException: if it can't be right.
    """
    _check_id(given, "workflow_id")
    body = [_json(given, "webhook_payload"), _literal(given, "resource_handle_id"), _json(given, "specs_override")]
    payload.run_body(*(value if _is_given(value) else None for value in body))
    if (formats := _literal(given, "result_formats")) is not UNKNOWN:
        payload.check_formats(formats)
    _check_times(given)


@_when_final
def check_enrich(given: Any) -> None:
    """
    Check what is literal of the parameters of a task that enriches one batch.

    :raises AirflowFailException: if it can't be right.
    """
    _check_enrich(given)


@_when_final
def check_pilot(given: Any) -> None:
    """
    Check what is literal of the parameters of a task that enriches the first batch.

    :raises AirflowFailException: if it can't be right.
    """
    if (rates := _literal(given, "min_fill_rate")) is not UNKNOWN:
        read_shares(rates, "min_fill_rate")
    _check_enrich(given)


def _check_enrich(given: Any) -> None:
    _check_id(given, "workflow_id")
    source, rows = (_literal(given, name) for name in ("source", "rows"))
    if (source is None and rows is None) or (_is_given(source) and _is_given(rows)):
        raise SixtyfourInputError("Give source or rows, and not both: a run has one input.")
    _check_source(given, source)
    if _is_given(value := _json(given, "rows")):
        payload.check_rows(value, "rows")
    if _is_given(override := _json(given, "specs_override")):
        body = payload.run_body(None, None, override)
        if "resource_handle_id" in body.get("specs_override", {}):
            raise SixtyfourInputError(
                "specs_override names a resource_handle_id; give source or rows alone: a run has one input."
            )
    if (limit := _literal(given, "max_credits")) is not UNKNOWN:
        read_limit(limit, "max_credits", "credits")
    value = _literal(given, "max_rows")
    if value is not UNKNOWN and (not isinstance(value, int | float) or value < 1):
        raise SixtyfourInputError(f"max_rows should be a number of rows, 1 at least, not {value!r:.60}.")
    _check_landing(given)
    _check_times(given)


@_when_final
def check_transfer(given: Any) -> None:
    """
    Check what is literal of the parameters of a task that lands the files of a run.

    :raises AirflowFailException: if it can't be right.
    """
    _check_id(given, "job_id")
    _check_landing(given)


@_when_final
def check_sensor(given: Any) -> None:
    """
    Check what is literal of the parameters of a task that waits for a run.

    :raises AirflowFailException: if it can't be right.
    """
    _check_id(given, "job_id")
    _check_poll_interval(given)


@_when_final
def check_job(given: Any) -> None:
    """
    Check the run that a task names.

    :raises AirflowFailException: if it can't be one.
    """
    _check_id(given, "job_id")


@_when_final
def check_workflow(given: Any) -> None:
    """
    Check the workflow that a task names, and the graph that one deploys.

    :raises AirflowFailException: if it can't be right.
    """
    _check_id(given, "workflow_id")
    workflow_id, workflow = _literal(given, "workflow_id"), _literal(given, "workflow")
    is_path = "workflow" in json_file_parameters(given, workflow=workflow)
    if workflow_id is not UNKNOWN and workflow is not UNKNOWN and not is_path:
        from airflow_provider_sixtyfour.workflows import definition

        definition.check(definition.parse(workflow, workflow_id), ())


def _literal(given: Any, name: str) -> Any:
    """Return a parameter as the task will have it; ``UNKNOWN`` if that isn't known yet."""
    value = getattr(given, name, UNKNOWN)
    return value if is_settled(given, value) else UNKNOWN


def _json(given: Any, name: str) -> Any:
    """Return a parameter that may be JSON text; ``UNKNOWN`` also if it is a file's path, or may be read only once."""
    value = _literal(given, name)
    if not isinstance(value, str):
        is_plain = isinstance(value, Mapping | list | tuple | bytes) or not hasattr(type(value), "__iter__")
        return value if is_plain else UNKNOWN
    if json_file_parameters(given, **{name: value}):
        return UNKNOWN
    return parsed(value, name)


def _is_given(value: Any) -> bool:
    return value is not None and value is not UNKNOWN


def _check_url(value: Any, name: str) -> None:
    # A path of Airflow's has a store already; and it need be loaded only by who uses one.
    if not hasattr(value, "protocol"):
        check_scheme(value, name)


def _check_id(given: Any, name: str) -> None:
    if (value := _literal(given, name)) is not UNKNOWN:
        identifier(value, name)


def _check_source(given: Any, source: Any) -> None:
    delimiter = _literal(given, "delimiter")
    if delimiter is not UNKNOWN:
        delimiter = check_delimiter(delimiter)
    if source is None and _is_given(delimiter):
        raise SixtyfourInputError("delimiter is for a file of CSV: rows have names of their own.")
    if not _is_given(source) or isinstance(source, Mapping):
        return
    _check_url(source, "source")
    if delimiter is not UNKNOWN:
        check_name(str(source).rpartition("/")[2], delimiter)


def _check_landing(given: Any) -> None:
    """Check where results go and in which form; what Parquet needs is only where the task runs."""
    from airflow_provider_sixtyfour.results.options import PARQUET, LandingOptions

    if (destination := _literal(given, "destination")) is not UNKNOWN:
        _check_url(destination, "destination")
    names = ("format", "files", "on_mismatch", "max_parallel_files", "manifest", "output_format")
    known = {name: value for name in names if (value := _literal(given, name)) is not UNKNOWN}
    output = known.pop("output_format", None)
    if "format" not in known and output in RESULT_FORMATS:
        known["format"] = output  # which it is, or the task fails
    if output == PARQUET and known.get("format") != "json":
        output = None
    LandingOptions(**known, output_format=output)


def _check_times(given: Any) -> None:
    _check_poll_interval(given)
    for name in ("timeout", "execution_timeout"):
        if (value := _literal(given, name)) is not UNKNOWN:
            seconds(value, name)


def _check_poll_interval(given: Any) -> None:
    if (value := _literal(given, "poll_interval")) is not UNKNOWN:
        check_poll_interval(value)
