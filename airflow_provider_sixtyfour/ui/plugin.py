"""
The plugin that adds the tab *Sixtyfour* to Airflow's UI.

Airflow imports it in every process, each task's included: so it imports nothing that takes time. It is registered by
its entry point alone; the ``plugins`` key of the provider's metadata is ignored with stock settings.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import conf

from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS
from airflow_provider_sixtyfour.tasks.tab_settings import places

PREFIX = "/sixtyfour"
NAME = "Sixtyfour"


class LazyApp:
    """
    An ASGI app that is imported at its first request: FastAPI and Airflow's models take half a second.

    If it can't be imported, it answers 503 with the reason, and Airflow runs without it.
    """

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if self._app is None:
            self._app = _imported()
        await self._app(scope, receive, send)


def _imported() -> Any:
    try:
        from airflow_provider_sixtyfour.ui.app import app
    except ImportError as error:
        import logging

        from starlette.responses import JSONResponse

        logging.getLogger(__name__).exception("The Sixtyfour tab can't be loaded.")
        return JSONResponse({"detail": f"This Airflow has not what the Sixtyfour tab needs: {error}"}, status_code=503)
    return app


def _bundle_url() -> str:
    """Return the address of the script with Airflow's own path: 3.1 resolves no relative one."""
    path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{path}{PREFIX}/static/panel.js"


_PLACES = places() if HAS_TABS else ()
# Also without a tab: it receives webhooks.
_FASTAPI_APPS: list[Any] = [{"app": LazyApp(), "url_prefix": PREFIX, "name": NAME}] if HAS_TABS else []
_REACT_APPS: list[Any] = [
    {"name": NAME, "bundle_url": _bundle_url(), "destination": place, "url_route": f"sixtyfour-{place}"}
    for place in _PLACES
]


class SixtyfourPlugin(AirflowPlugin):
    """Adds the tab, and what it reads from. Before Airflow 3.1, which has no tabs, it adds nothing."""

    name = "sixtyfour"
    fastapi_apps = _FASTAPI_APPS
    react_apps = _REACT_APPS
