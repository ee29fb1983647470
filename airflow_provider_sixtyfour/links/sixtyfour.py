"""The link from a task to its run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

APP_URL = "https://app.sixtyfour.ai"


def run_url(base_url: str, workflow_id: str, job_id: str) -> str:
    """
    Return where a run can be looked at.

    The vendor documents no address of a run's page: for the live service this is the app's front page with the
    ids in the fragment, to search for; elsewhere (an emulator, a proxy) the run's ``live_status``.
    """
    from airflow_provider_sixtyfour.api.settings import LIVE_URL

    if base_url == LIVE_URL:
        return f"{APP_URL}/#{urlencode({'workflow_id': workflow_id, 'job_id': job_id})}"
    return f"{base_url}/workflows/runs/{job_id}/live_status"


def are_pushed_by_airflow() -> bool:
    """Say whether Airflow pushes a task's links when its process ends, also at a deferral: from 3.0 on."""
    return find_spec("airflow.sdk") is not None


class SixtyfourRunLink(BaseOperatorLink):
    """Links a task to the run that it started; the address is pushed as soon as the run exists."""

    name = "Sixtyfour run"

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the address."""
        return "sixtyfour_run_link"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed, or nothing before it has; Airflow asks the task itself, too."""
        if known := getattr(operator, "run_link", None):
            return str(known)
        from airflow.providers.common.compat.sdk import XCom

        link: Any = XCom.get_value(key=self.xcom_key, ti_key=ti_key)
        return link if isinstance(link, str) else ""
