"""The example for GitHub Actions is valid, and its commands do what its steps are called."""

import json
import os
import shutil
import subprocess
import sys
import uuid

import pytest
import yaml

from tests.unit.cli.conftest import ROOT
from tests.unit.operators.test_deploy import block, chain

EXAMPLE = ROOT / "example_ci" / "github_actions.yml"


@pytest.fixture(scope="module")
def job():
    return yaml.safe_load(EXAMPLE.read_text())["jobs"]["workflow"]


@pytest.fixture
def step(job, emulator, key, tmp_path):
    """Run the steps for an event as a runner does."""
    workflow_id = str(uuid.uuid4())
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "sixtyfour"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m airflow_provider_sixtyfour "$@"\n')
    script.chmod(0o755)
    (tmp_path / "workflows").mkdir()
    shutil.copy(ROOT / "example_dags" / "lead_enrichment.json", tmp_path / job["env"]["FILE"])

    def run(event):
        [found] = [each for each in job["steps"] if f"== '{event}'" in each.get("if", "")]
        summary = tmp_path / "summary.md"
        summary.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{script.parent}:{os.environ['PATH']}",
                "WORKFLOW_ID": workflow_id,
                "FILE": job["env"]["FILE"],
                "GITHUB_STEP_SUMMARY": str(summary),
            },
            capture_output=True,
            text=True,
        )
        assert key not in done.stdout + done.stderr
        return done.returncode, summary.read_text()

    run.workflow_id = workflow_id
    return run


def test_it_has_a_key_and_no_more_rights_than_it_needs(job):
    document = yaml.safe_load(EXAMPLE.read_text())
    assert document["permissions"] == {"contents": "read"}
    assert job["env"]["SIXTYFOUR_API_KEY"] == "${{ secrets.SIXTYFOUR_API_KEY }}"
    assert {"pull_request", "push", "schedule"} == set(document[True])  # YAML 1.1 takes `on` for a boolean


def test_a_pull_request_shows_a_push_deploys_and_a_night_checks(step, emulator):
    code, summary = step("pull_request")
    assert code == 0
    assert "+ block" in summary
    assert [one for one in emulator.requests() if one["method"] == "POST"] == []

    assert step("push")[0] == 0
    assert step("schedule")[0] == 0

    other = json.dumps(chain(block("webhook", 1)))
    emulator.api("POST", f"/workflows/update_workflow?workflow_id={step.workflow_id}", json.loads(other))
    assert step("schedule")[0] == 1


def test_an_error_is_no_difference(step, emulator, monkeypatch):
    monkeypatch.setenv("SIXTYFOUR_API_KEY", "")
    assert step("pull_request")[0] != 0
    assert step("push")[0] == 3
