"""What all tests share: Airflow's home, a temporary folder under the clone; and the profile of Hypothesis."""

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
(ROOT / ".airflow").mkdir(exist_ok=True)
HOME = Path(tempfile.mkdtemp(prefix="tests-", dir=ROOT / ".airflow"))

# Before anything imports Airflow, which reads these once. What is set outside is another Airflow's.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
    # What a Dag that is run by `dag.test` must lie in, from Airflow 3.0 on.
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [
            {"name": name, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": path}}
            for name, path in (
                ("dags-folder", str(ROOT / "example_dags")),
                ("tests", str(ROOT / "tests" / "example_dags" / "dags")),
            )
        ]
    ),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
}

# A shell without job control starts what runs in the background with SIGINT ignored, and all that a test starts would
# inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if not os.environ.get("CI"):  # there, Hypothesis' own profile does the same
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")  # a busy machine is no fault of the code's


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
