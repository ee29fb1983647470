"""The receiver of webhooks: what is signed makes one event, what isn't makes none, and no secret is shown."""

import hashlib
import hmac
import json
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_sixtyfour.ui import webhook_event, webhooks
from tests.emulator_process import EmulatorProcess
from tests.unit.conftest import until

ONE, TWO = "sk_whsec_" + "ab" * 32, "sk_whsec_" + "cd" * 32
WORKFLOW = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64"
JOB = "11111111-0000-0000-0000-000000000000"
EVENT = "22222222-0000-0000-0000-000000000000"
URI = f"sixtyfour://workflows/{WORKFLOW}"
BODY = {
    "event_id": EVENT,
    "event_type": "outgoing_webhook.completed",
    "run_id": JOB,
    "workflow_id": WORKFLOW,
    "results": [{"email": "lead@example.com"}],
    "results_download_url": "https://storage.example.com/x?signature=secret",
}


@pytest.fixture
def connection(monkeypatch):
    """Set the connection that takes webhooks."""

    def set_to(conn_id="hooks", conn_type="sixtyfour", **extra):
        value = {"conn_type": conn_type, "password": "the-api-key", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    set_to(webhook_secret=ONE)
    return set_to


@pytest.fixture(autouse=True)
def _nothing_warned_of_yet(monkeypatch):
    monkeypatch.setattr(webhooks, "_warned", set())


@pytest.fixture
def asset(database):
    """Store an asset that a Dag uses; all are removed afterwards, with their events."""
    from airflow.models.asset import AssetActive, AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def store(uri=URI, is_active=True):
        with create_session() as session:
            name = f"asset {uri}"
            session.add(AssetModel(name=name, uri=uri, group="asset"))
            session.flush()
            if is_active:
                session.execute(AssetActive.__table__.insert(), [{"name": name, "uri": uri}])
        return uri

    store()
    yield store
    with create_session() as session:
        for table in (AssetEvent, AssetActive, AssetModel):
            session.execute(delete(table))


def extras(uri=URI):
    """What the events of an asset have."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return list(session.scalars(found.where(AssetModel.uri == uri).order_by(AssetEvent.id)))


def signature(body, *secrets, at=None):
    at = int(time.time()) if at is None else at
    macs = [hmac.new(one.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest() for one in secrets or (ONE,)]
    return ",".join([f"t={at}", *(f"v1={mac}" for mac in macs)])


def encoded(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def deliver(api, connection, asset):
    """Deliver a body, signed by default."""

    def send(body=BODY, *, conn_id="hooks", sign=(), at=None, header=None, query="", **headers):
        content = encoded(body)
        if sign is not None:
            headers["Sixtyfour-Signature"] = header or signature(content, *sign, at=at)
        path = f"/sixtyfour/webhooks/{conn_id}{query}"
        return api(None).post(path, content=content, headers={"Content-Type": "application/json", **headers})

    return send


# What is recorded


def test_a_signed_delivery_is_an_event_with_ids_alone(deliver):
    answer = deliver()

    assert (answer.status_code, answer.json()) == (202, {"outcome": "recorded"})
    assert extras() == [
        {
            "payload": {"job_id": JOB, "workflow_id": WORKFLOW, "status": "completed", "metrics": {}},
            "from_webhook": True,
            "event_id": EVENT,
        }
    ]


def test_a_repetition_is_a_duplicate_also_with_another_event_id_in_its_header(deliver):
    """The header is not signed: whoever repeats a delivery can change it."""
    first = deliver(**{"Sixtyfour-Event-Id": EVENT})
    again = [deliver(**{"Sixtyfour-Event-Id": str(uuid.uuid4())}), deliver(**{"Sixtyfour-Delivery-Attempt": "2"})]

    assert first.status_code == 202
    assert [(each.status_code, each.json()) for each in again] == [(200, {"outcome": "duplicate"})] * 2
    assert len(extras()) == 1


def test_without_an_event_id_the_run_and_its_end_identify_it(deliver):
    body = {"task_id": JOB, "status": "completed", "workflow_id": WORKFLOW}

    answers = [deliver(body), deliver(body), deliver({**body, "status": "FAILED"})]

    assert [each.status_code for each in answers] == [202, 200, 202]
    assert [each["event_id"] for each in extras()] == [f"run:{JOB}:completed", f"run:{JOB}:failed"]


def test_ten_copies_at_once_are_one_event(api, deliver):
    """On SQLite, where no row can be locked."""
    barrier = threading.Barrier(10)

    def send(_):
        barrier.wait()
        return deliver().status_code

    with ThreadPoolExecutor(10) as executor:
        statuses = sorted(executor.map(send, range(10)))

    assert statuses == [200] * 9 + [202]
    assert len(extras()) == 1


def test_the_next_dag_run_takes_all_events_that_came_before_it(deliver, asset):
    """The scheduler takes those up to the moment in the queue's entry, which Airflow itself leaves as it is."""
    from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel, DagScheduleAssetReference
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    tables = (AssetDagRunQueue, DagScheduleAssetReference, DagModel, DagBundleModel)
    with create_session() as session:
        session.add(DagBundleModel(name="hooks"))
        session.flush()
        needed = {"timetable_type": "t"} if hasattr(DagModel, "timetable_type") else {}  # from Airflow 3.2 on
        session.add(DagModel(dag_id="land", bundle_name="hooks", is_paused=False, **needed))
        session.flush()
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.uri == URI))
        session.add(DagScheduleAssetReference(asset_id=asset_id, dag_id="land"))
    try:
        for number in range(3):
            assert deliver({**BODY, "event_id": f"e-{number}"}).status_code == 202
        with create_session() as session:
            [queued_at] = session.scalars(select(AssetDagRunQueue.created_at))
            events = list(session.scalars(select(AssetEvent.timestamp)))
    finally:
        with create_session() as session:
            for table in tables:
                session.execute(delete(table))

    assert len(events) == 3
    assert max(events) <= queued_at


