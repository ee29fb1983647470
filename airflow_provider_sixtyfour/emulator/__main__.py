"""``python -m airflow_provider_sixtyfour.emulator``."""

from __future__ import annotations

import sys

from airflow_provider_sixtyfour.emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
