"""Which errors end a task for good: the one translation from this provider's errors to Airflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourIncompleteError,
    SixtyfourInputError,
    SixtyfourRefusedError,
)

_FINAL = (SixtyfourInputError, SixtyfourRefusedError, SixtyfourIncompleteError)


def is_final(error: BaseException) -> bool:
    """Say whether Airflow makes no further try after this error, however many retries the task has."""
    from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

    return isinstance(error, (*_FINAL, AirflowFailException, AirflowSkipException))


@contextmanager
def failing_for_good() -> Iterator[None]:
    """
    Turn what no retry can mend into ``AirflowFailException``; let all else pass to Airflow's own retries.

    :raises AirflowFailException: for input that can't be sent, for what the API refuses, and for a whole that lacks
        batches.
    """
    try:
        yield
    except _FINAL as error:
        from airflow.providers.common.compat.sdk import AirflowFailException

        raise AirflowFailException(str(error)) from error
