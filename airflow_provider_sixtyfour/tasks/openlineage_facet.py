"""The facet of a run at Sixtyfour; a module of its own, since its class stands on what OpenLineage's client has."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import attr

# By name, as all that has no type hints here.
_BASE: Any = import_module("airflow.providers.common.compat.openlineage.facet").RunFacet

SixtyfourRunFacet = attr.make_class(
    "SixtyfourRunFacet",
    {
        "jobId": attr.field(),
        "workflowId": attr.field(default=None),
        "status": attr.field(default=None),
        "rows": attr.field(default=None),
        "credits": attr.field(default=None),
        "blocks": attr.field(factory=list),
        "failedBlock": attr.field(default=None),
    },
    bases=(_BASE,),
)
"""
A run at Sixtyfour, in the run facet ``sixtyfour_run``; its members are spelled as OpenLineage spells its own.

``status`` is how it ended, such as ``completed``; ``rows`` are those of its input; ``credits`` is what it has cost;
``blocks`` are the names of its blocks, in their order, and ``failedBlock`` is the one that failed. What isn't known is
``None``.
"""
