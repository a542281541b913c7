"""What every test finds here: fixed examples for the property tests."""

import os

from hypothesis import HealthCheck, settings

_SHARED = (HealthCheck.too_slow, HealthCheck.data_too_large)

# `fixed` finds the same examples on each run, so a red build is red for everybody.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, print_blob=True, suppress_health_check=_SHARED
)
settings.register_profile(
    "random", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=_SHARED
)
settings.load_profile(os.environ.get("HEADWATER_HYPOTHESIS", "fixed"))
