"""Where the tab is to be seen: read when Airflow loads its plugins, in every process, so without any other import."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

PLACES = ("dag_run", "task", "task_instance", "nav")
DEFAULT = "dag_run"


def places() -> tuple[str, ...]:
    """Return the places of ``[sixtyfour] ui_tabs``, in Airflow's names, unknown ones left out; none if it is empty."""
    from airflow.providers.common.compat.sdk import conf

    value = conf.get("sixtyfour", "ui_tabs", fallback=DEFAULT) or ""
    wanted = [each.strip() for each in value.split(",")]
    return tuple(place for place in PLACES if place in wanted)


def tab_url(context: Context) -> str | None:
    """
    Return the address of a Dag run's tab; ``None`` if there is none, or Airflow's own address isn't set here.

    :param context: of a task of that Dag run.
    """
    from airflow.providers.common.compat.sdk import conf

    base_url = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if not (HAS_TABS and DEFAULT in places() and base_url.startswith(("https://", "http://"))):
        return None
    ti = context["ti"]
    return f"{base_url}/dags/{quote(ti.dag_id, safe='')}/runs/{quote(ti.run_id, safe='')}/plugin/sixtyfour-{DEFAULT}"
