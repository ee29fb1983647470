"""
Invented values for enriched columns, shaped by the name of the column.

Invariant: a value depends on the row and on the column alone, so the same input always gives the same output.
Addresses end in ``.example`` and telephone numbers come from the range kept for fiction: none is anyone's.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

Row = Mapping[str, Any]
Value = str | int | float | bool
Maker = Callable[[int, Row], Value]
"""Takes 64 bits that stand for a row and a column, and the row itself; gives the value."""

_FIRST = ("Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean", "Katherine", "Radia")
_LAST = ("Allen", "Hamilton", "Hopper", "Johnson", "Kay", "Lamarr", "Liskov", "Lovelace", "Perlman", "Turing")
_TITLES = ("Head of Data", "VP Sales", "Data Engineer", "Chief Executive", "Product Manager", "Recruiter")
_SECTORS = ("Software", "Logistics", "Healthcare", "Energy", "Finance", "Education", "Retail")
_PLACES = ("Berlin, Germany", "Leeds, United Kingdom", "Lyon, France", "Austin, United States", "Oslo, Norway")
EMAIL_STATES = ("OK", "OK", "CATCH_ALL", "RISKY", "INVALID")
_STATES = ("verified", "likely", "unknown")
_COMPANIES = ("Analytical Engines", "Bright Harbour", "Copper Fern", "Delta Works", "Evergreen Tools")
_any_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode


def digest(row: Row) -> bytes:
    """Return what identifies a row: a hash of its canonical JSON."""
    return hashlib.blake2b(_canonical(row).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _canonical(row: Row) -> str:
    try:
        return "{" + ",".join([name + encode_basestring(row[key]) for key, name in _members(tuple(row))]) + "}"
    except TypeError:  # not all are strings, as cells of a CSV file are; the encoder takes any, but twice as long
        return _any_canonical(row)


@lru_cache(maxsize=16)
def _members(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return names in their canonical order, each with how it is written."""
    return [(name, f"{encode_basestring(name)}:") for name in sorted(names)]


def number(identity: bytes, purpose: str) -> int:
    """Return 64 bits that depend on the row's identity and on what they are for."""
    return int.from_bytes(hashlib.blake2b(identity + purpose.encode(), digest_size=8).digest(), "big")


def maker(column: str) -> Maker:
    """Return what invents the values of a column."""
    name = column.lower()
    named = next((make for pattern, make in _NAMED if pattern.search(name)), None)
    return named or (lambda seed, row: f"{column}-{seed:016x}"[: len(column) + 9])


def email(row: Row, seed: int) -> str:
    """Return an address for the row's person at the row's company."""
    return f"{_slug(person(row, seed), '.')}@{domain(row, seed)}"


def phone(seed: int) -> str:
    """Return a number of the range kept for fiction."""
    return f"+1{200 + seed % 800}555{100 + seed // 800 % 100:04d}"


def domain(row: Row, seed: int) -> str:
    """Return a domain made of the company's name."""
    return f"{_slug(company(row, seed), '-')}.example"


def person(row: Row, seed: int) -> str:
    """Return the row's own name of a person, else an invented one."""
    for column in ("full_name", "name", "lead_name", "person_name"):
        if isinstance(row.get(column), str) and row[column].strip():
            return str(row[column]).strip()
    parts = [str(row[column]).strip() for column in ("first_name", "last_name") if row.get(column)]
    return " ".join(parts) or f"{_pick(_FIRST, seed)} {_pick(_LAST, seed // 97)}"


def company(row: Row, seed: int) -> str:
    """Return the row's own name of a company, else an invented one."""
    for column in ("company", "company_name", "organization"):
        if isinstance(row.get(column), str) and row[column].strip():
            return str(row[column]).strip()
    return _pick(_COMPANIES, seed // 7)


def title(seed: int) -> str:
    """Return an invented job title."""
    return _pick(_TITLES, seed // 11)


def _slug(text: str, joint: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return joint.join(re.findall(r"[a-z0-9]+", plain)) or f"x{number(text.encode(), 'slug') % 10_000}"


def _pick(choices: tuple[str, ...], seed: int) -> str:
    return choices[seed % len(choices)]


_NAMED: tuple[tuple[re.Pattern[str], Maker], ...] = tuple(
    (re.compile(pattern), make)
    for pattern, make in (
        (r"e-?mail_?status$", lambda seed, row: _pick(EMAIL_STATES, seed)),
        (r"status$", lambda seed, row: _pick(_STATES, seed)),
        (r"e-?mail", lambda seed, row: email(row, seed)),
        (r"phone|mobile", lambda seed, row: phone(seed)),
        (r"linkedin.*company|company.*linkedin", lambda seed, row: _linkedin("company", company(row, seed))),
        (r"linkedin", lambda seed, row: _linkedin("in", person(row, seed))),
        (r"website|domain|url", lambda seed, row: f"https://{domain(row, seed)}"),
        (r"first_?name", lambda seed, row: _pick(_FIRST, seed)),
        (r"last_?name", lambda seed, row: _pick(_LAST, seed)),
        (r"employees|headcount|employee_count|size", lambda seed, row: seed % 5_000 + 1),
        (r"revenue|funding", lambda seed, row: (seed % 900 + 1) * 100_000),
        (r"founded|year", lambda seed, row: 1970 + seed % 55),
        (r"score|confidence", lambda seed, row: seed % 101 / 100),
        (r"^is_|^has_", lambda seed, row: seed % 2 == 1),
        (r"title|role|position|job", lambda seed, row: _pick(_TITLES, seed)),
        (r"industry|sector", lambda seed, row: _pick(_SECTORS, seed)),
        (r"location|city|country|headquarters|address", lambda seed, row: _pick(_PLACES, seed)),
        (r"company|organi[sz]ation|employer", lambda seed, row: company(row, seed)),
        (r"name", lambda seed, row: person(row, seed)),
    )
)


def _linkedin(section: str, name: str) -> str:
    return f"https://linkedin.example/{section}/{_slug(name, '-')}"
