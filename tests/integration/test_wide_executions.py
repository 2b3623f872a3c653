"""Completing one of many tasks reads what belongs to it, not the others (law 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster
import processes
import pytest

from mistral import config
from mistral.cmd import assembly
from mistral.db.core import fast_statements, schema_version
from tests.lib.flows import Flows

FEW, MANY, COMPLETED = 10, 90, 5
NOISE = 20
"""Rows that the relay may meet meanwhile."""


class Rows:
    """How many rows were read."""

    count = 0


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Counts what the engine's statements return."""
    found = Rows()
    select = fast_statements.select

    def counting(*args: Any) -> list[list[Any]]:
        result = select(*args)
        found.count += len(result)
        return result

    monkeypatch.setattr(fast_statements, "select", counting)
    return found


@pytest.fixture
def flows(rows: Rows, fresh_sqlite_url: str, tmp_path: Path) -> Iterator[Flows]:
    """The whole service in this process."""
    schema_version.upgrade(fresh_sqlite_url)
    sections = cluster.embedded_sections(processes.free_port(), fresh_sqlite_url)
    path = cluster.write_config(tmp_path / "mistral.conf", sections)
    service = assembly.build_service(config.load(["--config-file", str(path)]))
    service.start()
    yield Flows(f"http://127.0.0.1:{sections['api']['port']}")
    service.stop(graceful=True)


def wide(width: int) -> str:
    """Tasks that wait for a third party, each repaired after an error, then a join of all."""
    lines = [f"w{width}:", "  tasks:", f"    end: {{join: {width}, action: std.noop}}"]
    for n in range(width):
        lines.append(f"    t{n}: {{action: std.async_noop, on-success: end, on-error: fix{n}}}")
        lines.append(f"    fix{n}: {{action: std.noop, on-success: end}}")
    return "\n".join(lines) + "\n"


def read_by_completions(flows: Flows, rows: Rows, width: int) -> int:
    flows.define(wide(width))
    execution = flows.start(f"w{width}")
    ids = [execution.wait_actions(f"t{n}")[0] for n in range(COMPLETED + 1)]
    flows.complete(ids[0])  # makes the join
    execution.wait_task("t0", "SUCCESS")
    before = rows.count
    for n in range(1, COMPLETED + 1):
        flows.complete(ids[n])
        execution.wait_task(f"t{n}", "SUCCESS")
    return rows.count - before


@pytest.mark.timeout(180)
def test_the_others_are_not_read(flows: Flows, rows: Rows) -> None:
    few = read_by_completions(flows, rows, FEW)
    many = read_by_completions(flows, rows, MANY)
    assert few > COMPLETED
    assert many <= few + NOISE, (few, many)
