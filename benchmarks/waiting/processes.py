"""
A child process that receives orders as lines of JSON and answers each with one.

Invariant: a child ends when its block does, on whichever way it is left, and by itself if this process dies: its stdin
ends then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

_LONGEST_LINE = 64 * 2**20  # bytes
_STOPPING = 10.0  # seconds


class Child:
    """A running child."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name

    async def ask(self, order: Mapping[str, Any], seconds: float) -> Any:
        """
        Give an order and return the answer.

        :raises TimeoutError: if it takes longer than that.
        :raises RuntimeError: if the child ends instead.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # a child that has ended sends no answer either
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
        return await self.receive(seconds)

    async def receive(self, seconds: float) -> Any:
        """Return the next line that the child sends; raises what `ask` does."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError:
            raise TimeoutError(f"{self._name} sent nothing for {seconds:.0f} s") from None
        if not line:
            raise RuntimeError(f"{self._name} ended too early")
        return json.loads(line)


@contextlib.asynccontextmanager
async def child(module: str, *arguments: str, env: Mapping[str, str]) -> AsyncIterator[Child]:
    """Run a module in a process of its own, for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        yield Child(process, f"{module} {arguments[0]}")
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOPPING)
        if process.returncode is None:
            process.kill()
            await process.wait()
