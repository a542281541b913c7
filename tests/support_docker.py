"""What a test with the mark `docker` does where Docker cannot run."""

import os
from typing import Never

import pytest


def without_docker(reason: str) -> Never:
    """Skip with the reason; fail where `HEADWATER_REQUIRE_DOCKER` is set, as in `make test-docker`."""
    if os.environ.get("HEADWATER_REQUIRE_DOCKER"):
        pytest.fail(f"HEADWATER_REQUIRE_DOCKER is set and Docker cannot run: {reason}")
    pytest.skip(f"no Docker: {reason}")
