"""How long a property is searched for a counterexample."""

from hypothesis import HealthCheck, settings

# Two cores that others use too: no deadline for one example, and nothing kept between runs.
searched = settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
