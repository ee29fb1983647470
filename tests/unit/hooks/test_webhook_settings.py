"""What a connection sets for webhooks; none of it gets into a log, or affects anything else."""

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_sixtyfour.hooks.connection import webhook_settings
from airflow_provider_sixtyfour.hooks.resolving import resolve
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.hooks.webhook_settings import MOST_SECRETS

ONE, TWO = "sk_whsec_" + "ab" * 32, "sk_whsec_" + "cd" * 32


def of(kind):
    return SimpleNamespace(conn_type=kind)


@pytest.mark.parametrize(
    ("extra", "secrets", "allows_unsigned"),
    [
        ({"webhook_secret": ONE}, (ONE,), False),
        ({"webhook_secret": f" {ONE}\n"}, (ONE,), False),
        ({"webhook_secret": [ONE, TWO]}, (ONE, TWO), False),
        ({"webhook_secret": json.dumps([ONE, TWO])}, (ONE, TWO), False),
        ({"webhook_secret": [ONE, ""], "allow_unsigned": None}, (ONE,), False),
        ({"extra__sixtyfour__webhook_secret": ONE}, (ONE,), False),
        ({"webhook_secret": ONE, "allow_unsigned": True}, (ONE,), True),
        ({"webhook_secret": ONE, "allow_unsigned": "False"}, (ONE,), False),
        ({"webhook_secret": ONE, "allow_unsigned": 1}, (ONE,), False),
        ({"allow_unsigned": "true"}, (), True),
    ],
)
def test_the_settings_of_a_connection(extra, secrets, allows_unsigned):
    found = webhook_settings(of("sixtyfour"), extra)

    assert found == (secrets, allows_unsigned)
    assert ONE not in repr(found)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"webhook_secret": ""},
        {"webhook_secret": None},
        {"webhook_secret": []},
        {"allow_unsigned": False},
        None,
        [ONE],
    ],
    ids=str,
)
def test_a_connection_without_settings_takes_none(extra):
    assert webhook_settings(of("sixtyfour"), extra) is None


@pytest.mark.parametrize("kind", ["http", "", None])
def test_a_connection_of_another_type_takes_none(kind):
    assert webhook_settings(of(kind), {"webhook_secret": ONE, "allow_unsigned": True}) is None


@pytest.mark.parametrize(
    "value", [7, {"a": ONE}, [ONE, 7], [[ONE]], f'["{ONE}"', [f"{ONE}{n}" for n in range(6)]], ids=str
)
def test_what_can_not_be_right_is_named_and_not_shown(value):
    assert MOST_SECRETS == 5
    with pytest.raises(ValueError, match="webhook_secret") as error:
        webhook_settings(of("sixtyfour"), {"webhook_secret": value})
    assert ONE not in str(error.value)


@pytest.mark.parametrize("value", [ONE, [ONE, TWO], json.dumps([ONE, TWO])], ids=["one", "list", "text"])
async def test_a_hook_reads_past_it_and_masks_it(monkeypatch, logs, value):
    connection = {
        "conn_type": "sixtyfour",
        "host": "http://127.0.0.1:1",
        "password": "key",
        "extra": {"webhook_secret": value, "allow_unsigned": True, "timeout": 3},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", json.dumps(connection))

    assert SixtyfourHook().settings.timeout == 3
    assert (await resolve("sixtyfour_default")).settings.timeout == 3
    for secret in (ONE,) if value == ONE else (ONE, TWO):
        assert redact(f"it is {secret} indeed") == "it is *** indeed"
    assert logs.texts("warning") == []
