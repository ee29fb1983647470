from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from airflow_provider_sixtyfour import exceptions
from airflow_provider_sixtyfour.exceptions import SixtyfourError

# What those take besides their message.
ARGUMENTS = {"job_id": "job-1", "status": "failed"}


def kinds(base: type[SixtyfourError] = SixtyfourError) -> Iterator[type[SixtyfourError]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def made(kind: type[SixtyfourError]) -> SixtyfourError:
    try:
        return kind("why")
    except TypeError:
        return kind("why", **ARGUMENTS)


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.__module__ == exceptions.__name__])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_every_error_can_be_pickled_and_copied(kind, again):
    error = made(kind)
    error.add_note("noted")
    for name in vars(error).keys() & {"status", "retry_after", "may_have_worked"}:
        setattr(error, name, 7)  # what isn't the default

    other = again(error)

    assert other is not error
    assert type(other) is kind
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


class Demanding(SixtyfourError):
    """An error of somebody else's, with arguments of its own."""

    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}")
        self.number = number


def test_so_can_an_error_that_is_derived_from_them():
    other = pickle.loads(pickle.dumps(Demanding(number=3)))  # noqa: S301

    assert (str(other), other.number) == ("number 3", 3)
