"""The tutorial, run as it stands: its commands in its order, its files, and its expected output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from demo.processes import free_ports

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
LIMIT = 400  # seconds
BLOCKS = re.compile(r"^```(?P<kind>sh|python|text)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SAVED = re.compile(r"Save this as `(.+?)`:\n\n$")


def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    [port] = free_ports(1)
    page = PAGE.read_text().replace("6464", str(port))
    page = page.replace("sixtyfour emulator", f"sixtyfour emulator --port {port}")
    commands, printed = [], []
    for block in BLOCKS.finditer(page):
        match block["kind"]:
            case "python":
                saved = SAVED.search(page[: block.start()])
                assert saved, f"Where is this to be saved?\n{block['text']}"
                path = tmp_path / saved[1]
                path.parent.mkdir(exist_ok=True)
                path.write_text(block["text"])
            case "text":
                printed += block["text"].splitlines()
            case "sh" if "pip install" not in block["text"]:
                commands.append(block["text"])
    assert len(commands) >= 8
    assert len(printed) >= 4
    script = tmp_path / "script"
    script.write_text("trap 'kill $(jobs -p) 2>/dev/null' EXIT\nset -e -x\n" + "\n".join(commands))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    ended = subprocess.run(
        ["/bin/bash", "-m", str(script)],
        cwd=tmp_path,
        env={**kept, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-5000:]
    for line in printed:
        pattern = ".*".join(map(re.escape, line.split("…")))
        assert re.search(pattern, ended.stdout), f"{line!r} was not printed:\n{ended.stdout[-8000:]}"
    assert ended.stdout.count('"job_id"') == 4
