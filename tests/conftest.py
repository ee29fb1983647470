"""Airflow's home for this test session: a new folder under the clone, gone afterwards."""

import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
(ROOT / ".airflow").mkdir(exist_ok=True)
HOME = Path(tempfile.mkdtemp(prefix="tests-", dir=ROOT / ".airflow"))

# Before anything imports Airflow, which reads these once. What is set outside is another Airflow's.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
}


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
