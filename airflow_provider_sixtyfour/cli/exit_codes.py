"""The exit code of each outcome; scripts rely on them, so none of them may ever get another meaning."""

from __future__ import annotations

from airflow_provider_sixtyfour.exceptions import (
    SixtyfourDifferenceError,
    SixtyfourError,
    SixtyfourRunFailedError,
    SixtyfourTimeoutError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)

SUCCESS = 0
DIFFERS = 1
USAGE = 2
INVALID = 3  # input that can't be right, or that the API refuses
UNAVAILABLE = 4  # a later try can help: the network, the API, a store
RUN_FAILED = 5
NOT_IN_TIME = 6
BUG = 70  # as EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # as a shell gives it for SIGINT
OUTPUT_CLOSED = 141  # likewise for SIGPIPE

_OF_ERRORS: tuple[tuple[type[SixtyfourError], int], ...] = (
    (SixtyfourDifferenceError, DIFFERS),
    (SixtyfourRunFailedError, RUN_FAILED),
    (SixtyfourTimeoutError, NOT_IN_TIME),
    (SixtyfourUnavailableError, UNAVAILABLE),
    (SixtyfourTransferError, UNAVAILABLE),
)


class UsageError(SixtyfourError):
    """Options that don't go together; what argparse can't see."""


def exit_code(error: SixtyfourError) -> int:
    """Return the exit code of an error."""
    if isinstance(error, UsageError):
        return USAGE
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), INVALID)
