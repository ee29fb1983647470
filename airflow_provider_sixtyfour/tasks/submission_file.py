"""
A task's record of what it is about to start, in its own folder in a store: for Airflow before 3.3, which keeps none.

Invariant: the record of another task, or of another Dag run, counts for none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.storage.errors import publish, store_errors

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

SUBMISSION_FILE = "_submission.json"
STARTS_AGAIN = "A retry of the task continues, and never pays for the same run twice."


class SubmissionFile:
    """
    Keeps one value as Airflow's ``task_state_store`` does.

    :param folder: where the file lies; no other task writes to it at the same time.
    :param identity: what identifies this task.
    """

    def __init__(self, folder: ObjectStoragePath, identity: Mapping[str, Any]) -> None:
        self._path = folder / SUBMISSION_FILE
        text = json.dumps(identity, sort_keys=True)
        self._task = hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> Any:
        """Return the value; ``None`` if there is none that can be read."""
        try:
            with store_errors("read", self._path.fs, self._path.path, then=STARTS_AGAIN):
                try:
                    text = self._path.fs.cat_file(self._path.path)
                except FileNotFoundError:
                    return None
            content = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, Mapping) or content.get("task") != self._task:
            return None
        return content.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a value, in place of what was kept."""
        text = json.dumps({"task": self._task, key: value}, indent=2)
        publish(self._path.fs, self._path.path, text.encode(), then=STARTS_AGAIN)
