"""What is said of a configuration at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral import config
from mistral.cmd import launch, remarks


def test_unknown_settings_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "m.conf"
    file.write_text("[api]\nprot = 1\n")
    remarks.make(config.load(["--config-file", str(file)]))
    (record,) = [r for r in caplog.records if "prot" in r.getMessage()]
    assert record.levelname == "WARNING"
    assert f"[api] prot (did you mean port?) in {file}" in record.getMessage()


@pytest.mark.parametrize("by_file", [True, False])
def test_strict_ends_the_start(
    tmp_path: Path, by_file: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.conf"
    strict = "[DEFAULT]\nstrict = true\n" if by_file else ""
    file.write_text(f"{strict}[api]\nprot = 1\n")
    line = ["--config-file", str(file)] + ["--strict"] * (not by_file)
    assert launch.main(line) == 1
    (text,) = capsys.readouterr().err.splitlines()
    assert text.startswith("mistral-server: Nobody knows these settings: [api] prot (did you mean")
