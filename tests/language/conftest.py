"""All cases of the language run at once on one service; each test waits for its own."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import cluster
import pytest

from tests.lib import http_target
from tests.lib.language_cases import CaseFile, Runs

CASES = Path(__file__).parent / "cases"
AT_ONCE = 8


@pytest.fixture(scope="session")
def selected(request: pytest.FixtureRequest) -> list[CaseFile]:
    """The cases whose tests run in this session, in the order of the tests."""
    names = [
        item.callspec.params["case"].name
        for item in request.session.items
        if isinstance(item, pytest.Function) and "case" in getattr(item, "fixturenames", ())
    ]
    by_name = {file.name: file for file in CaseFile.all_in(CASES)}
    return [by_name[name] for name in dict.fromkeys(names)]


@pytest.fixture(scope="session")
def runs(embedded: cluster.Cluster, selected: list[CaseFile]) -> Iterator[Runs]:
    """Those cases on the embedded service."""
    with (
        http_target.running() as target,
        concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        started = Runs(pool, embedded.url, target)
        started.begin(selected)
        yield started
