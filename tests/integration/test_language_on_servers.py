"""The cases of the language on every installation of several processes."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import cluster
import pytest

from tests.lib import http_target
from tests.lib.language_cases import CaseFile, Runs

CASES = Path(__file__).parents[1] / "language" / "cases"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_language(installation: cluster.Cluster) -> None:
    files = CaseFile.all_in(CASES)
    failed = []
    with http_target.running() as target, concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = Runs(pool, installation.url, target)
        runs.begin(files)
        for file in files:
            try:
                runs.end_of(file.name)
            except AssertionError as error:
                failed.append(f"{file.name}: {error}")
    assert not failed, "\n".join(failed)
