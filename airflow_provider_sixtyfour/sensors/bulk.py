"""The sensor that waits for a bulk job which another task, or somebody else, has started."""

from __future__ import annotations

from typing import ClassVar

from airflow_provider_sixtyfour.api.job_kinds import BULK_JOB, JobKind
from airflow_provider_sixtyfour.sensors.sixtyfour import SixtyfourRunSensor


class SixtyfourBulkJobSensor(SixtyfourRunSensor):
    """
    Wait until a job of Bulk Intelligence has completed; otherwise as ``SixtyfourRunSensor``.

    :param job_id: the job: the ``task_id`` of the API's answer, ``job_id`` here. (templated)
    """

    kind: ClassVar[JobKind] = BULK_JOB
