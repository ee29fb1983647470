"""
Pages for a browser on this machine: all workflows and runs, and one run with its blocks, files and credits.

Invariant: they only show; every text that came from outside is escaped, and no script runs.
"""

from __future__ import annotations

import time
import uuid
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from airflow_provider_sixtyfour.emulator.routes.runs import result_items
from airflow_provider_sixtyfour.emulator.state import State
from airflow_provider_sixtyfour.emulator.store import run_views
from airflow_provider_sixtyfour.emulator.store.runs import Run

RUN_PREFIX = "/runs/"
_MOST_RUNS = 200
_REFRESH = 2  # seconds, while a run is not over
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}
.bar{background:#e4e4e4;width:12rem;height:.8rem}.bar i{display:block;height:100%;background:#3a7d44}
.failed i{background:#b3261e}.running i{background:#2962a8}code{font-size:.9em;overflow-wrap:anywhere}
"""


def add_pages(app: FastAPI, state: State) -> None:
    """Add the pages."""

    @app.get("/")
    async def overview() -> HTMLResponse:
        now = time.time()
        workflows = [
            [_code(each.workflow_id), _text(each.name), _text(" → ".join(b.block_name for b in each.graph.order))]
            for each in state.workflows.all()
        ]
        runs = [
            [_link(run), _text(run.workflow_name), _text(run.at(now).status), _text(run.rows.count), _text(run.credits)]
            for run in list(reversed(list(state.ledger)))[:_MOST_RUNS]
        ]
        left = f"{state.ledger.credits_left:,.1f}"
        return _page(
            "Sixtyfour emulator",
            f"<p>{_text(left)} credits left, {_text(state.ledger.credits_used)} used. Prices are examples.</p>"
            "<h2>Workflows</h2>"
            + _table(["id", "name", "blocks"], workflows)
            + "<h2>Runs</h2>"
            + _table(["run", "workflow", "status", "rows", "credits"], runs),
        )

    @app.get(RUN_PREFIX + "{run_id}")
    async def one_run(request: Request, run_id: uuid.UUID) -> HTMLResponse:
        run = state.ledger.get(str(run_id))
        now = time.time()
        live = run_views.live_status(run, await state.results.counts(run), now)
        items = [item for kind in sorted(run.formats) for item in await result_items(state, request, run, kind)]
        over = live["completed_at"] is not None
        return _page(f"Run {run.job_id}", _run(run, live, items, run.at(now).error), refresh=not over)


def _run(run: Run, live: dict[str, Any], items: list[dict[str, Any]], error: str | None) -> str:
    blocks = [
        [
            _text(block["sequence_number"]),
            _text(block["block_name"]),
            _bar(block["status"], block["progress_percentage"]),
            _text(block["status"]),
            _text(f"{block['processed_count']} of {block['total_count']}"),
            _text(block["metrics"]["row_count"]),
            _text(block["error_message"] or ""),
        ]
        for block in live["blocks"]
    ]
    files = [
        [
            _file(str(item.get("filename", "?")), str(item.get("download_url"))),
            _text(item.get("row_count")),
            _text(item.get("file_size")),
        ]
        for item in items
    ]
    parts = [
        f"<p><b>{_text(live['overall_status'])}</b>, {live['overall_progress_percentage']:.0f} %, workflow "
        f"{_text(run.workflow_name)} {_code(run.workflow_id)}, {_text(run.credits)} credits</p>",
        f"<p>{_text(error)}</p>" if error else "",
        *(f"<p>{_text(note)}</p>" for note in run.log),
        "<h2>Blocks</h2>",
        _table(["", "block", "", "status", "rows in", "rows out", "error"], blocks),
        "<h2>Files</h2>",
        _table(["file", "rows", "bytes"], files),
        '<p><a href="/">All runs</a></p>',
    ]
    return "".join(parts)


def _page(title: str, body: str, *, refresh: bool = False) -> HTMLResponse:
    again = f'<meta http-equiv="refresh" content="{_REFRESH}">' if refresh else ""
    head = f'<meta charset="utf-8">{again}<title>{_text(title)}</title><style>{_STYLE}</style>'
    return HTMLResponse(
        f"<!doctype html><html><head>{head}</head><body><h1>{_text(title)}</h1>{body}</body></html>", headers=_HEADERS
    )


def _table(names: list[str], rows: list[list[str]]) -> str:
    """Return a table of cells that are HTML already."""
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _text(value: object) -> str:
    return escape(f"{value:g}" if isinstance(value, float) else str(value))


def _bar(status: str, percent: float) -> str:
    return f'<div class="bar {_text(status)}"><i style="width:{percent:.0f}%"></i></div>'


def _file(name: str, url: str) -> str:
    return f'<a href="{_text(url)}">{_text(name)}</a>' if url.startswith(("http://", "https://")) else _text(name)


def _code(value: object) -> str:
    return f"<code>{_text(value)}</code>"


def _link(run: Run) -> str:
    return f'<a href="{RUN_PREFIX}{_text(run.job_id)}">{_code(run.job_id)}</a>'
