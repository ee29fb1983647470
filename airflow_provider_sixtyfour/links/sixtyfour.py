"""The links from a task's page to its run, or to the workflow that it has stored."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook

APP_URL = "https://app.sixtyfour.ai"


def run_url(base_url: str, workflow_id: str | None, job_id: str, tab: str | None = None) -> str:
    """
    Return where a run can be looked at.

    The vendor documents no address of a run's page: for the live service this is the tab of its Dag run, or where there
    is none the app's front page with the ids in the fragment, to search for; elsewhere (an emulator, a proxy) the run's
    ``live_status``, for which the emulator shows a browser the run's page.

    :param workflow_id: ``None`` where it isn't known.
    :param tab: the address of the tab, see `tasks.tab_settings`.
    """
    ids = {"workflow_id": workflow_id} if workflow_id else {}
    url = _url(base_url, f"workflows/runs/{job_id}/live_status", **ids, job_id=job_id)
    return tab if tab and url.startswith(APP_URL) else url


def workflow_url(base_url: str, workflow_id: str) -> str:
    """Return where a stored workflow can be looked at; as for `run_url`, elsewhere it is what the API answers."""
    return _url(base_url, f"workflows/{workflow_id}", workflow_id=workflow_id)


def _url(base_url: str, path: str, **ids: str) -> str:
    from airflow_provider_sixtyfour.api.settings import LIVE_URL

    return f"{APP_URL}/#{urlencode(ids)}" if base_url == LIVE_URL else f"{base_url}/{path}"


def are_pushed_by_airflow() -> bool:
    """Return whether Airflow pushes a task's links when its process ends, also at a deferral: from 3.0 on."""
    return find_spec("airflow.sdk") is not None


class _PushedLink(BaseOperatorLink):
    """
    A link whose address the task itself makes: it alone knows the connection.

    The operator keeps it in an attribute, which Airflow 3 asks for when the task's process ends.
    """

    attribute: ClassVar[str]

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the address."""
        return f"sixtyfour_{self.attribute}"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task pushed, or nothing before it has; Airflow asks the task itself, too."""
        if known := getattr(operator, self.attribute, None):
            return _checked(known)
        from airflow.providers.common.compat.sdk import XCom

        return _checked(XCom.get_value(key=self.xcom_key, ti_key=ti_key))


class SixtyfourRunLink(_PushedLink):
    """Links a task to its run; the address is pushed as soon as the task knows the run."""

    name = "Sixtyfour run"
    attribute = "run_link"


class SixtyfourWorkflowLink(_PushedLink):
    """Links a task to the workflow that it has stored."""

    name = "Sixtyfour workflow"
    attribute = "workflow_link"


def show_run(operator: Any, context: Context, hook: SixtyfourHook, job_id: str, *, is_brief: bool = False) -> None:
    """
    Link a task to a run that it hasn't started itself.

    Not at any price: where the link can't be made or pushed, the task continues without one.

    :param operator: with a ``run_link`` and a ``SixtyfourRunLink``.
    :param is_brief: whether the task's process ends in a moment, which is when Airflow 3 pushes the link anyway.
    """
    from airflow_provider_sixtyfour.tasks.tab_settings import tab_url

    def url(host: str) -> str:
        return run_url(host, None, _id(job_id), tab_url(context))

    _show(operator, context, hook, SixtyfourRunLink(), url, is_brief)


def show_workflow(operator: Any, context: Context, hook: SixtyfourHook, workflow_id: str) -> None:
    """Link a task that ends in a moment to a stored workflow, as `show_run` does to a run."""
    _show(operator, context, hook, SixtyfourWorkflowLink(), lambda host: workflow_url(host, _id(workflow_id)), True)


def _show(operator: Any, context: Context, hook: SixtyfourHook, link: _PushedLink, url: Any, is_brief: bool) -> None:
    try:
        address = url(hook.settings.base_url)
        setattr(operator, link.attribute, address)
        if not (is_brief and are_pushed_by_airflow()):
            context["ti"].xcom_push(key=link.xcom_key, value=address)
    except Exception as error:  # whatever it is: if it matters to the task, that meets it again and reports it
        operator.log.debug("No link %r: %s", link.name, type(error).__name__)


def _id(value: str) -> str:
    from airflow_provider_sixtyfour.api.calls import identifier

    return identifier(value, "id")


def _checked(link: object) -> str:
    """Return an address of the web; nothing for what else may have been pushed, such as a script."""
    return link if isinstance(link, str) and link.startswith(("https://", "http://")) else ""


def drop_run_link(operator: BaseOperator) -> None:
    """
    Keep Airflow from pushing the run's link once more after a deferral.

    It was pushed before, and no XCom is lost in between. A link that a subclass adds stays.
    """
    links = operator.operator_extra_links
    operator.operator_extra_links = tuple(link for link in links if not isinstance(link, SixtyfourRunLink))
