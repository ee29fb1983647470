"""What a connection says of webhooks that Sixtyfour delivers to Airflow: the secrets that sign them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_SECRETS = 5  # the vendor signs with two at most, while one replaces the other


class WebhookSettings(NamedTuple):
    """
    How deliveries to a connection are checked.

    :param secrets: any of which may have signed one.
    :param allows_unsigned: whether deliveries without a signature are accepted, too.
    """

    secrets: tuple[str, ...]
    allows_unsigned: bool

    def __repr__(self) -> str:
        """Show all but the secrets."""
        return f"WebhookSettings({len(self.secrets)} secrets, allows_unsigned={self.allows_unsigned})"


def read_webhook_settings(fields: Mapping[str, Any]) -> WebhookSettings | None:
    """
    Return how deliveries are checked; ``None`` if the connection takes none.

    ``webhook_secret`` is a secret, a list of them, or the JSON text of such a list, which fits into a form's field.

    :param fields: the connection's ``extra``, by its fields' own names.
    :raises ValueError: if a field can't be right; the message names it and shows nothing of it.
    """
    secrets = _secrets(fields.get("webhook_secret"))
    allows_unsigned = fields.get("allow_unsigned")
    if isinstance(allows_unsigned, str):
        allows_unsigned = allows_unsigned.strip().lower() == "true"
    if not secrets and allows_unsigned is not True:
        return None
    return WebhookSettings(secrets, allows_unsigned is True)


def _secrets(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("webhook_secret begins as a JSON list and is none") from None
    found = [value] if isinstance(value, str) else value or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("webhook_secret is neither a text nor a list of texts")
    secrets = tuple(each.strip() for each in found if each.strip())
    if len(secrets) > MOST_SECRETS:
        raise ValueError(f"webhook_secret has more than {MOST_SECRETS} secrets")
    return secrets
