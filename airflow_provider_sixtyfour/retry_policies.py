"""
Retry policies of Airflow 3.3 for tasks that cost credits. On an older Airflow this module can't be imported.

There, and wherever a try may find that the run of a lost worker has failed, ``retry_failed_runs=False`` does it.
"""

from __future__ import annotations

from datetime import timedelta

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
except ImportError:
    raise ImportError(
        "Retry policies need Airflow 3.3. On this one, give the operators retry_failed_runs=False."
    ) from None

# Names, not classes: a Dag file that imports this loads nothing else of the package.
_EXCEPTIONS = "airflow_provider_sixtyfour.exceptions"

PAY_ONCE = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=f"{_EXCEPTIONS}.SixtyfourRunFailedError",
            action=RetryAction.FAIL,
            reason="The run has failed, and a retry would pay for another.",
        ),
        RetryRule(
            exception=f"{_EXCEPTIONS}.SixtyfourUnavailableError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=60),
            reason="The API is unavailable; a retry reattaches to the run.",
        ),
    ]
)
"""Fail a task whose run has failed, whatever its ``retries``; wait a minute before a retry when the API is away."""
