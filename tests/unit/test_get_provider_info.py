"""The metadata, checked against Airflow's own schemas and what Airflow makes of it."""

import importlib
import inspect
import json
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator, XCom
from airflow.providers_manager import ProvidersManager
from airflow.triggers.base import BaseTrigger

from airflow_provider_sixtyfour import get_provider_info as info_module
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.links import sixtyfour as links
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.triggers.conftest import HAS_WATCHERS

INFO = info_module.get_provider_info()
[CONNECTION] = INFO["connection-types"]
SHIPPED = Path(airflow.__file__).parent


def schema(name):
    return json.loads((SHIPPED / name).read_text())


def test_it_is_what_airflows_schema_asks_for():
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_its_connection_form_is_what_the_schema_of_metadata_files_asks_for():
    """The schema of the installed metadata doesn't cover forms; that of its source files does."""
    if not (SHIPPED / "provider.yaml.schema.json").exists():
        pytest.skip("this Airflow ships no schema of connection forms in metadata")
    of_a_connection = schema("provider.yaml.schema.json")["properties"]["connection-types"]["items"]
    if "conn-fields" not in of_a_connection["properties"]:
        pytest.skip("this Airflow reads no connection form from metadata: 3.2 is the first that does")

    # 3.2 takes the name from the hook's class and doesn't know this field; 3.3 reads it here.
    described = {key: value for key, value in CONNECTION.items() if key != "hook-name"}
    jsonschema.validate(described, {**of_a_connection, "additionalProperties": False})


HAS_CLI = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 2)


def test_every_key_is_one_that_airflow_knows():
    known = set(schema("provider_info.schema.json")["properties"])
    if "operators" not in known:
        pytest.skip("this Airflow's schema leaves out what it doesn't read itself")

    # Airflow reads `cli` since 3.2; older ones take what they don't know for what it is.
    assert set(INFO) <= known | ({"cli"} if not HAS_CLI else set())


def test_the_package_is_the_installed_one():
    [found] = [point for point in entry_points(group="apache_airflow_provider") if "sixtyfour" in point.value]
    assert found.load() is info_module.get_provider_info
    assert found.dist.name == INFO["package-name"]
    assert found.load()() == INFO


# A module that raises, before Airflow 3, that it needs Airflow 3: see triggers/test_watcher_needs_airflow_3.py.
NOT_HERE = set() if HAS_WATCHERS else {"airflow_provider_sixtyfour.triggers.runs_ended"}
KINDS = {"operators": BaseOperator, "sensors": BaseSensorOperator, "hooks": BaseHook, "triggers": BaseTrigger}


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_that_is_named_has_classes_of_its_kind(kind):
    for entry in INFO[kind]:
        assert entry["integration-name"] in {one["integration-name"] for one in INFO["integrations"]}
        for name in set(entry["python-modules"]) - NOT_HERE:
            assert classes(importlib.import_module(name), KINDS[kind])


def test_every_transfer_is_an_operator():
    integrations = {one["integration-name"] for one in INFO["integrations"]}
    for entry in INFO["transfers"]:
        assert {entry["source-integration-name"], entry["target-integration-name"]} <= integrations
        assert classes(importlib.import_module(entry["python-module"]), BaseOperator)


def classes(module, kind):
    found = [one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__]
    return [one for one in found if issubclass(one, kind)]


def test_nothing_public_is_left_out():
    """A module with operators, sensors, hooks, triggers or transfers in it is named."""
    named = {name for kind in KINDS for entry in INFO[kind] for name in entry["python-modules"]}
    named |= {entry["python-module"] for entry in INFO["transfers"]}
    package = Path(info_module.__file__).parent
    for folder, kind in [
        ("operators", BaseOperator),
        ("sensors", BaseOperator),
        ("transfers", BaseOperator),
        ("hooks", BaseHook),
        ("triggers", BaseTrigger),
    ]:
        for file in (package / folder).glob("[!_]*.py"):
            name = f"{package.name}.{folder}.{file.stem}"
            assert name in NOT_HERE or (name in named) == bool(classes(importlib.import_module(name), kind)), name


def test_links_are_links():
    for path in INFO["extra-links"]:
        module, _, name = path.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), name), BaseOperatorLink)


@pytest.fixture(scope="module")
def manager():
    return ProvidersManager()


def test_airflow_lists_the_provider(manager):
    assert manager.providers["airflow-provider-sixtyfour"].data["name"] == "Sixtyfour"


def test_airflow_finds_the_connection_type_and_its_hook(manager):
    hook = manager.hooks["sixtyfour"]

    assert hook.hook_class_name == f"{SixtyfourHook.__module__}.{SixtyfourHook.__qualname__}"
    assert (hook.hook_name, hook.connection_id_attribute_name) == ("Sixtyfour", "sixtyfour_conn_id")
    assert hook.connection_testable is True
    assert CONNECTION["connection-type"] == SixtyfourHook.conn_type
    assert CONNECTION["hook-name"] == SixtyfourHook.hook_name


