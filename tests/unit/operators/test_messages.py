"""What a user reads in a log view that does not wrap: causes first, ids last, one line of numbers at the end."""

import re

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRunFailedError
from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from tests.unit.conftest import ROWS
from tests.unit.standins import Task

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
ID = r"[0-9a-f-]{36}"
VISIBLE = 80  # characters of a line that show without scrolling


def run(workflow, **arguments):
    arguments = {"webhook_payload": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments))


def enrich(workflow, folder, **arguments):
    arguments = {"rows": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(
        lambda: SixtyfourEnrichOperator(task_id="enrich", workflow_id=workflow, destination=str(folder), **arguments)
    )


@BOTH_MODES
def test_a_run_ends_with_one_line_of_numbers(emulator, workflow, deferrable, logs):
    run(workflow, deferrable=deferrable).run()

    line = logs.texts()[-1]
    assert re.fullmatch(
        rf"Completed in [\d.]+ s: 2 rows in, 2 rows out, \d+ credits\. Run {ID}, workflow {workflow}\.", line
    )
    assert not re.search(ID, line[:VISIBLE].partition(". Run")[0])


@BOTH_MODES
def test_an_enrichment_ends_with_one_line_of_numbers(emulator, workflow, deferrable, logs, tmp_path):
    folder = f"file://{tmp_path}/out"
    enrich(workflow, folder, deferrable=deferrable).run()

    assert f"Input: 2 rows of this task. Destination: {folder}." in logs
    assert re.fullmatch(
        rf"Completed in [\d.]+ s: 2 rows in, 2 rows out, \d+ credits, 1 file, \d+ bytes\. Files: {re.escape(folder)}\. "
        rf"Run {ID}, workflow {workflow}\.",
        logs.texts()[-1],
    )


def test_an_enrichment_that_was_done_before_is_logged_as_such(emulator, workflow, logs, tmp_path):
    folder = f"file://{tmp_path}/out"
    enrich(workflow, folder).run()
    enrich(workflow, folder).run()

    assert logs.texts()[-1].startswith("Done before, nothing was sent; checked in ")
    assert len(emulator.submissions()) == 1


@BOTH_MODES
def test_the_cause_of_a_failure_is_logged_once_as_an_error_and_first(emulator, workflow, deferrable, logs):
    emulator.plan(fail_block=2, error_message="quota exceeded")

    with pytest.raises(SixtyfourRunFailedError) as failure:
        run(workflow, deferrable=deferrable).run()

    errors = logs.texts("error")
    assert errors[-1] == str(failure.value)
    assert all(text.startswith("Failed in block 'company_enrichment' (2): quota exceeded.") for text in errors)
    assert len(errors) == (2 if deferrable else 1)  # one in the triggerer, one on the worker


def test_a_refusal_is_logged_as_an_error_and_raised_without_a_chain(emulator, workflow, logs):
    emulator.fault("answer", path="/workflows/run", status=402, body={"detail": "no credits"}, times=9)

    with pytest.raises(AirflowFailException) as failure:
        run(workflow).run()

    assert logs.texts("error") == [str(failure.value)]
    assert str(failure.value).startswith("Sixtyfour answered 402: no credits.")
    assert failure.value.__suppress_context__


def test_an_error_without_a_log_is_only_raised():
    with pytest.raises(AirflowFailException, match="nonsense"), non_retryable_errors():
        raise SixtyfourInputError("nonsense")


@pytest.mark.parametrize("name", ["webhook_payload", "resource_handle_id"])
def test_an_input_that_an_upstream_task_did_not_return_is_named(emulator, workflow, name):
    given = {"webhook_payload": None, "resource_handle_id": None, name: "{{ none }}"}
    one = run(workflow, **given)
    operator = one.operator()
    setattr(operator, name, None)  # what Airflow puts in the place of an upstream task's output

    with pytest.raises(AirflowFailException, match=f"^{name} is None: did the upstream task return it"):
        one.go(operator)

    assert emulator.requests() == []


@pytest.mark.parametrize("name", ["source", "rows"])
def test_an_input_of_an_enrichment_that_was_not_returned_is_named(emulator, workflow, name, tmp_path):
    one = enrich(workflow, f"file://{tmp_path}", **{"source": None, "rows": None, name: "{{ none }}"})
    operator = one.operator()
    setattr(operator, name, None)

    with pytest.raises(AirflowFailException, match=f"^{name} is None: did the upstream task return it"):
        one.go(operator)

    assert emulator.requests() == []


@pytest.mark.parametrize("text", ["[{'name': 'Lead One'}]", "{'name': None}", "  [ {'a': 1}]"])
def test_the_text_of_a_python_value_gets_a_hint(emulator, workflow, text):
    with pytest.raises(AirflowFailException, match=r"webhook_payload is not valid JSON: .* filter tojson"):
        run(workflow, webhook_payload=text).run()

    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("template", "what"),
    [("{{ nothing }}", "empty"), (" \n", "empty"), ("{{ none }}", "None"), ("{{ none | tojson }}", "null")],
)
def test_a_template_that_gives_no_rows_is_named_and_nothing_is_sent(emulator, workflow, tmp_path, template, what):
    for one, name in (
        (run(workflow, webhook_payload=template), "webhook_payload"),
        (enrich(workflow, f"file://{tmp_path}", rows=template), "rows"),
    ):
        with pytest.raises(AirflowFailException, match=f"^{name} is {what}: did the upstream task return it"):
            one.run()

    assert emulator.submissions() == []


