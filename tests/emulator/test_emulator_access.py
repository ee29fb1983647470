from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulator.calls import Calls
from tests.emulator_process import EmulatorProcess

CLIENT, KEY = "client-7", "key-1"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def key_pair() -> tuple[str, str]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private_pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private_pem.decode(), public_pem.decode()


@pytest.fixture(scope="module")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    return key_pair()[0]


@pytest.fixture(scope="module")
def strict(private_key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    """An emulator with an OAuth client, tokens of 2 s and 5 calls a minute."""
    pem: Path = tmp_path_factory.mktemp("keys") / "public.pem"
    key = serialization.load_pem_private_key(private_key.encode(), None)
    pem.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    client = f"{CLIENT}:{KEY}:{pem}"
    with EmulatorProcess("--oauth-client", client, "--token-seconds", "2", "--requests-per-minute", "5") as process:
        made = Calls(process)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "strict" in request.fixturenames:
        request.getfixturevalue("strict").emulator.clear()


def ask(calls: Calls, private_key: str, claims: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
    """Ask for a token, with some claims changed or, by None, left out; `more` changes the form or the JOSE header."""
    token_url = f"{calls.emulator.url}/oauth/token"
    good = {"iss": CLIENT, "sub": CLIENT, "aud": token_url, "exp": int(time.time()) + 300, "jti": str(uuid.uuid4())}
    wanted = {name: value for name, value in (good | (claims or {})).items() if value is not None}
    algorithm = more.pop("algorithm", "RS256")
    assertion = jwt.encode(wanted, private_key, algorithm=algorithm, headers=more.pop("jose", {"kid": KEY}))
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "full_access",
    }
    form = {name: value for name, value in (form | more).items() if value is not None}
    return calls.anonymous("POST", "/oauth/token", data=form)


def bearer(calls: Calls, token: str) -> httpx.Response:
    return calls.anonymous("GET", "/workflows", headers={"Authorization": f"Bearer {token}"})


def kind(answer: httpx.Response) -> str:
    """Return the error of RFC 6749 that a refusal names."""
    return str(answer.json()["detail"]).partition(":")[0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "wrong"},
        {"x-api-key": ""},
        {"x-api-key": "\u00fc".encode("latin-1")},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dTpw"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/workflows"), ("POST", "/workflows/run"), ("POST", "/storage/csv/upload"), ("GET", "/nowhere")],
)
def test_a_missing_or_wrong_credential_is_a_401(calls: Calls, method: str, path: str, headers: Any) -> None:
    answer = calls.anonymous(method, path, headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"detail"}


def test_the_key_of_the_emulator_is_not_echoed(calls: Calls) -> None:
    answer = calls.anonymous("GET", "/workflows", headers={"x-api-key": "a-wrong-key"})
    assert "a-wrong-key" not in answer.text
    assert calls.emulator.api_key not in answer.text


def test_a_rotated_key_is_accepted_and_the_key_before_it_refused() -> None:
    with EmulatorProcess() as process:
        before = process.api_key
        process.rotate_key()
        assert process.api_key != before
        calls = Calls(process)
        refusal = calls.anonymous("GET", "/workflows", headers={"x-api-key": before})
        assert refusal.status_code == 401
        assert calls.get("/workflows").status_code == 200
        calls.close()


@pytest.mark.parametrize("key", ["", "two words", "\u00fc", None])
def test_what_no_header_can_hold_is_no_key(calls: Calls, key: str | None) -> None:
    answer = calls.anonymous("PUT", "/_emulator/api-key", json={"api_key": key})
    assert answer.status_code == 422
    assert calls.get("/workflows").status_code == 200


def test_two_credentials_at_once_are_refused(calls: Calls) -> None:
    answer = calls.http.get("/workflows", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, "not both" in answer.json()["detail"]) == (400, True)


def test_what_does_not_exist_is_a_404_in_fastapis_words(calls: Calls) -> None:
    answer = calls.get("/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert calls.http.delete("/workflows").status_code == 405


def test_the_token_endpoint_can_be_discovered(strict: Calls) -> None:
    found = strict.anonymous("GET", "/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == strict.emulator.url
    assert found["token_endpoint"] == f"{strict.emulator.url}/oauth/token"
    assert found["grant_types_supported"] == ["client_credentials"]
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["RS256"]


def test_a_good_assertion_gets_a_token_that_opens_the_api_until_it_expires(strict: Calls, private_key: str) -> None:
    answer = ask(strict, private_key)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    granted = answer.json()
    assert (granted["token_type"], granted["expires_in"], granted["scope"]) == ("Bearer", 2, "full_access")
    assert bearer(strict, granted["access_token"]).status_code == 200
    time.sleep(2.05)
    late = bearer(strict, granted["access_token"])
    assert late.status_code == 401
    assert "invalid_token" in late.headers["www-authenticate"]


def test_tokens_can_be_revoked(strict: Calls, private_key: str) -> None:
    token = ask(strict, private_key).json()["access_token"]
    strict.emulator.control("DELETE", "tokens")
    assert bearer(strict, token).status_code == 401


def test_the_scope_may_be_left_out(strict: Calls, private_key: str) -> None:
    assert ask(strict, private_key, scope=None).json()["scope"] == "full_access"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "other"}, "issuer"),
        ({"sub": "other"}, "sub"),
        ({"aud": "http://127.0.0.1/oauth/token"}, "audience"),
        ({"exp": int(time.time()) - 1}, "expired"),
        ({"exp": int(time.time()) + 3600}, "more than 600 seconds ahead"),
        ({"iss": None}, "iss"),
        ({"sub": None}, "sub"),
        ({"aud": None}, "aud"),
        ({"exp": None}, "exp"),
        ({"jti": None}, "jti"),
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(
    strict: Calls, private_key: str, claims: dict[str, Any], reason: str
) -> None:
    answer = ask(strict, private_key, claims)
    assert (answer.status_code, kind(answer)) == (401, "invalid_client")
    assert reason in answer.json()["detail"].lower()


