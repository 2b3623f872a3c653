"""What happens to a test whose service is missing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
import services


@contextlib.contextmanager
def needed() -> Iterator[None]:
    """Skip the test when a service is missing; with MISTRAL_TEST_REQUIRE_SERVICES=1 it fails."""
    try:
        yield
    except services.ServiceMissing as error:
        if os.environ.get("MISTRAL_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{error} (MISTRAL_TEST_REQUIRE_SERVICES=1)", pytrace=False)
        pytest.skip(str(error))
