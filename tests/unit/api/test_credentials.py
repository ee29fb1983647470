from __future__ import annotations

import threading
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from airflow_provider_sixtyfour.api.credentials import ApiKey, OAuthClient
from airflow_provider_sixtyfour.api.models import Token
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_an_api_key_is_sent_as_x_api_key_only():
    key = ApiKey("SESAME")
    assert key.headers() == {"x-api-key": "SESAME"}
    assert key.secrets() == ("SESAME",)
    assert not key.discard({"x-api-key": "SESAME"})
    assert "SESAME" not in f"{key!r} {key}"


@pytest.mark.parametrize("key", ["", " ", " SESAME", "SESAME\n", "SES\x00AME", "SÉSAME", "SES\nAME: x"])
def test_a_key_that_fits_no_header_is_refused_without_being_quoted(key: str):
    with pytest.raises(SixtyfourInputError) as caught:
        ApiKey(key)
    assert "SAME" not in str(caught.value)


def pem(key: Any, encryption: Any = None) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode())


def test_a_private_key_that_is_none_is_refused_without_being_quoted(rsa_key: rsa.RSAPrivateKey, private_pem: str):
    lines = private_pem.strip().split("\n")
    bad = {
        "empty": "",
        "text": "SESAME",
        "no frame": "\n".join(lines[1:-1]),
        "cut": "\n".join([*lines[:4], lines[-1]]),
        "wrong frame": private_pem.replace("PRIVATE KEY", "CERTIFICATE"),
        "half a surrogate": private_pem + "\ud800",
        "encrypted": pem(rsa_key, BestAvailableEncryption(b"SESAME")),
        "public": rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
        "edwards": pem(ed25519.Ed25519PrivateKey.generate()),
        "of another tool": "-----BEGIN OPENSSH PRIVATE KEY-----\nSESAME\n-----END OPENSSH PRIVATE KEY-----",
    }
    for name, text in bad.items():
        with pytest.raises(SixtyfourInputError, match="private_key") as caught:
            OAuthClient("client", "key", text)
        shown = f"{caught.value} {caught.value.__cause__} {caught.value.__suppress_context__}"
        assert "SESAME" not in shown, name
        assert not any(line in shown for line in text.split("\n")[1:-1] if len(line) > 20), name


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_both_forms_of_an_rsa_key_are_taken(rsa_key: rsa.RSAPrivateKey, form: PrivateFormat):
    OAuthClient("client", "key", rsa_key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())


def test_the_assertion_is_what_rfc_7523_asks_for(rsa_key: rsa.RSAPrivateKey, private_pem: str):
    secrets_reported: list[str] = []
    clock = Clock()
    client = OAuthClient("client-1", "key-1", private_pem, on_secret=secrets_reported.append, clock=clock)
    assert client.headers() is None
    first, second = client.renewal("https://api.example/v1"), client.renewal("https://api.example/v1")
    assert first.form is not None
    assert second.form is not None
    assertion = first.form["client_assertion"]
    assert secrets_reported == []  # a masker keeps each text for ever, and these are good for one use
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "kid": "key-1", "typ": "JWT"}
    claims = jwt.decode(
        assertion,
        rsa_key.public_key(),
        algorithms=["RS256"],
        audience="https://api.example/v1/oauth/token",
        options={"verify_exp": False},
    )
    other = jwt.decode(second.form["client_assertion"], options={"verify_signature": False})
    assert (claims["iss"], claims["sub"]) == ("client-1", "client-1")
    # A minute in the past: an `iat` by a clock that is ahead of the server's would be refused.
    assert (claims["iat"], claims["exp"]) == (999_940, 1_000_240)
    assert claims["jti"] != other["jti"]
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti"}


@pytest.mark.parametrize(
    ("lives", "used_for"), [(3600.0, 3540.0), (300.0, 240.0), (121.0, 61.0), (120.0, 60.0), (10.0, 5.0), (0.5, 0.25)]
)
def test_a_token_is_used_until_shortly_before_its_end(private_pem: str, lives: float, used_for: float):
    clock = Clock()
    client = OAuthClient("c", "k", private_pem, clock=clock)
    client.accept(Token("TOKEN", lives))
    assert client.headers() == {"Authorization": "Bearer TOKEN"}
    clock.now += used_for - 0.01
    assert client.headers() == {"Authorization": "Bearer TOKEN"}
    clock.now += 0.02
    assert client.headers() is None


def test_a_thousand_renewals_hand_over_a_thousand_secrets_and_no_more(private_pem: str):
    secrets_reported: list[str] = []
    client = OAuthClient("c", "k", private_pem, on_secret=secrets_reported.append)
    for number in range(1000):
        client.accept(Token(f"TOKEN-{number}", 3600))
        if number % 100 == 0:
            client.renewal("https://api.example")  # signing takes a while
    assert secrets_reported == [f"TOKEN-{number}" for number in range(1000)]


def test_a_token_is_reported_as_a_secret_before_it_is_used(private_pem: str):
    headers_when_reported: list[Any] = []
    client = OAuthClient("c", "k", private_pem, on_secret=lambda _: headers_when_reported.append(client.headers()))
    client.accept(Token("TOKEN", 3600))
    assert headers_when_reported == [None]


def test_only_the_token_that_was_refused_is_forgotten(private_pem: str):
    client = OAuthClient("c", "k", private_pem)
    client.accept(Token("OLD", 3600))
    old = client.headers()
    assert old is not None
    client.accept(Token("NEW", 3600))
    assert client.discard(old)  # another thread has renewed it meanwhile
    assert client.headers() == {"Authorization": "Bearer NEW"}
    assert client.discard({"Authorization": "Bearer NEW"})
    assert client.headers() is None


def test_secrets_are_known_for_redaction_and_never_shown(private_pem: str):
    client = OAuthClient("c", "k", private_pem)
    assert client.secrets() == ()
    assertion = (client.renewal("https://api.example").form or {})["client_assertion"]
    client.accept(Token("TOKEN", 3600))
    assert client.secrets() == (assertion, "TOKEN")
    client.accept(Token("NEXT", 3600))
    assert set(client.secrets()) == {assertion, "TOKEN", "NEXT"}  # calls with the old one may be on their way
    for number in range(1000):
        client.accept(Token(f"{number}", 3600))
    assert len(client.secrets()) < 100
    assert not any(text in f"{client!r} {client}" for text in ("TOKEN", assertion, private_pem))


def test_a_token_that_is_discarded_by_another_thread_is_no_crash(private_pem: str):
    # The clock runs between the look at the token and its use.
    client: OAuthClient

    def clock() -> float:
        client._token = None
        return 0.0

    client = OAuthClient("c", "k", private_pem, clock=lambda: 0.0)
    client.accept(Token("TOKEN", 3600))
    client._clock = clock
    assert client.headers() == {"Authorization": "Bearer TOKEN"}


def test_a_credential_is_used_by_many_threads(private_pem: str):
    client = OAuthClient("c", "k", private_pem)
    errors: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(300):
                client.accept(Token("TOKEN", 3600))
                headers = client.headers()
                client.discard(headers or {})
                client.secrets()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