@pytest.mark.parametrize("skew", [-295, 0, 295])
def test_a_clock_may_differ_by_five_minutes(deliver, skew):
    assert deliver(at=int(time.time()) + skew).status_code == 202


@pytest.mark.parametrize("as_text", [False, True])
def test_while_a_secret_is_rolled_either_is_good(deliver, connection, as_text):
    connection(webhook_secret=json.dumps([TWO, ONE]) if as_text else [TWO, ONE])
    bodies = [{**BODY, "event_id": str(uuid.uuid4())} for _ in range(3)]

    assert deliver(bodies[0], sign=(ONE,)).status_code == 202
    assert deliver(bodies[1], sign=(TWO,)).status_code == 202
    assert deliver(bodies[2], sign=("sk_whsec_unknown", TWO)).status_code == 202
    connection(webhook_secret=TWO)
    assert deliver(sign=(ONE,)).status_code == 401
    assert len(extras()) == 3


def test_where_no_dag_has_the_asset_it_reports_that_and_does_nothing(deliver, asset):
    other = str(uuid.uuid4())
    asset(f"sixtyfour://workflows/{other}", is_active=False)

    for body in ({**BODY, "workflow_id": str(uuid.uuid4())}, {**BODY, "workflow_id": other}):
        answer = deliver(body)
        assert answer.status_code == 202
        assert answer.json()["outcome"] == "ignored"
        assert answer.json()["reason"].startswith("No Dag uses an asset with the URI sixtyfour://workflows/")
    assert extras(f"sixtyfour://workflows/{other}") == []


def test_the_workflow_is_that_of_the_body_else_of_the_query_else_the_connection_stands_for_it(deliver, asset):
    other, of_connection = asset("sixtyfour://workflows/w-2"), asset("sixtyfour://webhooks/hooks")
    nameless = {"event_id": EVENT, "run_id": JOB}

    assert deliver(BODY, query="?workflow_id=w-2").status_code == 202
    assert deliver(nameless, query="?workflow_id=w-2").status_code == 202
    assert deliver(nameless).status_code == 202

    assert [len(extras(uri)) for uri in (URI, other, of_connection)] == [1, 1, 1]
    assert extras(of_connection)[0]["payload"]["workflow_id"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, "completed"),
        ({"status": "failed"}, "failed"),
        ({"status": "CANCELED"}, "cancelled"),
        ({"status": "odd"}, "odd"),
    ],
)
def test_the_status_has_one_spelling(deliver, body, status):
    deliver({**BODY, **body})

    assert extras()[0]["payload"]["status"] == status