def test_airflow_finds_the_links(manager):
    for name in ("SixtyfourRunLink", "SixtyfourWorkflowLink"):
        assert f"{SixtyfourRunLink.__module__}.{name}" in manager.extra_links_class_names


def reads_forms_from_metadata():
    return hasattr(ProvidersManager, "_to_api_format")


def test_airflow_reads_the_form_of_the_connection(manager):
    """The metadata spells ``hidden-fields``; a hook's own method would spell ``hidden_fields``."""
    if not reads_forms_from_metadata():
        pytest.skip("this Airflow reads no connection form from metadata: 3.2 is the first that does")
    behaviour = manager.field_behaviours["sixtyfour"]

    jsonschema.validate(behaviour, schema("customized_form_field_behaviours.schema.json"))
    assert behaviour["hidden_fields"] == ["schema", "port"]
    assert behaviour["relabeling"] == {"host": "Base URL", "login": "OAuth client id", "password": "API key"}
    assert behaviour["placeholders"]["host"] == "https://api.sixtyfour.ai"
    widgets = manager.connection_form_widgets
    mine = {name for name in widgets if name.startswith("extra__sixtyfour__")}
    assert mine == {f"extra__sixtyfour__{name}" for name in CONNECTION["conn-fields"]}
    sensitive = {widgets[name].field_name for name in mine if widgets[name].is_sensitive}
    assert sensitive == {"private_key", "webhook_secret"}


def test_the_api_server_serves_the_form(monkeypatch):
    if not reads_forms_from_metadata():
        pytest.skip("this Airflow reads no connection form from metadata: 3.2 is the first that does")
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [served] = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "sixtyfour"]
    served = served.model_dump()

    assert served["hook_name"] == "Sixtyfour"
    fields = served["standard_fields"]
    assert (fields["host"]["title"], fields["password"]["title"]) == ("Base URL", "API key")
    assert fields["port"]["hidden"] is fields["url_schema"]["hidden"] is True
    extra = served["extra_fields"]
    assert set(extra) == set(CONNECTION["conn-fields"])
    assert extra["private_key"]["schema"] == {
        "type": ["string", "null"],
        "format": "password",
        "title": "OAuth private key",
    }
    assert extra["timeout"]["schema"]["type"] == ["number", "null"]
    assert all(field["value"] is None and field["description"] for field in extra.values())


def test_the_form_asks_for_every_field_that_the_hook_reads():
    """What ``read_settings`` looks up in ``extra`` is what the form offers."""
    source = inspect.getsource(importlib.import_module("airflow_provider_sixtyfour.hooks.connection"))
    for field in CONNECTION["conn-fields"]:
        assert f'"{field}"' in source


def test_reading_the_metadata_imports_nothing_of_the_provider():
    import subprocess
    import sys

    code = (
        "import sys; from airflow_provider_sixtyfour.get_provider_info import get_provider_info as get; get(); "
        "print([name for name in sys.modules if name.startswith(('airflow.', 'airflow_provider_sixtyfour.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['airflow_provider_sixtyfour.get_provider_info']"


# The link


def test_the_link_of_a_run_at_the_live_service_and_elsewhere():
    assert links.run_url("https://api.sixtyfour.ai", "w-1", "j-1") == (
        "https://app.sixtyfour.ai/#workflow_id=w-1&job_id=j-1"
    )
    assert links.run_url("http://127.0.0.1:6464", "w-1", "j-1") == (
        "http://127.0.0.1:6464/workflows/runs/j-1/live_status"
    )


@pytest.mark.parametrize(("pushed", "shown"), [("http://127.0.0.1/x", "http://127.0.0.1/x"), (None, ""), (7, "")])
def test_the_link_is_what_the_task_has_pushed(monkeypatch, pushed, shown):
    real = XCom.get_value
    asked = []

    def get_value(**arguments):
        inspect.signature(real).bind(**arguments)  # as Airflow's own would be called
        asked.append(arguments)
        return pushed

    monkeypatch.setattr(XCom, "get_value", get_value)
    [link] = SixtyfourRunWorkflowOperator.operator_extra_links

    assert link.get_link(SimpleNamespace(run_link=None), ti_key="the key") == shown
    assert asked == [{"key": link.xcom_key, "ti_key": "the key"}]
    assert link.xcom_key == "sixtyfour_run_link"


def test_a_task_that_knows_its_link_is_not_asked_for_its_xcom(monkeypatch):
    monkeypatch.setattr(XCom, "get_value", lambda **_: pytest.fail("one more request to Airflow's API server"))
    [link] = SixtyfourRunWorkflowOperator.operator_extra_links

    assert link.get_link(SimpleNamespace(run_link="http://127.0.0.1/x"), ti_key="the key") == "http://127.0.0.1/x"
