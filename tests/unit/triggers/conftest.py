"""Which of these tests an Airflow has what they need for."""

from airflow.triggers import base

HAS_WATCHERS = hasattr(base, "BaseEventTrigger")

collect_ignore_glob = ["test_watcher_needs_airflow_3.py"] if HAS_WATCHERS else ["test_runs_ended.py"]
