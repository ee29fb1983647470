"""The leads that the benchmarks of batches split, send and enrich; the same number makes the same rows."""

from __future__ import annotations

import json
from pathlib import Path

PLAIN, QUOTED, LINES = "leads.csv", "quoted.csv", "leads.ndjson"
_NAMES = ["company", "name", "website", "email", "city", "country", "title", "linkedin", "phone", "notes"]


def lead(number: int) -> list[str]:
    """Return a row; every tenth has a comma or a line end in a cell, every twentieth letters beyond ASCII."""
    return [
        f"Example {'Bäckerei' if number % 20 == 7 else 'Bakery'} {number % 99_991}",
        f"Lead {number}",
        f"https://www.bakery-{number}.example.com",
        f"lead-{number}@bakery-{number}.example.com",
        "Springfield",
        "US",
        "Head of Purchasing",
        f"in/lead-{number:07d}",
        f"+1 555 {number:07d}",
        ("met at the fair,\nlikes tea" if number % 20 == 3 else "met at the fair, likes tea")
        if number % 10 == 3
        else "met at the fair",
    ]


def write_leads(path: Path, rows: int, *, quotes_all: bool = False) -> None:
    """Write them as CSV, with quotes where they are needed, or around every cell."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(",".join(_NAMES) + "\n")
        for number in range(rows):
            cells = lead(number)
            file.write(",".join(f'"{cell}"' if quotes_all or "," in cell else cell for cell in cells) + "\n")


def write_lines(path: Path, rows: int) -> None:
    """Write them as NDJSON."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        for number in range(rows):
            file.write(json.dumps(dict(zip(_NAMES, lead(number), strict=True)), ensure_ascii=False) + "\n")
