"""Reads the answer of the token endpoint, and says what to check if it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api import transport
from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.models import Token
    from airflow_provider_sixtyfour.api.responses import Answer
    from airflow_provider_sixtyfour.api.settings import Settings

# Of a wrong clock, the endpoint says no more than that the assertion is not valid.
_ADVICE = "Check this machine's clock, and the connection's client id (login), key_id and private key."


def read_token(renewal: Call[Token], answer: Answer, settings: Settings) -> Token:
    """
    Return the token of an answer.

    :raises SixtyfourRefusedError: if the endpoint refuses the client, also where it does so with status 200.
    :raises SixtyfourUnavailableError: if the answer can't be read.
    """
    is_error = answer.status == 200 and _names_an_error(answer.body)
    try:
        return transport.result(renewal, answer._replace(status=400) if is_error else answer, settings)
    except SixtyfourRefusedError as error:
        if error.status not in (400, 401, 403):
            raise
        text = str(error)
        if is_error:
            text = text.replace("answered 400", "answered 200 with an error", 1)
        cause, _, purpose = text.rpartition(" While ")
        raise SixtyfourRefusedError(f"{cause} {_ADVICE} While {purpose}", status=error.status) from None


def _names_an_error(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value.get("error")) and not value.get("access_token")
