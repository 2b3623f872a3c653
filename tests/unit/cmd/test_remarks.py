"""What is said of a configuration at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral import config
from mistral.cmd import assembly, launch, remarks
from mistral.config.options import GROUPS


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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mistral.example"])
def test_an_open_door_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str) -> None:
    file = tmp_path / "m.conf"
    file.write_text(f"[api]\nhost = {host}\n[pecan]\nauth_enable = false\n")
    remarks.make(config.load(["--config-file", str(file)]))
    (record,) = [r for r in caplog.records if "without authentication" in r.getMessage()]
    assert (record.levelname, host in record.getMessage()) == ("WARNING", True)


@pytest.mark.parametrize(
    "text",
    [
        "[api]\nhost = 127.0.0.1\n[pecan]\nauth_enable = false\n",
        "[api]\nhost = ::1\n[pecan]\nauth_enable = false\n",
        "[api]\nhost = localhost\n[pecan]\nauth_enable = false\n",
        "[api]\nhost = 0.0.0.0\n[pecan]\nauth_enable = true\n",
        "[DEFAULT]\nserver = engine\n[api]\nhost = 0.0.0.0\n[pecan]\nauth_enable = false\n",
    ],
)
def test_a_closed_door_is_not(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.conf"
    file.write_text(text)
    assert remarks.on_access(config.load(["--config-file", str(file)])) is None


@pytest.mark.parametrize(
    ("text", "links", "callbacks"),
    [
        ("", None, "http://127.0.0.1:8989"),
        ("public_url = https://a/\n", "https://a", "https://a"),
        ("callback_base_url = https://b\n", "https://b", "https://b"),
        ("public_url = https://a\ncallback_base_url = https://b\n", "https://a", "https://b"),
        ("callback_base_url =\n", None, ""),
    ],
)
def test_addresses_that_others_are_told(
    tmp_path: Path, text: str, links: str | None, callbacks: str
) -> None:
    file = tmp_path / "m.conf"
    file.write_text(f"[api]\n{text}")
    conf = config.load(["--config-file", str(file)])
    assert (assembly.public_url(conf), assembly.callback_base_url(conf)) == (links, callbacks)


def test_lifted_limits_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "m.conf"
    file.write_text(
        "[engine]\nitems_limit = -1\n[action_std_ssh]\ncommand_timeout = 0\n"
        "[action_std_http]\ndenied_cidrs =\n"
    )
    remarks.make(config.load(["--config-file", str(file)]))
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert [text.partition(" lifts")[0] for text in said if "lifts" in text] == [
        "[engine] items_limit = -1",
        "[action_std_ssh] command_timeout = 0",
    ]
    assert any("denied_cidrs is empty" in text for text in said)


def test_whoever_lifts_limits_is_told_of_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lifted = [
        (group, option.name)
        for group, options in GROUPS.items()
        for option in options
        if (option.help or "").endswith("-1 lifts the limit.")
    ]
    assert ("definitions", "max_length") in lifted
    text = "\n".join(f"[{group}]\n{name} = -1" for group, name in lifted)
    file = tmp_path / "mistral.conf"
    file.write_text(f"{text}\n[expressions]\nmax_filter_length = pprint:-1\n")
    remarks.make(config.load(["--config-file", str(file)]))
    for group, name in lifted:
        assert f"[{group}] {name} = -1 lifts a limit" in caplog.text
    assert "[expressions] max_filter_length = pprint:-1 lifts a limit" in caplog.text