def test_null_for_specs_override_is_none(emulator, workflow):
    run(workflow, specs_override="{{ none | tojson }}").run()

    assert "specs_override" not in emulator.bodies()[0]


@pytest.mark.parametrize(
    ("text", "why"), [("[" * 100_000, "nested too deeply"), ('[{"a": %s}]' % ("9" * 5000), "4,300")]
)
def test_what_python_can_not_read_is_said_without_its_advice(emulator, workflow, text, why):
    with pytest.raises(AirflowFailException, match=f"webhook_payload is not valid JSON: it .*{why}") as failure:
        run(workflow, webhook_payload=text).run()

    assert "set_int_max" not in str(failure.value)
    assert "recursion" not in str(failure.value)


def test_a_byte_order_mark_before_json_is_no_part_of_it(emulator, workflow):
    run(workflow, webhook_payload='\ufeff[{"name": "Lead One"}]').run()

    assert emulator.bodies()[0]["webhook_payload"] == [{"name": "Lead One"}]


def test_other_text_that_is_no_json_gets_none(emulator, workflow):
    with pytest.raises(AirflowFailException, match="is not valid JSON") as failure:
        run(workflow, webhook_payload='[{"name": "Lead One"}').run()

    assert "tojson" not in str(failure.value)


@pytest.mark.parametrize(
    ("content", "more", "cause"),
    [
        (b"a,b\n1\n", {}, "the header has 2 cells, this row 1"),
        (b"a,b\n1,\xff\n", {}, "not UTF-8"),
        (b"a,b\n1,2\n", {"required": "c"}, "no column 'c'"),
        (b"a,a\n1,2\n", {"required": "a"}, "two columns of the name 'a'"),
        (b"a,b\n1,2\n3,4\n", {"max_rows": 1}, "more than the 1 rows of max_rows"),
        (b"a,b\n1,2\n3,4\n", {"max_runs": 1, "batch_rows": 1}, "more than the 1 batches of max_runs"),
        (b"\n", {}, "The file is empty"),
    ],
)
def test_what_is_wrong_with_a_file_is_seen_however_long_its_path_is(tmp_path, content, more, cause):
    file = tmp_path / ("folder-" * 20) / "leads.csv"
    file.parent.mkdir()
    file.write_bytes(content)

    with pytest.raises(AirflowFailException) as failure:
        Task(
            lambda: SixtyfourSplitInputOperator(
                task_id="split", source=f"file://{file}", destination=f"file://{tmp_path}/sent", **more
            )
        ).run()

    assert cause in str(failure.value)[:VISIBLE]
    assert str(file) in str(failure.value)