# What is refused


@pytest.mark.parametrize(
    "given",
    [
        {"sign": (TWO,)},
        {"sign": None},
        {"header": "t=1,v1=00"},
        {"header": "nonsense"},
        {"header": "v1=" + "0" * 64},
        {"at": 1},
        {"at": "old"},
        {"at": "future"},
        {"sign": ("",)},
    ],
    ids=str,
)
def test_what_is_not_signed_as_it_should_be_is_refused(deliver, given):
    times = {"old": int(time.time()) - 310, "future": int(time.time()) + 310}
    if given.get("at") in times:
        given = {"at": times[given["at"]]}

    answer = deliver(**given)

    assert (answer.status_code, set(answer.json())) == (401, {"detail"})
    assert extras() == []


def test_a_signature_that_is_sent_twice_is_one_header_too_many(api, deliver):
    content = encoded(BODY)
    headers = [("Sixtyfour-Signature", signature(content)), ("Sixtyfour-Signature", signature(content))]

    assert api(None).post("/sixtyfour/webhooks/hooks", content=content, headers=headers).status_code == 401


def test_the_signature_is_over_the_bytes_as_they_came(deliver):
    content = b'{"run_id" : "j-1",\r\n "workflow_id":"' + WORKFLOW.encode() + b'"}\n'

    assert deliver(content).status_code == 202
    assert deliver(content + b" ", header=signature(content)).status_code == 401


@pytest.mark.parametrize(
    ("conn_id", "extra"),
    [
        ("nowhere", None),
        ("hooks", {}),
        ("hooks", {"webhook_secret": ""}),
        ("hooks", {"webhook_secret": 7}),
        ("hooks", {"webhook_secret": ONE, "conn_type": "http"}),
        ("../x", None),
        ("a%2Fb", None),
        ("a b", None),
        ("x" * 300, None),
        ("hooks'%20OR%201=1", None),
    ],
    ids=str,
)
def test_a_connection_that_takes_no_webhooks_is_as_good_as_none(deliver, connection, conn_id, extra):
    if extra is not None:
        connection(**extra)
    kept = deliver(conn_id="unknown")

    answer = deliver(conn_id=conn_id)

    assert answer.status_code == kept.status_code == 404
    if conn_id in ("nowhere", "hooks"):
        assert answer.content == kept.content
        assert {k: v for k, v in answer.headers.items() if k != "date"} == {
            k: v for k, v in kept.headers.items() if k != "date"
        }


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"no json", b"[]", b'"x"', b"7", b"null", b"\xff\xfe{}", b'{"run_id": "j-1"', b"[" * 500_000),
        "ä".encode("utf-16"),
        b'{"run_id": ' + b"9" * 100_000 + b"}",
        *({}, {"event_id": EVENT}, {"run_id": ""}, {"run_id": None}, {"run_id": 7}, {"run_id": ["j"]}, {"run_id": {}}),
        {"run_id": "../../x"},
        {"run_id": "x" * 201},
        {"run_id": "a b"},
        {"run_id": "<script>"},
        {"run_id": "j-1\n"},
        {"run_id": "None"},
        {"run_id": "j", "workflow_id": "a/b"},
        {"run_id": "j", "workflow_id": 7},
        {"run_id": "j", "event_id": "x\u0000y"},
        {"run_id": "j", "event_id": {"$ne": ""}},
        {"run_id": "j", "status": {"x": 1}},
        {"run_id": "j", "status": "a/b"},
    ],
    ids=lambda body: repr(body)[:40],
)
def test_a_signed_body_that_names_no_run_is_a_bad_request(deliver, body):
    answer = deliver(body)

    assert (answer.status_code, set(answer.json())) == (400, {"detail"})
    assert extras() == []


def test_a_query_that_names_no_workflow_is_a_bad_request(deliver):
    assert deliver({"run_id": JOB}, query="?workflow_id=a/b").status_code == 400


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
def test_it_takes_posts_alone(api, connection, method):
    assert getattr(api(None), method)("/sixtyfour/webhooks/hooks").status_code == 405


