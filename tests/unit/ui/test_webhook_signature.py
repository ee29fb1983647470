"""A signature is over the raw body and a time, and is good for five minutes."""

import hashlib
import hmac

import pytest

from airflow_provider_sixtyfour.emulator.store.webhook_secret import Signing
from airflow_provider_sixtyfour.ui.webhook_signature import Signature

SECRET, OTHER = "sk_whsec_" + "ab" * 32, "sk_whsec_" + "cd" * 32
NOW = 1_800_000_000
BODY = b'{"run_id": "j-1"}\n'


def digest(secret=SECRET, at=NOW, body=BODY):
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def is_valid(header, *secrets, body=BODY, now=NOW):
    signature = Signature.read(header)
    return signature is not None and signature.is_valid(body, secrets or (SECRET,), now)


def test_the_emulator_s_own_signature_is_valid_also_while_its_secret_is_rolled():
    signing = Signing(SECRET, NOW)
    rolled = signing.roll(1, NOW)["plaintext"]
    header = signing.signature(NOW, BODY)

    assert is_valid(header)
    assert is_valid(header, rolled)
    assert is_valid(header, OTHER, rolled)
    assert not is_valid(header, OTHER)


@pytest.mark.parametrize("skew", [0, 300, -300, 299.9])
def test_it_is_good_for_five_minutes_either_way(skew):
    assert is_valid(f"t={NOW},v1={digest()}", now=NOW + skew)


@pytest.mark.parametrize("skew", [301, -301, 300.5, 86400, -86400])
def test_an_old_one_and_one_of_the_future_are_refused(skew):
    assert not is_valid(f"t={NOW},v1={digest()}", now=NOW + skew)


@pytest.mark.parametrize(
    "header",
    [
        f"v1={'0' * 64},t={NOW},v1={digest()}",
        f"t={NOW}, v1={'0' * 64} , v1={digest().upper()},v0=x,",
        f"t={NOW},v1={digest()},v1=",
    ],
)
def test_one_that_matches_is_enough_in_any_order(header):
    assert is_valid(header)


@pytest.mark.parametrize(
    "header",
    [
        *("", "t=", "v1=", "t=1", ",", "=", "x" * 5000),
        f"v1={digest()}",
        f"t={NOW}",
        f"t={NOW},t={NOW},v1={digest()}",
        f"t=-{NOW},v1={digest()}",
        f"t={NOW}.0,v1={digest()}",
        f"t=٣,v1={digest()}",
        f"t={'9' * 5000},v1={digest()}",
        f"t={NOW},v0={digest()}",
        f"t={NOW},v1={digest()[:-1]}",
        f"t={NOW},v1={digest(OTHER)}",
        f"t={NOW},v1=ü{digest()}",
        f"t={NOW + 1},v1={digest()}",
        f"t=0{NOW},v1={digest()}",
    ],
)
def test_anything_else_is_refused(header):
    assert not is_valid(header)


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b" ", b'{"run_id":"j-1"}'])
def test_another_body_is_refused_also_where_its_json_is_the_same(body):
    assert not is_valid(f"t={NOW},v1={digest()}", body=body)


def test_without_secrets_nothing_is_valid():
    assert not Signature.read(f"t={NOW},v1={digest()}").is_valid(BODY, (), NOW)
