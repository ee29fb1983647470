"""Names of columns, checked before they decide what is sent: each there, and each once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


def check_renamed(renamed: Any) -> dict[str, str]:
    """
    Return new names of columns by their old ones.

    :param renamed: such as ``{"Company Name": "company"}``, or ``None``.
    :raises SixtyfourInputError: if it isn't that, or gives two columns one name.
    """
    if renamed is None:
        return {}
    if not isinstance(renamed, Mapping) or not all(
        isinstance(name, str) and name for pair in renamed.items() for name in pair
    ):
        raise SixtyfourInputError(
            f"rename_columns should give new names by old ones, such as {{'Company Name': 'company'}}, "
            f"not {renamed!r:.120}."
        )
    if odd := [name for name in renamed.values() if name != name.encode("utf-8", "replace").decode()]:
        raise SixtyfourInputError(
            f"rename_columns gives the name {odd[0][:60]!a}, which has half a surrogate pair in it."
        )
    refuse_twice(renamed.values(), "rename_columns gives two columns the name")
    return dict(renamed)


def check_names(names: Any, parameter: str) -> tuple[str, ...]:
    """
    Return names of columns, each once.

    :param names: a name, a list of names, or ``None``.
    :raises SixtyfourInputError: if it isn't that.
    """
    listed = [names] if isinstance(names, str) else names if names is not None else []
    if not isinstance(listed, Iterable) or isinstance(listed, Mapping | bytes):
        listed = [None]
    listed = list(listed)
    if not all(isinstance(name, str) and name for name in listed):
        raise SixtyfourInputError(f"{parameter} should be names of columns, not {names!r:.120}.")
    refuse_twice(listed, f"{parameter} has twice the name")
    return tuple(listed)


def refuse_twice(names: Iterable[str], what: str) -> None:
    """
    Check that no name comes twice.

    :param what: the message up to that name.
    :raises SixtyfourInputError: if one does.
    """
    known = set[str]()
    for name in names:
        if name in known:
            raise SixtyfourInputError(f"{what} {name[:60]!r}.")
        known.add(name)


def refuse_missing(where: str, wanted: Iterable[str], there: Collection[str]) -> None:
    """
    Check that all wanted names are there.

    :param where: the input, for the message.
    :raises SixtyfourInputError: if one isn't.
    """
    if missing := [name for name in wanted if name not in there]:
        listed = ", ".join(repr(name[:60]) for name in list(there)[:20])
        raise SixtyfourInputError(f"There is no column {missing[0][:60]!r}; there are: {listed or 'none'}. In {where}.")


def refuse_missing_or_double(where: str, wanted: Iterable[str], there: Sequence[str]) -> None:
    """
    Check that there is one column of each wanted name; parameters as for `refuse_missing`.

    :raises SixtyfourInputError: if there isn't.
    """
    wanted = list(wanted)
    refuse_missing(where, wanted, there)
    for name in wanted:
        if there.count(name) > 1:
            raise SixtyfourInputError(f"There are two columns of the name {name[:60]!r}. In {where}.")


class Seen:
    """
    Which wanted names have come up in rows that each have columns of their own.

    :param where: the input, for the message.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._missing = set[str]()
        self._other: dict[str, None] = {}
        self._has_rows = False

    def want(self, names: Iterable[str]) -> None:
        """Look out for names."""
        self._missing.update(names)

    def note(self, row: Mapping[str, Any]) -> None:
        """Look at a row."""
        self._has_rows = True
        if self._missing:
            self._missing -= row.keys()
            if len(self._other) < 20:
                self._other.update(dict.fromkeys(row))

    def check(self) -> None:
        """
        Check, after the last row, that every name has come up.

        :raises SixtyfourInputError: if one hasn't, in an input with rows.
        """
        if self._has_rows:
            refuse_missing(self._where, sorted(self._missing), list(self._other) if self._missing else ())
