"""
What the two transports share: turning a library's exception into this provider's error.

No URL is ever repeated in a message: a query may hold a signature.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)


def network_error(error: Exception, *, purpose: str, host: str, timeout: float, never_sent: bool) -> SixtyfourError:
    """
    Say what the network did.

    :param never_sent: whether the connection was never made, so that the request can't have been carried out.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SixtyfourRefusedError(
                f"The certificate of {host} is not trusted ({cause.verify_message or 'verification failed'}) while "
                f"{purpose}. Set verify in the connection's extra to the path of the right CA bundle."
            )
    return SixtyfourUnavailableError(
        f"No answer from {host} while {purpose}: {_reason(causes, timeout)}.", may_have_worked=not never_sent
    )


def _reason(causes: list[BaseException], timeout: float) -> str:
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return f"its name can't be resolved ({cause.strerror or 'DNS'})"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection comes about ({cause.reason or type(cause).__name__})"
    for cause in causes:
        # The system's own words: asyncio puts others into the exception than a plain socket does.
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return f"nothing within {timeout:g} s"
    return f"the connection broke ({type(causes[-1]).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk to the bottom of an exception: causes, contexts, and exceptions kept in ``args`` and ``reason``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        waiting += getattr(cause, "exceptions", ())  # one for each address of the host


def trusting(bundle: str) -> ssl.SSLContext:
    """
    Return a context that trusts the certificates of a bundle, a file or a folder.

    :raises SixtyfourInputError: if it can't be read.
    """
    is_folder = os.path.isdir(bundle)
    try:
        return ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
    except OSError as error:
        raise SixtyfourInputError(f"The CA bundle {bundle!r} can't be read: {error}") from None
