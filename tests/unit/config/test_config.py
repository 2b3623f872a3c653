"""Finding, reading and checking configurations."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from oslo_config import cfg, generator

from mistral import config
from mistral.config.option_kinds import IGNORED
from mistral.exceptions import ConfigurationError
from mistral.rpc.oslo.library import rabbit_opts

ETC = Path(__file__).parents[3] / "etc"


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
    path.write_text("[DEFAULT]\nserver = engine\ntransport_url = rabbit://\n[api]\nport = 1234\n")
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


def test_with_a_file_the_documented_defaults_hold(file: Path) -> None:
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


@pytest.mark.parametrize(
    "content",
    [
        "[api]\nport = 1234\n",
        "[DEFAULT]\ndebug = true\nlog_file = x.log\n[yaql]\niterable_dicts = true\n",
        "",
    ],
)
def test_a_file_that_names_neither_database_nor_transport_keeps_everything_embedded(
    file: Path, content: str
) -> None:
    file.write_text(content)
    conf = config.load(["--config-file", str(file)])
    assert config.is_embedded(conf)
    assert conf.transport_url == "fake:/"
    assert conf.api.host == "127.0.0.1"
    assert not conf.pecan.auth_enable


@pytest.mark.parametrize(
    "content",
    [
        "[database]\nconnection = sqlite:////x\n",
        "[DEFAULT]\ntransport_url = rabbit://h\n",
        "[DEFAULT]\nrpc_implementation = kombu\n",
    ],
)
def test_a_file_that_describes_an_installation_is_followed(file: Path, content: str) -> None:
    file.write_text(content)
    conf = config.load(["--config-file", str(file)])
    assert not config.is_embedded(conf)
    assert conf.pecan.auth_enable
    assert conf.api.host == "0.0.0.0"


def test_the_environment_may_describe_the_installation_of_a_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[api]\nport = 1\n")
    monkeypatch.setenv("OS_DATABASE__CONNECTION", "sqlite:////x")
    conf = config.load(["--config-file", str(file)])
    assert not config.is_embedded(conf)
    assert "OS_DATABASE__CONNECTION" in config.source_of(conf, "connection", "database")


def test_what_a_file_says_wins_over_the_embedded_profile(file: Path) -> None:
    file.write_text("[pecan]\nauth_enable = true\n[api]\nhost = 0.0.0.0\n")
    conf = config.load(["--config-file", str(file)])
    assert config.is_embedded(conf)
    assert conf.pecan.auth_enable
    assert conf.api.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[api]\nport = abc\n", r"^\[api\] .*port.*some\.conf is not valid: .*'abc'$"),
        ("[api]\nvalidation_mode = maybe\n", r"^\[api\] .*validation_mode.*maybe"),
        ("[execution_expiration_policy]\nignored_states = RUNNING\n", "RUNNING"),
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


@pytest.mark.parametrize("is_in_directory", [False, True])
def test_a_file_that_is_no_text_is_named(file: Path, tmp_path: Path, is_in_directory: bool) -> None:
    other = tmp_path / "good.conf"
    other.write_text("[api]\nport = 1\n")
    file.write_text("[api]\nport = 1\n", "utf-16")
    line = ["--config-file", str(other)]
    line += ["--config-dir", str(file.parent)] if is_in_directory else [f"--config-file={file}"]
    with pytest.raises(ConfigurationError, match=f"^{file} is not UTF-8 text"):
        config.load(line)


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


def test_unknown_options_and_groups_are_accepted_and_named(file: Path) -> None:
    file.write_text(
        "[DEFAULT]\ntransport_ulr = 1\nmax_limit = 3\n[engin]\nhost = e\n[api]\nprot = 1\n"
        "[what]\never = 1\n[oslo_messaging_rabbit]\nrabbit_quorum_ques = true\n"
    )
    conf = config.load(["--config-file", str(file)])
    assert config.unknown_settings(conf) == [
        f"[DEFAULT] transport_ulr (did you mean transport_url?) in {file}",
        f"[DEFAULT] max_limit (did you mean [api] max_limit?) in {file}",
        f"section [engin] (did you mean [engine]?) in {file}",
        f"[api] prot (did you mean port?) in {file}",
        f"section [what] in {file}",
        f"[oslo_messaging_rabbit] rabbit_quorum_ques (did you mean rabbit_quorum_queue?) in {file}",
    ]


def test_what_libraries_know_is_known(file: Path) -> None:
    file.write_text("""
