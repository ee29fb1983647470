"""``python -m airflow_provider_sixtyfour``: the command line, on every version of Airflow."""

from __future__ import annotations

import sys

from airflow_provider_sixtyfour.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
