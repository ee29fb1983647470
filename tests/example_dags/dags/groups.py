"""Dags around the batch group, for what an example needn't show."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, task

from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment

START = datetime(2026, 1, 1)
PARAMS = {"workflow_id": "", "source": "", "destination": ""}


def group(**arguments):
    given = {name: f"{{{{ params.{name} }}}}" for name in PARAMS}
    merge_into = "{{ params.destination }}/enriched.csv"
    return sixtyfour_enrichment(group_id="leads", **{**given, "merge_into": merge_into, **arguments})


with DAG("behind_a_skipped_task", schedule=None, start_date=START, params=PARAMS):

    @task
    def nothing_today():
        raise AirflowSkipException("nothing today")

    nothing_today() >> group().group

with DAG("behind_a_short_circuit", schedule=None, start_date=START, params=PARAMS):

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def is_there_any():
        return False

    is_there_any() >> group().group

with DAG("behind_a_branch", schedule=None, start_date=START, params=PARAMS):

    @task.branch
    def choose():
        return "other"

    @task
    def other():
        pass

    choose() >> [other(), group().group]

with DAG("with_a_failing_split", schedule=None, start_date=START, params=PARAMS):
    group(max_rows=1)

with DAG("with_upstream_parameters", schedule=None, start_date=START, params=PARAMS):

    @task(multiple_outputs=True)
    def given(params):
        return dict(params)

    values = given()
    group(
        workflow_id=values["workflow_id"],
        source=values["source"],
        destination=values["destination"],
        merge_into=f"{values['destination']}/enriched.csv",
    )