def test_an_assertion_of_another_key_or_kid_is_refused(strict: Calls, private_key: str) -> None:
    for answer in (
        ask(strict, key_pair()[0]),
        ask(strict, private_key, jose={"kid": "key-2"}),
        ask(strict, private_key, jose={}),
        ask(strict, "a-shared-secret-of-at-least-32-bytes", algorithm="HS256"),
        ask(strict, private_key, algorithm="RS512"),
        ask(strict, private_key, client_assertion="no.jwt.atall"),
        ask(strict, private_key, {"iss": "other", "sub": "other"}, client_id="other"),
    ):
        assert (answer.status_code, kind(answer)) == (401, "invalid_client"), answer.text


def test_an_assertion_is_good_once(strict: Calls, private_key: str) -> None:
    claims = {"jti": str(uuid.uuid4())}
    assert ask(strict, private_key, claims).status_code == 200
    again = ask(strict, private_key, claims)
    assert (again.status_code, kind(again)) == (401, "invalid_client")
    assert "jti" in again.json()["detail"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"client_assertion": None}, "invalid_request"),
        ({"client_assertion_type": "other"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_a_wrong_form_is_refused_with_its_reason(
    strict: Calls, private_key: str, form: dict[str, Any], error: str
) -> None:
    answer = ask(strict, private_key, **form)
    assert (answer.status_code, kind(answer)) == (400, error)


def test_a_token_request_that_is_no_form_is_refused(strict: Calls) -> None:
    answer = strict.anonymous("POST", "/oauth/token", json={"grant_type": "client_credentials"})
    assert (answer.status_code, kind(answer)) == (400, "invalid_request")


def test_calls_over_the_limit_get_a_retry_after(strict: Calls, private_key: str) -> None:
    token = ask(strict, private_key).json()["access_token"]
    assert [strict.get("/workflows").status_code for _ in range(7)] == [200] * 5 + [429] * 2
    answer = strict.post("/workflows/cancel")
    assert answer.status_code == 429
    assert 40 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["detail"].startswith("Rate limit exceeded")
    assert bearer(strict, token).status_code == 200, "another credential has a limit of its own"


def test_only_calls_of_the_api_count(strict: Calls, private_key: str) -> None:
    for _ in range(6):
        strict.emulator.stats()
        assert strict.anonymous("GET", "/workflows").status_code == 401
        assert ask(strict, private_key).status_code == 200
        strict.download(f"{strict.emulator.storage_url}/storage/results/x")
    assert strict.get("/workflows").status_code == 200


def test_a_429_can_come_without_retry_after() -> None:
    with EmulatorProcess("--requests-per-minute", "1", "--no-retry-after") as process:
        calls = Calls(process)
        first, second = calls.get("/workflows"), calls.get("/workflows")
        assert (first.status_code, second.status_code) == (200, 429)
        assert "retry-after" not in second.headers
        process.control("DELETE", "rate-limit")
        assert calls.get("/workflows").status_code == 200
        calls.close()


def test_credits_are_spent_and_a_refusal_costs_nothing() -> None:
    with EmulatorProcess("--credits", "2.5") as process:
        calls = Calls(process)
        workflow_id = calls.deploy("find_email")
        key = str(uuid.uuid4())
        assert calls.submit(workflow_id, [{}, {}], key=key).status_code == 200
        assert calls.submit(workflow_id, [{}, {}], key=key).json()["already_started"] is True
        assert process.stats()["credits"] == {"limit": 2.5, "used": 1}
        answer = calls.submit(workflow_id, [{}] * 4)
        assert (answer.status_code, "Insufficient API credits" in answer.json()["detail"]) == (402, True)
        assert process.stats()["credits"]["used"] == 1
        assert calls.submit(workflow_id, [{}] * 3).status_code == 200
        assert calls.submit(workflow_id).status_code == 402
        assert len(process.runs()) == 2
        calls.close()


def test_refusals_can_have_their_older_shapes() -> None:
    with EmulatorProcess("--older-errors", "--requests-per-minute", "9") as process:
        calls = Calls(process)
        assert calls.anonymous("GET", "/workflows").json()["error"] == "Unauthorized"
        assert calls.anonymous("POST", "/oauth/token", data={"grant_type": "x"}).json()["error"]
        assert calls.create({"blocks": [], "edges": []}).json()["error"]["code"] == "invalid_workflow"
        assert "not found" in calls.get(f"/workflows/{uuid.uuid4()}").json()["detail"]
        while (answer := calls.get("/workflows")).status_code == 200:
            continue
        assert (answer.status_code, answer.json()["error"]) == (429, "Too Many Requests")
        calls.close()


@pytest.mark.parametrize("unknown", ["5a2f5c9e-3c1e-4a52-8d0f-0a4f7d2f9c11", "nonsense"])
def test_the_list_of_runs_of_an_unknown_workflow_is_a_404(calls: Calls, unknown: str) -> None:
    answer = calls.get("/workflows/runs", workflow_id=unknown)
    assert (answer.status_code, "not found" in answer.json()["detail"]) == (404, True)
