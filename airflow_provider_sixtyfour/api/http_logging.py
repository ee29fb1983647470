"""
Keeps what may be secret out of the log lines of the HTTP libraries.

At DEBUG and INFO they log the URLs that they request, and the query of a signed URL is a secret. The lines stay, for
whoever else uses these libraries in the process; queries and logins of URLs are cut from them.
"""

from __future__ import annotations

import logging
import re

# A filter sees only what is logged to its very logger, so each is named.
_LOGGERS = (
    *("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"),
    *("httpcore.socks", "urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager"),
    *("urllib3.response", "urllib3.util.retry", "urllib3.util.ssl_", "urllib3.contrib.socks"),
)
_LONGEST = 20_000  # characters of a line
_QUERY = re.compile(r"\?[^\s\"'<>]+")
_LOGIN = re.compile(r"(://)[^\s/\"'<>@]{1,1000}@")
# As httpcore logs the headers of an answer.
_COOKIE = re.compile(r"(\(b'(?:set-cookie|www-authenticate|proxy-authenticate)', b['\"]).*?(['\"]\))", re.IGNORECASE)


class _Redaction(logging.Filter):
    """Lets every record pass, without the secrets of URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's message if need be."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            record.msg, record.args = f"{record.msg} (its arguments do not fit)", None  # logging would print them
            return True
        redacted = _QUERY.sub("?***", text[:_LONGEST])
        redacted = _COOKIE.sub(r"\1***\2", _LOGIN.sub(r"\1***@", redacted))
        if redacted != text:
            record.msg, record.args = redacted, None
        return True


_REDACTION = _Redaction()


def redact_http_logs() -> None:
    """Cut queries from what the HTTP libraries log from now on; calling it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)
