"""The retry policy that pays once: evaluated by Airflow where it has such policies, a sentence where it has none."""

from importlib import import_module

import pytest

from airflow_provider_sixtyfour.exceptions import (
    SixtyfourRunFailedError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)

try:
    from airflow.sdk import ExceptionRetryPolicy
except ImportError:  # Airflow before 3.3
    ExceptionRetryPolicy = None

MODULE = "airflow_provider_sixtyfour.retry_policies"
ERRORS = {
    "fail": SixtyfourRunFailedError("Failed.", job_id="j", status="failed"),
    "retry": SixtyfourUnavailableError("502"),
    "default": SixtyfourTransferError("The disk is full."),
}


@pytest.mark.parametrize("action", ERRORS)
def test_a_failed_run_is_not_retried_and_what_costs_nothing_is(action):
    if ExceptionRetryPolicy is None:
        with pytest.raises(ImportError, match=r"need Airflow 3\.3\. On this one, give .* retry_failed_runs=False"):
            import_module(MODULE)
        return
    policy = import_module(MODULE).PAY_ONCE

    assert policy.evaluate(ERRORS[action], try_number=1, max_tries=3).action.value == action
    again = ExceptionRetryPolicy.deserialize(policy.serialize())  # as Airflow keeps it with the Dag
    assert again.evaluate(ERRORS[action], try_number=1, max_tries=3).action.value == action
