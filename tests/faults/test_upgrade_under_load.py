"""The version before and this one side by side: an upgrade under load loses nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import cluster
import processes
import pytest
import services
from load_round import Round

from mistral.db.core import schema_version
from tests.lib import version_before
from tests.lib.version_before import UpgradedSite

#: Each kind of process meets each other kind of the other version, also before it has company.
ORDER = ("api-1", "executor-1", "engine-1", "executor-2", "engine-2", "api-2")


@pytest.fixture
def old_site(
    postgresql: services.Service, rabbitmq: services.Service, tmp_path: Path
) -> Iterator[UpgradedSite]:
    """An installation of the version before, on a database of its own."""
    try:
        sources = version_before.extract(tmp_path / "sources")
    except version_before.HistoryMissing as error:
        pytest.skip(str(error))
    with postgresql.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        sections = cluster.broker_sections(
            processes.free_port(), url, rabbitmq.url, suffix, connections=cluster.FEW_CONNECTIONS
        )
        with UpgradedSite(tmp_path / "site", sections, sources) as running:
            running.start_all()
            yield running


@pytest.mark.timeout(600)
def test_one_process_after_the_other(
    old_site: UpgradedSite, seed: int, nothing_lost: Callable[[Round], None]
) -> None:
    url = str(old_site.installation.sections["database"]["connection"])
    assert schema_version.current(url) == "0001"
    made = Round(old_site, seed)
    try:
        with made:
            made.wait_progress()
            old_site.installation.manage_database("upgrade", "head")
            assert schema_version.is_current(url)
            made.wait_progress()
            for name in ORDER:
                old_site.upgrade(name)
                made.wait_progress()
        nothing_lost(made)
    finally:
        made.close()
    refused = old_site.run_old("mistral-server", "--server", "engine")
    assert refused.returncode == 1
    assert "schema is not that of this version" in refused.stderr