def test_a_large_body_is_refused_by_what_it_declares_and_by_what_it_has(api, deliver):
    largest = b'{"run_id": "j-1", "workflow_id": "' + WORKFLOW.encode() + b'"}'
    largest += b" " * (webhooks.LONGEST_BODY - len(largest))
    assert deliver(largest).status_code == 202
    assert deliver(largest + b" ").status_code == 413

    def streamed():
        for _ in range(webhooks.LONGEST_BODY // 1000 + 1):
            yield b" " * 1000

    answer = api(None).post("/sixtyfour/webhooks/hooks", content=streamed())  # chunked: declares nothing
    assert answer.status_code == 413
    assert webhooks._held == 0


def test_more_bytes_than_it_may_hold_are_put_off(deliver, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_HELD", 100)

    assert deliver().status_code == 503
    assert webhooks._held == 0


# Unsigned deliveries


def test_unsigned_ones_are_accepted_where_the_connection_allows_it_with_one_warning(deliver, connection, logs):
    connection(webhook_secret=ONE, allow_unsigned=True)

    assert [deliver(sign=None).status_code for _ in range(3)] == [202, 200, 200]
    assert deliver({**BODY, "results": []}, sign=None).status_code == 202  # another body is another event
    assert deliver(sign=(TWO,)).status_code == 401  # a wrong signature is worse than none
    assert len([text for text in logs.texts("warning") if "without a signature are accepted" in text]) == 1
    found = extras()
    assert [each["unsigned"] for each in found] == [True, True]
    assert all(each["event_id"].startswith("unsigned:") for each in found)


def test_an_unsigned_one_takes_no_id_from_a_signed_one_that_is_to_come(deliver, connection):
    connection(webhook_secret=ONE, allow_unsigned=True)

    assert deliver(sign=None).status_code == 202
    assert deliver().status_code == 202


def test_a_connection_without_any_secret_may_take_unsigned_ones(deliver, connection):
    connection(allow_unsigned="true")

    assert deliver(sign=None).status_code == 202
    assert deliver().status_code == 401  # signed by nobody that it knows


# Failures


def test_a_database_that_fails_is_an_internal_error_without_details(deliver, monkeypatch, logs):
    from airflow_provider_sixtyfour.ui import asset_events

    def fail(*_, **__):
        raise OSError("password of the database")

    monkeypatch.setattr(asset_events, "create_session", fail)

    answer = deliver()

    assert (answer.status_code, answer.json()) == (
        500,
        {"detail": "Could not be recorded. The API server's log says why."},
    )
    assert "could not be recorded, and is answered with 500: OSError" in logs
    monkeypatch.undo()


def test_where_connections_can_not_be_read_it_is_an_internal_error_and_not_an_unknown_one(deliver, monkeypatch):
    from airflow_provider_sixtyfour.ui import asset_events

    class Broken:
        def get_connection(self, conn_id):
            raise OSError("the secrets backend is away")

    class Empty:
        def get_connection(self, conn_id):
            return None

    monkeypatch.setattr(asset_events, "ensure_secrets_loaded", lambda: [Broken(), Empty()])
    assert deliver().status_code == 500
    monkeypatch.setattr(asset_events, "ensure_secrets_loaded", lambda: [Empty()])
    assert deliver().status_code == 404


def test_an_airflow_that_registers_events_otherwise_is_reported(deliver, monkeypatch):
    from airflow_provider_sixtyfour.ui import asset_events

    class Other:
        def register_asset_change(self, *, asset_model, payload):
            raise AssertionError

    monkeypatch.setattr(asset_events, "asset_manager", Other())

    answer = deliver()

    assert answer.status_code == 503
    assert answer.json()["detail"].endswith("asset, extra, session are missing.")


def test_no_secret_is_in_a_log_or_an_answer(deliver, connection, logs):
    connection(webhook_secret=[ONE, TWO], allow_unsigned=True)
    answers = [deliver(), deliver(), deliver(sign=("x",)), deliver(b"no", sign=(TWO,)), deliver(sign=None)]
    connection(webhook_secret=[ONE, 7])
    answers.append(deliver())

    texts = [line.text for line in logs.lines] + [each.text + str(each.headers) for each in answers]
    for secret in (ONE, TWO, "the-api-key", "signature=secret", "lead@example.com"):
        assert not [text for text in texts if secret in text]
    assert redact(f"it is {TWO} indeed") == "it is *** indeed"


def test_what_is_stored_is_bounded(deliver):
    deliver({**BODY, "event_id": "e" * 200, "run_id": "r" * 200, "status": "s" * 500})

    assert len(json.dumps(extras()[0])) < 1000
    assert extras()[0]["payload"]["status"] == "s" * webhook_event.LONGEST_STATUS


# Over a socket, from the emulator itself


@pytest.fixture
def server(api, connection, asset):
    """The receiver under a real server; its address."""
    import uvicorn

    from airflow_provider_sixtyfour.ui.app import app

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=lambda: running.run(sockets=[listening]))
        thread.start()
        until(lambda: running.started)
        yield listening.getsockname()
        running.should_exit = True
        thread.join()


def raw(address, data, seconds=5.0):
    """Send bytes, and return what is answered until the connection ends."""
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer and b"}" in answer:
                break
        return answer.decode()


HEAD = b"POST /webhooks/hooks HTTP/1.1\r\nHost: x\r\n"


def test_a_length_that_is_a_lie_and_a_body_without_one(server):
    content = encoded(BODY)
    sign = f"Sixtyfour-Signature: {signature(content)}\r\n".encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)

    huge = raw(server, HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{")
    short = raw(server, HEAD + sign + b"Content-Length: 5\r\n\r\n" + content)
    # By the server itself, by its parser, or by the receiver.
    assert huge.split()[1] in ("400", "413")
    assert short.split()[1] in ("400", "401")
    assert extras() == []
    chunked = raw(server, HEAD + sign + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert chunked.split()[1] == "202"


def test_who_sends_slowly_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(webhooks, "LONGEST_RECEIPT", 0.3)

    answer = raw(server, HEAD + b'Content-Length: 100\r\n\r\n{"run_id":')

    assert answer.split()[1] == "408"
    assert "connection: close" in answer.lower()
    assert webhooks._held == 0


def test_who_hangs_up_leaves_nothing_behind(server):
    with socket.create_connection(server) as sender:
        sender.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"run_id":')
        until(lambda: webhooks._held > 0)
    until(lambda: webhooks._held == 0)


def test_what_the_emulator_delivers_arrives_also_while_its_secret_is_rolled(server, connection):
    host, port = server
    options = ("--run-seconds", "0", "--queue-seconds", "0", "--requests-per-minute", "0")
    with EmulatorProcess(*options) as emulator:
        secret = emulator.api("POST", "/webhooks/signing-secret")["plaintext"]
        connection(webhook_secret=secret)
        blocks = [
            {
                "block_id": str(uuid.uuid4()),
                "sequence_number": 1,
                "block_type": "a",
                "block_name": "webhook",
                "specs": {},
            },
            {
                "block_id": str(uuid.uuid4()),
                "sequence_number": 2,
                "block_type": "b",
                "block_name": "outgoing_webhook",
                "specs": {"url": f"http://{host}:{port}/webhooks/hooks"},
            },
        ]
        edges = [{"from_block_id": blocks[0]["block_id"], "to_block_id": blocks[1]["block_id"]}]
        body = {
            "workflow_name": "n",
            "workflow_description": "",
            "workflow_definition": {"blocks": blocks, "edges": edges},
        }
        emulator.api("POST", f"/workflows/update_workflow?workflow_id={WORKFLOW}", body)

        def run():
            path = f"/workflows/run?workflow_id={WORKFLOW}"
            job_id = emulator.api("POST", path, {"webhook_payload": [{"name": "Lead"}]})["job_id"]
            return until(
                lambda: [each for each in emulator.deliveries() if each["job_id"] == job_id and each["status"]]
            )[0]

        first = run()
        rolled = emulator.api("POST", "/webhooks/signing-secret/roll", {"expire_overlap_hours": 1})["plaintext"]
        overlapping = run()
        connection(webhook_secret=[rolled, secret])
        both = run()
        connection(webhook_secret=rolled)
        after = run()
        emulator.api("POST", "/webhooks/signing-secret")
        refused = run()

    assert [each["status"] for each in (first, overlapping, both, after, refused)] == [202, 202, 202, 202, 401]
    assert [each["payload"]["job_id"] for each in extras()] == [
        each["job_id"] for each in (first, overlapping, both, after)
    ]
    assert [each["event_id"] for each in extras()] == [each["event_id"] for each in (first, overlapping, both, after)]
