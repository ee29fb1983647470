"""
What the installed Airflow can do, by its version: the one place that asks for it.

Everything else is asked for where it is used, by whether it is there.
"""

from __future__ import annotations

from airflow import __version__

_VERSION = tuple(map(int, __version__.split(".")[:2]))

# Asking somebody for approval. On 3.0 the import of Airflow's operator fails, after it has loaded 400 modules.
HAS_APPROVALS = _VERSION >= (3, 1)
# Tabs of plugins in the UI.
HAS_TABS = _VERSION >= (3, 1)
