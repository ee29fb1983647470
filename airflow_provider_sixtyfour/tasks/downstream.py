"""What a run's results are landed by, looked at before the run is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

_LANDS = "SixtyfourToObjectStorageOperator"


def check_landing(operator: BaseOperator, context: Context) -> None:
    """
    Check that the destinations of the tasks right after this one can be rendered in this Dag run.

    :raises SixtyfourInputError: if one uses a variable that this Dag run doesn't have: ``ds`` and its like are there
        only where it has a logical date.
    """
    import jinja2
    from jinja2.meta import find_undeclared_variables

    dag = operator.get_dag()
    if dag is None:
        return
    for task_id in sorted(operator.downstream_task_ids):
        task: Any = dag.task_dict.get(task_id)
        if getattr(task, "task_type", None) != _LANDS:
            continue
        destination = getattr(task, "partial_kwargs", vars(task)).get("destination")
        if not isinstance(destination, str):
            continue
        environment = dag.get_template_env()
        try:
            names = find_undeclared_variables(environment.parse(destination))
        except jinja2.TemplateError:
            continue  # that task says better what is wrong with it
        if missing := sorted(name for name in names if name not in context and name not in environment.globals):
            raise SixtyfourInputError(
                f"{missing[0]!r} is not defined in this Dag run, and the destination of task {task_id!r} needs it: no "
                "run was started. Where a Dag run may have no logical date, use what it always has, such as run_id."
            )
