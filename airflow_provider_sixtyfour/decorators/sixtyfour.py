"""The decorator ``@task.sixtyfour``: a function makes the rows, and the task is the run of a workflow over them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    conf,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION
from airflow_provider_sixtyfour.inputs.file import MAX_ROWS
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.tasks.run_checks import check_enrich, check_run

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath, TaskDecorator


_INPUTS = {"source", "rows", "delimiter", "webhook_payload", "resource_handle_id"}


class _ToBeMade:
    """Rows that the function has not made yet: no literal that could be checked when the Dag file is read."""

    template_fields: tuple[str, ...] = ()


class _RowsOfFunction(DecoratedOperator):
    """Calls the function, then runs the other base class, which is an operator, with the rows."""

    custom_operator_name = "@task.sixtyfour"
    shallow_copy_attrs: Sequence[str] = ("python_callable",)
    rows_parameter: ClassVar[str]

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if given := _INPUTS & set(kwargs):
            names = ", ".join(sorted(given))
            raise TypeError(f"@task.sixtyfour takes no {names}: what its function returns is the input.")
        kwargs[self.rows_parameter] = _ToBeMade()
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def execute(self, context: Context) -> Any:
        """Call the function, start the run, and wait here or in the triggerer."""
        from airflow_provider_sixtyfour.inputs.payload import check_rows
        from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors

        context_merge(context, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, context)
        rows = _finished(self.python_callable(*self.op_args, **arguments))
        with non_retryable_errors(self.log):
            name = f"the return value of {getattr(self.python_callable, '__name__', 'the function')}()"
            setattr(self, self.rows_parameter, check_rows(rows, name))
        # Past `DecoratedOperator.execute`, which on Airflow 3.0 asks the operator for a method that it doesn't have.
        return super(DecoratedOperator, self).execute(context)


class SixtyfourDecoratedEnrichOperator(_RowsOfFunction, SixtyfourEnrichOperator):
    """A function whose rows are enriched, and land at a destination; made by `sixtyfour_task`."""

    rows_parameter = "rows"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in SixtyfourEnrichOperator.template_fields if name not in _INPUTS),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        "specs_override": "json",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_enrich(self, SixtyfourDecoratedEnrichOperator)


class SixtyfourDecoratedRunOperator(_RowsOfFunction, SixtyfourRunWorkflowOperator):
    """A function over whose rows a workflow runs; made by `sixtyfour_task`."""

    rows_parameter = "webhook_payload"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in SixtyfourRunWorkflowOperator.template_fields if name not in _INPUTS),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        "specs_override": "json",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_run(self, SixtyfourDecoratedRunOperator)


def sixtyfour_task(
    python_callable: Callable[..., Any] | None = None,
    *,
    workflow_id: str,
    destination: str | ObjectStoragePath | None = None,
    specs_override: dict[str, Any] | str | None = None,
    poll_interval: float = 10.0,
    timeout: float | timedelta | str | None = None,
    deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
    cancel_on_kill: bool = True,
    retry_failed_runs: bool = True,
    sixtyfour_conn_id: str = DEFAULT_CONNECTION,
    format: str = "csv",
    files: str | int | Sequence[int] = "final",
    on_mismatch: str = "warn",
    output_format: str | None = None,
    parquet_schema: Mapping[str, str] | None = None,
    overwrite: bool = False,
    max_rows: int = MAX_ROWS,
    check_destination: bool = True,
    validate_only: bool = False,
    max_credits: float | str | None = None,
    budget: Any = None,
    result_formats: Sequence[str] = ("csv",),
    wait_for_completion: bool = True,
    durable: bool = True,
    **kwargs: Any,
) -> TaskDecorator:
    """
    Make a task of a function that returns rows: a workflow runs over them.

    Also at hand as ``@task.sixtyfour``. The function returns a list of objects, or one, for a workflow that begins with
    a ``webhook`` block; it may be a generator, or a coroutine function. It takes arguments and Airflow's context as any
    function of ``@task`` does, and the task can be mapped and overridden like any other.

    **The function runs again at each try**, also where the task only reattaches to its run. Rows that differ between
    tries (the time of day, a random order, a query whose answer has changed) are other work, which is paid for again:
    where rows change, make them in a task of their own and take them as an argument.

    :param python_callable: the function.
    :param workflow_id: the stored workflow. (templated)
    :param destination: the folder to land the results in; the task is then a ``SixtyfourEnrichOperator`` and returns
        what that returns. Without, it is a ``SixtyfourRunWorkflowOperator`` and returns the ``job_id``. Rows aren't
        returned: an XCom is no place for them. A mapped task writes to the folder of its number there. (templated)
    :param format: with ``destination``, as the further parameters up to ``budget``: see ``SixtyfourEnrichOperator``.
    :param result_formats: without ``destination``, as ``wait_for_completion`` and ``durable``: see
        ``SixtyfourRunWorkflowOperator``.
    :param kwargs: what every task takes, such as ``retries``.
    :raises TypeError: if a parameter is given that is for the other of the two operators.
    """
    mine: type[_RowsOfFunction] = SixtyfourDecoratedEnrichOperator
    only_run = {"result_formats": result_formats, "wait_for_completion": wait_for_completion, "durable": durable}
    only_enrich = {
        "destination": destination,
        "format": format,
        "files": files,
        "on_mismatch": on_mismatch,
        "output_format": output_format,
        "parquet_schema": parquet_schema,
        "overwrite": overwrite,
        "max_rows": max_rows,
        "check_destination": check_destination,
        "validate_only": validate_only,
        "max_credits": max_credits,
        "budget": budget,
    }
    own, other = only_enrich, only_run
    if destination is None:
        mine, own, other = SixtyfourDecoratedRunOperator, only_run, only_enrich
    defaults = sixtyfour_task.__kwdefaults__ or {}
    if wrong := [name for name, value in other.items() if value != defaults[name]]:
        when = "with" if destination is None else "without"
        raise TypeError(f"sixtyfour_task takes {', '.join(wrong)} only {when} a destination.")
    return task_decorator_factory(
        python_callable=python_callable,
        # Else a function that is annotated to return a dict would have what the task returns taken apart.
        multiple_outputs=False,
        decorated_operator_class=mine,
        workflow_id=workflow_id,
        specs_override=specs_override,
        poll_interval=poll_interval,
        timeout=timeout,
        deferrable=deferrable,
        cancel_on_kill=cancel_on_kill,
        retry_failed_runs=retry_failed_runs,
        sixtyfour_conn_id=sixtyfour_conn_id,
        **own,
        **kwargs,
    )


def _finished(rows: Any) -> Any:
    """Return what a function has returned; of a coroutine function, once it has."""
    import asyncio
    import inspect

    if not inspect.iscoroutine(rows):
        return rows
    return asyncio.run(rows)
