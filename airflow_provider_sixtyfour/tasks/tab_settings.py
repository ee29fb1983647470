"""Where the tab is to be seen: read when Airflow loads its plugins, in every process, so without any other import."""

from __future__ import annotations

PLACES = ("dag_run", "task", "task_instance", "nav")
DEFAULT = "dag_run"


def places() -> tuple[str, ...]:
    """Return the places of ``[sixtyfour] ui_tabs``, in Airflow's names, unknown ones left out; none if it is empty."""
    from airflow.providers.common.compat.sdk import conf

    value = conf.get("sixtyfour", "ui_tabs", fallback=DEFAULT) or ""
    wanted = [each.strip() for each in value.split(",")]
    return tuple(place for place in PLACES if place in wanted)
