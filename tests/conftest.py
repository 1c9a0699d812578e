"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

# A busy machine is slow, not wrong. In CI the examples are the same each time, so that a change is judged by what it
# changes; elsewhere they are new each time, and find what nobody thought of.
settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("default")
