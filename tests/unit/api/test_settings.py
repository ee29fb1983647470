from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import LIVE_URL, Settings, base_url, timeout, verify
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from tests.unit.api.properties import searched


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": None}, LIVE_URL),
        ({"host": ""}, LIVE_URL),
        ({"host": "  "}, LIVE_URL),
        ({"host": "api.example"}, "https://api.example"),
        ({"host": "api.example", "scheme": "http"}, "http://api.example"),
        ({"host": "api.example", "scheme": "http", "port": 8080}, "http://api.example:8080"),
        ({"host": "api.example:81", "port": 8080}, "https://api.example:81"),
        ({"host": "http://127.0.0.1:6464/"}, "http://127.0.0.1:6464"),
        ({"host": "http://127.0.0.1:6464", "scheme": "https", "port": 1}, "http://127.0.0.1:6464"),
        ({"host": "HTTPS://API.Example/V1//"}, "https://api.example/V1"),
        ({"host": "https://api.example:/", "port": 80}, "https://api.example:80"),
        ({"host": "[::1]", "scheme": "http", "port": 80}, "http://[::1]:80"),
        ({"host": "http://[::1]:6464"}, "http://[::1]:6464"),
        ({"host": "https://bücher.example"}, "https://xn--bcher-kva.example"),
        ({"host": " https://api.example "}, "https://api.example"),
    ],
)
def test_where_the_api_is(fields: dict[str, Any], url: str):
    assert base_url(**fields) == url


HOSTILE = [
    *("https://", "://x", "https:///x", "ftp://api.example", "file:///etc/passwd", "javascript://x", "https://:443"),
    *("https://user@api.example", "https://user:pw@api.example", "https://@api.example", "user:pw@api.example"),
    *("https://api.example?x=1", "https://api.example/#x", "https://api.example/?sig=1"),
    *(
        "https://api example",
        "https://api.example/a b",
        "https://api.exa\nmple\x00",
        "https://a\x00b",
        "https://a\tb c",
    ),
    *(
        "https://evil.example\\@api.example",
        "https://evil.example\\.api.example",
        "https://api.example\\x",
        "https://api.example/a\\b",
    ),
    *("https://a..b", "https://.", "https://" + "a" * 64 + ".example", "https://*", "https://api.example:99999"),
    *("https://api.example:0", "https://api.example:x", "https://[::1", "https://[x]", "https://%41pi.example"),
    *("https://api.example,evil.example", "/", "\ud800"),
]


@pytest.mark.parametrize("host", HOSTILE, ids=ascii)
def test_an_address_that_is_none_is_refused(host: str):
    with pytest.raises(SixtyfourInputError, match=r"^The connection's host .*: set the API's address") as caught:
        base_url(host)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("port", [-1, 0, 65536, 10**9])
def test_a_port_that_is_none_is_refused(port: int):
    with pytest.raises(SixtyfourInputError, match="which is not valid"):
        base_url("api.example", port=port)


@searched
@given(st.text(max_size=30) | st.from_regex(r"https?://[\w.:@\\/?#%\[\] -]{0,30}", fullmatch=True))
def test_what_is_taken_names_the_same_host_to_every_parser(host: str):
    try:
        url = base_url(host)
    except SixtyfourInputError:
        return
    one, other = urlsplit(url), parse_url(url)
    assert one.hostname == (other.host or "").strip("[]")
    assert one.port == other.port
    assert one.scheme in ("http", "https")
    assert (one.username, one.query, one.fragment, other.auth) == (None, "", "", None)
    assert not url.endswith("/")


@pytest.mark.parametrize(("value", "seconds"), [(5, 5.0), (0.5, 0.5), ("30", 30.0), (" 7.5 ", 7.5), (10**6, 1e6)])
def test_a_timeout_in_seconds(value: Any, seconds: float):
    assert timeout(value) == seconds


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "", "soon", None, True, False, [], {}, float("nan"), float("inf"), "nan", "inf", "-inf", 10**400],
)
def test_a_timeout_that_is_none_is_refused(value: Any):
    with pytest.raises(
        SixtyfourInputError, match=r"^timeout in the connection's extra is .*: set a positive number of seconds"
    ):
        timeout(value)


@pytest.mark.parametrize("value", [1e7, "1e300"])
def test_a_timeout_that_no_socket_takes_is_refused(value: Any):
    with pytest.raises(SixtyfourInputError, match=r"^timeout in the connection's extra is .* set 1,000,000 or less"):
        timeout(value)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (" /etc/ca.pem ", "/etc/ca.pem"),
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        (" TRUE ", True),
        ("/etc/ca.pem", "/etc/ca.pem"),
    ],
)
def test_whether_certificates_are_checked(value: Any, meaning: bool | str):
    assert verify(value) == meaning


@pytest.mark.parametrize("value", [None, "", "  ", 0, 1, [], {}, 0.0, b"true"])
def test_a_verify_that_is_none_is_refused(value: Any):
    with pytest.raises(SixtyfourInputError, match=r"^verify in the connection's extra is invalid: set true, false"):
        verify(value)


def test_the_credential_is_not_in_repr():
    assert "SESAME" not in repr(Settings(credential=ApiKey("SESAME")))
