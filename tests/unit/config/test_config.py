"""Finding, reading and checking configurations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from oslo_config import cfg, generator

from mistral import config
from mistral.config.feature_options import IGNORED
from mistral.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("MISTRAL_CONFIG_FILE", "MISTRAL_CONFIG_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.conf"
    path.write_text("[DEFAULT]\nserver = engine\n[api]\nport = 1234\n")
    return path


def test_without_a_file_everything_is_embedded(tmp_path: Path) -> None:
    conf = config.load([], environ={"XDG_DATA_HOME": str(tmp_path / "data")})
    assert config.is_embedded(conf)
    assert conf.transport_url == "fake:/"
    assert conf.database.connection == f"sqlite:///{tmp_path}/data/mistral/mistral.sqlite"
    assert not conf.pecan.auth_enable
    assert conf.api.host == "127.0.0.1"
    assert "127.0.0.0/8" not in conf.action_std_http.denied_cidrs
    assert not (tmp_path / "data").exists()


def test_the_data_directory_is_the_users(tmp_path: Path) -> None:
    conf = config.load([], environ={})
    expected = f"sqlite:///{tmp_path}/home/.local/share/mistral/mistral.sqlite"
    assert conf.database.connection == expected


def test_with_a_file_the_contracts_defaults_hold(file: Path) -> None:
    conf = config.load(["--config-file", str(file)])
    assert not config.is_embedded(conf)
    assert (conf.api.port, conf.api.host, conf.api.max_limit) == (1234, "0.0.0.0", 1000)
    assert conf.transport_url == "rabbit://"
    assert conf.database.connection == "sqlite:///mistral.sqlite"
    assert conf.pecan.auth_enable
    assert conf.executor.type == conf.notifier.type == "remote"
    assert conf.rpc_response_timeout == 60
    assert conf.engine.execution_field_size_limit_kb == 1024
    assert "127.0.0.0/8" in conf.action_std_http.denied_cidrs


@pytest.mark.parametrize(
    "line",
    [
        ["--server", "api", "--config-file", "FILE"],
        ["--config-file", "FILE", "--server", "api"],
        ["--server", "api", "--config-file=FILE", "--debug"],
    ],
)
def test_files_may_stand_anywhere_and_other_words_win(file: Path, line: list[str]) -> None:
    conf = config.load([word.replace("FILE", str(file)) for word in line])
    assert conf.server == ["api"]
    assert conf.api.port == 1234


def test_a_directory_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "one.conf").write_text("[api]\nport = 77\n")
    conf = config.load(["--server", "api", "--config-dir", str(tmp_path / "dir")])
    assert conf.api.port == 77
    assert not config.is_embedded(conf)


def test_the_environment_names_a_file_or_a_directory(tmp_path: Path, file: Path) -> None:
    assert config.load([], environ={"MISTRAL_CONFIG_FILE": str(file)}).api.port == 1234
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "one.conf").write_text("[api]\nport = 77\n")
    conf = config.load([], environ={"MISTRAL_CONFIG_DIR": str(tmp_path / "dir")})
    assert conf.api.port == 77


def test_files_are_searched_in_the_usual_places(tmp_path: Path) -> None:
    (tmp_path / "home" / ".mistral").mkdir()
    (tmp_path / "home" / ".mistral" / "mistral.conf").write_text("[api]\nport = 88\n")
    conf = config.load([])
    assert conf.api.port == 88
    assert not config.is_embedded(conf)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[api]\nport = abc\n", r"^\[api\] .*port.*some\.conf is not valid: .*'abc'$"),
        ("[api]\nvalidation_mode = maybe\n", r"^\[api\] .*validation_mode.*maybe"),
        ("[execution_expiration_policy]\nignored_states = RUNNING\n", "RUNNING"),
        ("[expressions]\nallowed_languages = perl\n", "perl"),
        ("[DEFAULT]\nserver = engine,kitchen\n", "no component 'kitchen'; known are all, api,"),
        ("nonsense\n", "Failed to parse .*some.conf"),
        ("[api]\nenable_ssl_api = true\n", "needs .ssl. cert_file"),
        (
            "[api]\nenable_ssl_api = true\n[ssl]\ncert_file = /nowhere/c\nkey_file = /nowhere/k\n",
            "no file /nowhere/c",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line(file: Path, content: str, complaint: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        config.load(["--config-file", str(file)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["--server", "foo"], "no component 'foo'"),
        (["--bogus"], "^unrecognized arguments: --bogus$"),
        (["--config-file", "/nowhere/x.conf"], "/nowhere/x.conf"),
        (["--config-dir", "/nowhere"], "/nowhere"),
        (["--config-file"], "expected one argument"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(line: list[str], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        config.load(line)
    assert "\n" not in str(caught.value)


def test_unknown_options_and_groups_are_accepted(file: Path) -> None:
    file.write_text(
        "[DEFAULT]\nnew_thing = 1\n[keystone_authtoken]\nauth_url = http://x\n[what]\never = 1\n"
    )
    config.load(["--config-file", str(file)])


def test_options_without_effect_are_reported_when_set(file: Path) -> None:
    file.write_text("[api]\napi_workers = 4\n[engine]\nversion = 2.0\nhost = e1\n")
    conf = config.load(["--config-file", str(file)])
    assert config.ignored_settings(conf) == ["[api] api_workers", "[engine] version"]


def test_configurations_do_not_share_anything(file: Path) -> None:
    first = config.load(["--config-file", str(file)])
    first.set_override("port", 5, group="api")
    assert config.load(["--config-file", str(file)]).api.port == 1234


def test_version_and_help_leave_normally(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("--version", "--help"):
        with pytest.raises(SystemExit) as leaving:
            config.load([word])
        assert not leaving.value.code
    output = capsys.readouterr().out
    assert "mistral-server " in output
    assert "--server LIST" in output
    assert "embedded" in output


def test_the_generator_knows_our_options(tmp_path: Path) -> None:
    sample = tmp_path / "sample.conf"
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(["--namespace", "mistral.config", "--output-file", str(sample)], project="mistral")
    generator.generate(conf)
    text = sample.read_text()
    for line in ("[api]", "#max_request_body_size = 20971520", "#relay_interval = 2.0"):
        assert line in text


def test_every_option_without_effect_is_documented() -> None:
    page = Path(__file__).parents[3] / "doc" / "source" / "configuration.rst"
    text = page.read_text().partition("All options")[0]
    named = set(re.findall(r"``(\[[a-z_]+\] [a-z_]+|[a-z_-]+)``", text.partition("=====\n")[2]))
    for group, options in config.list_opts():
        for option in options:
            if (option.help or "").startswith(IGNORED):
                name = option.name if group == "DEFAULT" else f"[{group}] {option.name}"
                assert name in named
