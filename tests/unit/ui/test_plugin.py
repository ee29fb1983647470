"""The plugin costs next to nothing, adds nothing where Airflow has no tabs, and breaks nothing if it fails."""

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS

CODE = """
import json, sys
import airflow.plugins_manager
from airflow.providers.common.compat.sdk import conf
before = set(sys.modules)
from airflow_provider_sixtyfour.ui.plugin import SixtyfourPlugin as plugin
print("found " + json.dumps({
    "apps": [each["url_prefix"] for each in plugin.fastapi_apps],
    "tabs": {each["destination"]: each["bundle_url"] for each in plugin.react_apps},
    "routes": [each["url_route"] for each in plugin.react_apps],
    "loaded": sorted(name for name in set(sys.modules) - before),
}))
"""


def plugin(**environment):
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.rpartition("found ")[2])


@pytest.mark.parametrize(
    ("tabs", "places"),
    [
        (None, ["dag_run"]),
        ("dag_run, task_instance", ["dag_run", "task_instance"]),
        ("nav,task", ["task", "nav"]),
        ("", []),
        ("nowhere", []),
    ],
    ids=str,
)
def test_where_the_tab_is_to_be_seen(tabs, places):
    found = plugin(**({} if tabs is None else {"AIRFLOW__SIXTYFOUR__UI_TABS": tabs}))

    assert list(found["tabs"]) == (places if HAS_TABS else [])
    assert found["apps"] == (["/sixtyfour"] if HAS_TABS else [])  # which receives webhooks without a tab, too
    assert len(set(found["routes"])) == len(found["routes"])


@pytest.mark.skipif(not HAS_TABS, reason="Airflow has tabs from 3.1 on")
@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("http://localhost:8080", "/sixtyfour/static/panel.js"),
        ("https://example.com/airflow/", "/airflow/sixtyfour/static/panel.js"),
        ("", "/sixtyfour/static/panel.js"),
    ],
)
def test_the_script_is_found_under_airflow_s_own_path(base_url, address):
    assert plugin(AIRFLOW__API__BASE_URL=base_url)["tabs"] == {"dag_run": address}


def test_a_task_s_process_loads_next_to_nothing_for_it():
    loaded = plugin()["loaded"]

    assert not [name for name in loaded if name.split(".")[0] in ("fastapi", "starlette", "sqlalchemy", "httpx")]
    assert len(loaded) < 15, loaded


@pytest.mark.skipif(not HAS_TABS, reason="Airflow has tabs from 3.1 on")
async def test_an_airflow_that_lacks_what_the_page_needs_logs_it_and_continues(monkeypatch):
    from airflow_provider_sixtyfour.ui.plugin import LazyApp

    monkeypatch.setitem(sys.modules, "airflow_provider_sixtyfour.ui.app", None)
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    await LazyApp()({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    assert sent[0]["status"] == 503
    assert b"This Airflow has not what the Sixtyfour tab needs" in sent[1]["body"]


@pytest.mark.skipif(not HAS_TABS, reason="Airflow has tabs from 3.1 on")
def test_airflow_registers_it_by_its_entry_point_and_once(api):
    listed = api("root", "admin").get("/api/v2/plugins").json()["plugins"]

    [found] = [each for each in listed if each["name"] == "sixtyfour"]
    assert [each["destination"] for each in found["react_apps"]] == ["dag_run"]
    assert not api("root", "admin").get("/api/v2/plugins/importErrors").json()["import_errors"]
