"""The test plug-in as an installed package, without the seconds that an installation takes.

``tests/functional/test_plugin_package.py`` installs it as operators do.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1] / "plugin"
_GROUPS = "mistral.actions", "mistral.expression.functions", "mistral.expression.evaluators"


def installed(directory: Path) -> dict[str, str]:
    """Put it into a directory; the environment in which a process finds it there."""
    shutil.copytree(_SOURCE / "mistral_test_plugin", directory / "mistral_test_plugin")
    project = tomllib.loads((_SOURCE / "pyproject.toml").read_text())["project"]
    information = directory / "mistral_test_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group in _GROUPS:
        lines += [f"[{group}]", *(f"{n} = {v}" for n, v in project["entry-points"][group].items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": str(directory)}
