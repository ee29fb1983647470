"""
What can go wrong, by who can fix it.

Every message is written for the reader of a task log that does not wrap: the cause first, then what helps, the ids
last. No message holds a credential, a token or a signed URL.
"""

from __future__ import annotations

from typing import Any


class SixtyfourError(Exception):
    """Base of all errors of this provider; each can be pickled and copied, whatever its class takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes it again: exceptions would else call their class with `args` alone."""
        return _again, (type(self), self.args, self.__dict__)


class SixtyfourInputError(SixtyfourError, ValueError):
    """Invalid input, parameter or connection; no request was made. Fix the Dag or the connection."""


class SixtyfourRefusedError(SixtyfourError):
    """
    The API refused the request; the same request again can't succeed.

    :param message: what the API said, what helps, and what was being done.
    :param status: the HTTP status, such as 402; ``None`` where it never came to an answer (a certificate).
    :param from_api: whether the answer was the API's own: JSON in the shape of its errors, not a proxy's page.
    :param about_credential: whether the credential was refused: with 401, or in any way by the token endpoint.
    """

    def __init__(
        self, message: str, *, status: int | None = None, from_api: bool = False, about_credential: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.from_api = from_api
        self.about_credential = about_credential


class SixtyfourNotFoundError(SixtyfourRefusedError):
    """404: no such workflow or run, or it belongs to somebody else."""


class SixtyfourUnavailableError(SixtyfourError):
    """
    No usable answer for now: network, 5xx, 429, or an answer that can't be read. Transient.

    :param message: what came instead of an answer, and what was being done.
    :param status: the HTTP status, ``None`` when no answer came.
    :param retry_after: seconds that the API asked to wait, if it did.
    :param may_have_worked: whether the request may have been carried out all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        may_have_worked: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.may_have_worked = may_have_worked


class SixtyfourRunFailedError(SixtyfourError):
    """
    A run ended, and not as ``completed``. A retry of the task starts a new run.

    :param message: the block, what the API said of it, and the run.
    :param job_id: the run.
    :param status: the run's last status.
    """

    def __init__(self, message: str, *, job_id: str, status: str) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.status = status


class SixtyfourWaitError(SixtyfourError):
    """
    The wait for a run was given up before the run was seen to end; the message says what became of the run.

    :param message: why, and what became of the run.
    :param job_id: the run.
    :param status: the HTTP status that was repeated, if one was.
    """

    def __init__(self, message: str, *, job_id: str, status: int | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.status = status


class SixtyfourTimeoutError(SixtyfourError):
    """The task's ``timeout`` or ``execution_timeout`` passed before the run ended."""


class SixtyfourTransferError(SixtyfourError):
    """A file could not be moved whole; nothing of it was left at its destination."""


class SixtyfourIncompleteError(SixtyfourError):
    """Some batches of an input have no result. Their tasks can be cleared; a retry of what collects them can't help."""


class SixtyfourQualityError(SixtyfourError):
    """The results of a pilot have fewer filled values than wanted, so the rest was not started."""


class SixtyfourDifferenceError(SixtyfourError):
    """The stored workflow differs from the wanted one, and the task was to check only."""


def during(cause: str, purpose: str) -> str:
    """
    Return a message: the cause first, and what was being done, which ends with ids, last.

    :param cause: one or more whole sentences.
    :param purpose: what was being done, such as "checking the status of run X".
    """
    return f"{cause} While {purpose}."


def _again(kind: type[SixtyfourError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SixtyfourError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
