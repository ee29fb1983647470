"""Which errors end a task for good: the one translation from this provider's errors to Airflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError, SixtyfourRefusedError


@contextmanager
def failing_for_good() -> Iterator[None]:
    """
    Turn what no retry can mend into ``AirflowFailException``; let all else pass to Airflow's own retries.

    :raises AirflowFailException: for input that can't be sent, and for what the API refuses.
    """
    try:
        yield
    except (SixtyfourInputError, SixtyfourRefusedError) as error:
        from airflow.providers.common.compat.sdk import AirflowFailException

        raise AirflowFailException(str(error)) from error
