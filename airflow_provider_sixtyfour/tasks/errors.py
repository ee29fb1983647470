"""Which errors are not retried: the one translation from this provider's errors to Airflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourIncompleteError,
    SixtyfourInputError,
    SixtyfourQualityError,
    SixtyfourRefusedError,
    SixtyfourRunFailedError,
)

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.runs.log import Log

_FINAL = (SixtyfourInputError, SixtyfourRefusedError, SixtyfourIncompleteError, SixtyfourQualityError)


def is_final(error: BaseException) -> bool:
    """Return whether Airflow makes no further try after this error, however many retries the task has."""
    from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

    return isinstance(error, (*_FINAL, AirflowFailException, AirflowSkipException))


@contextmanager
def non_retryable_errors(log: Log | None = None, *, failed_runs: bool = False) -> Iterator[None]:
    """
    Turn what no retry can fix into ``AirflowFailException``; let all else pass to Airflow's own retries.

    The cause is logged once at ERROR, as a line of its own: Airflow shows it at the end of a stack trace only.

    :param log: the task's log; ``None`` where there is none yet.
    :param failed_runs: whether a run that failed is not retried either: a retry pays for another.
    :raises AirflowFailException: for input that can't be sent, for what the API refuses, for a whole that lacks
        batches, and for a pilot that is not good enough.
    """
    final = (*_FINAL, SixtyfourRunFailedError) if failed_runs else _FINAL
    try:
        yield
    except SixtyfourError as error:
        if log is not None:
            log.error("%s", error)
        if not isinstance(error, final):
            raise
        from airflow.providers.common.compat.sdk import AirflowFailException

        raise AirflowFailException(str(error)) from None