[DEFAULT]
debug = true
log-file = x
logfile = x
use_journal = true
conn_pool_min_size = 3
backdoor_port = 1
graceful_shutdown_timeout = 5
strict = false
[database]
mysql_sql_mode = TRADITIONAL
idle_timeout = 3
max-retries = 3
[API]
port = 1
[ssl]
version = TLSv1
[oslo_messaging_rabbit]
rabbit_ha_queues = true
heartbeat_timeout_threshold = 3
[oslo_messaging_notifications]
driver = noop
[oslo_middleware]
max_request_body_size = 5
[cors]
allowed_origin = http://x
[cors.subdomain]
allowed_origin = http://x
[healthcheck]
enabled = true
[keystone_authtoken]
identity_uri = http://x
auth_url = http://x
[oslo_policy]
policy_file = policy.yaml
[oslo_concurrency]
lock_path = /x
[profiler]
enabled = true
[keystone]
cafile = x
[coordination]
backend_url = x
""")
    conf = config.load(["--config-file", str(file)])
    assert config.unknown_settings(conf) == []


def test_what_the_installed_library_for_messages_knows_is_known(file: Path) -> None:
    names = [option.dest for option in rabbit_opts()]
    file.write_text("[oslo_messaging_rabbit]\n" + "".join(f"{name} = 1\n" for name in names))
    conf = cfg.ConfigOpts()
    conf(["--config-file", str(file)], default_config_files=[])
    assert config.unknown_settings(conf) == []


def test_the_files_of_a_directory_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "dir" / "one.conf"
    path.parent.mkdir()
    path.write_text("[yaql]\nquota = 1\n")
    conf = config.load(["--config-dir", str(path.parent)])
    assert config.unknown_settings(conf) == [f"[yaql] quota (did you mean memory_quota?) in {path}"]


@pytest.mark.parametrize("name", sorted(p.name for p in ETC.glob("mistral-*.conf")))
def test_samples_have_no_unknown_settings(name: str) -> None:
    if name != "mistral-config-generator.conf":
        conf = config.load(["--config-file", str(ETC / name)])
        assert config.unknown_settings(conf) == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_the_line(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["--shell_completion", shell], [f"--shell_completion={shell}"]):
        with pytest.raises(SystemExit) as leaving:
            config.load(line)
        assert not leaving.value.code
        script = capsys.readouterr().out
        assert "mistral-server" in script
        assert " --config-file " in script
        assert " --strict " in script


def test_bash_completes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        config.load(["--shell_completion", "bash"])
    asked = 'COMP_WORDS=(mistral-server --ser); COMP_CWORD=1; _mistral_server; echo "$COMPREPLY"'
    script = capsys.readouterr().out + asked
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "--server\n"


def test_another_shell_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="bash, zsh is expected, not 'tcsh'"):
        config.load(["--shell_completion", "tcsh"])


def test_options_without_effect_are_reported_when_set(file: Path) -> None:
    file.write_text(
        "[api]\napi_workers = 4\n[engine]\nversion = 2.0\nhost = e1\n"
        "[cron_trigger]\nenabled = true\n"
    )
    conf = config.load(["--config-file", str(file)])
    assert config.ignored_settings(conf) == [
        "[api] api_workers",
        "[engine] version",
        "[cron_trigger] enabled",
    ]


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
