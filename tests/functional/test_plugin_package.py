"""A package of somebody else brings actions and functions; installing it is all that it takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cluster
import processes

from tests.lib.flows import Flows

PLUGIN = Path(__file__).resolve().parents[1] / "plugin"


def test_an_installed_package_brings_actions_and_functions(tmp_path: Path) -> None:
    # building leaves files behind, so a copy is built
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(PLUGIN, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    # the environment's own setuptools builds it: nothing is fetched
    command += ["--no-build-isolation", "--no-index", "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=100, env=processes.clean_environment())
    run_dir = tmp_path / "run"
    url = f"sqlite:///{run_dir / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url)
    sections["expressions"] = {"allowed_languages": "yaql,jinja,paths"}
    with cluster.Cluster(run_dir, sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "all", environment={"PYTHONPATH": str(target)})
        installation.wait_ready()
        flows = Flows(installation.url)
        run = flows.launch("""
        main:
          output:
            unlocked: <% task(unlock).result %>
            greeting: <% task(greet).result %>
            answer: <% task(ask).result %>
            letters: ["<% initials(fullName => 'Ada Lovelace') %>", "{{ initials('A B') }}"]
            path: $[asked.why]
          tasks:
            greet: {action: plugin.greet name="World", on-success: ask}
            ask:
              action: plugin.ask question="Why"
              publish: {asked: {why: [1, 2]}}
              on-success: [impossible, unlock]
            unlock:
              action: plugin.unlock pin="2718"
              input: {badge: {id: 7}, options: {door: 3, door_token: abc}}
            paint: {action: plugin.paint size="medium" pin="2718", on-error: noop}
            impossible: {action: plugin.ask question="impossible", on-error: noop}
        """)
        run.finish("ask", "because")
        run.wait()
        assert run.output == {
            "unlocked": True,
            "greeting": {"text": "Hello, World!", "workflow": "main"},
            "answer": "because",
            "letters": ["AL", "AB"],
            "path": [1, 2],
        }
        (action,) = run.actions("unlock")
        assert action["input"] == {
            "pin": "***",
            "badge": "***",
            "options": {"door": 3, "door_token": "***"},
        }
        assert run.task("impossible")["state_info"] == "Nobody can answer that."
        painted = run.task("paint")["state_info"]
        assert "size must be small or large, not medium (pin ***)" in painted
        label = f"[action=plugin.paint, action_ex_id={run.actions('paint')[0]['id']}]"
        log = installation.processes["mistral"].log.read_text()
        assert f"\n{label} mixing colours\n" in log
        assert f"WARNING root [-] {label} all of the colours\n" in log
        assert 'raise ValueError(f"size must be small or large' in log
        assert "(pin ***)" in log
        assert "pin 2718" not in log
        dry = flows.start(dry_run=True).wait("SUCCESS")
        assert dry.output["greeting"] == {"text": "a greeting", "workflow": None}
        found = flows.ok("GET", "/actions/plugin.greet")
        assert found["input"] == 'name, greeting="Hello"'
