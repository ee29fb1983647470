"""
What runs cost here: examples, so that budgets can be tried. They are no price list of the service.

Invariant: every price of the emulator is in this module, in US cents; 1 credit is 10 cents.
"""

from __future__ import annotations

CENTS_PER_CREDIT = 10

EXAMPLE_CENTS = {
    "lead_enrichment": 10,
    "company_enrichment": 10,
    "linkedin_enrichment": 10,
    "find_email": 5,
    "find_email:PERSONAL": 20,
    "find_phone": 30,
    "verify_email": 1,
    "reverse_email": 5,
    "reverse_phone": 5,
    "validate_phone": 1,
    "research_agent": 20,
    "qa_agent": 5,
}
"""Cents for each row that a block gets, by block name, or by block name and mode."""

EXAMPLE_TIER_CENTS = {"micro": 2, "low": 5, "medium": 15, "high": 50, "xhigh": 100, "scout": 200}
"""Cents for each row of a bulk job, by tier."""

EXAMPLE_FOUND_PERSON_CENTS = 5
"""Cents more for each company of a bulk job that also finds people."""


def credits_of(cents: float) -> float:
    """Return an amount in credits."""
    return cents / CENTS_PER_CREDIT
