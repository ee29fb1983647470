"""Before Airflow 3 there are no asset watchers: importing one is an error that names this, and affects nothing else."""

import importlib

import pytest


def test_the_watcher_s_module_names_what_it_needs():
    with pytest.raises(ImportError, match=r"^Asset watchers need Airflow 3\.0 or later, and this is 2\.11"):
        importlib.import_module("airflow_provider_sixtyfour.triggers.runs_ended")


def test_the_trigger_of_runs_is_not_affected():
    assert importlib.import_module("airflow_provider_sixtyfour.triggers.sixtyfour").SixtyfourRunTrigger
