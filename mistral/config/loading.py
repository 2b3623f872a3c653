"""Finding, reading and checking a configuration.

A mistake in a file or on the command line becomes one :class:`ConfigurationError` that reads as a
sentence; the caller prints it. Only ``--help`` and ``--version`` leave through ``SystemExit``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from oslo_config import cfg
from oslo_log import log

from mistral.config import completion
from mistral.config.feature_options import UNBUILT
from mistral.config.option_kinds import IGNORED
from mistral.config.options import COMPONENTS, GROUPS, SERVER_CLI_OPTS, SHARED_GROUPS
from mistral.exceptions import ConfigurationError

_LOCATION = re.compile(r"LocationInfo\(location=.*?, detail='([^']*)'\)")
_FILE_FLAGS = ("--config-file", "--config-dir")
#: A file that sets one of these describes an installation.
_INSTALLATION = (
    ("database", "connection"),
    ("DEFAULT", "transport_url"),
    ("DEFAULT", "rpc_implementation"),
)
_HELP_END = (
    "Without a configuration file (searched as mistral.conf in ~/.mistral, ~, /etc/mistral and "
    "/etc; or named by MISTRAL_CONFIG_FILE or MISTRAL_CONFIG_DIR), and with one that sets neither "
    "[database] connection nor transport_url nor rpc_implementation, everything runs embedded: all "
    "components in one process, SQLite in the user's data directory, no authentication, bound to "
    "127.0.0.1. A single option can be set by the environment as OS_<GROUP>__<OPTION>, for "
    "example OS_API__PORT=9090."
)


def load(
    argv: Sequence[str] = (),
    *,
    prog: str = "mistral-server",
    description: str = "Runs components of the Mistral workflow service.",
    cli_opts: Iterable[cfg.Opt] = SERVER_CLI_OPTS,
    environ: Mapping[str, str] | None = None,
) -> cfg.ConfigOpts:
    """Read the command line, the environment and the files; raises ConfigurationError."""
    environ = os.environ if environ is None else environ
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf.register_cli_opts(list(cli_opts))
    for group, options in _all_options():
        conf.register_opts(options, group=_group(group))
    _set_log_defaults(conf)
    _parse(conf, argv, prog, description, environ)
    if is_embedded(conf):
        _set_embedded_defaults(conf, environ)
    _check_values(conf)
    _check_components(conf)
    _check_tls(conf)
    return conf


def is_embedded(conf: cfg.ConfigOpts) -> bool:
    """Whether no configuration file says where the database is or how processes talk."""
    if not conf.config_file and not conf.config_dir:
        return True
    return not any(_set_by_user(conf, name, group) for group, name in _INSTALLATION)


def source_of(conf: cfg.ConfigOpts, name: str, group: str) -> str:
    """Where an option's value comes from, for people."""
    location = conf.get_location(name, _group(group))
    if location is None or not location.location.is_user_controlled:
        return "the default"
    return str(location.detail or "the command line")


def wants_supervisor(conf: cfg.ConfigOpts) -> bool:
    """Whether nobody else is expected to start this process again when it has died."""
    wanted: bool | None = conf.watchdog.restart
    return conf.database.connection.startswith("sqlite") if wanted is None else wanted


def ignored_settings(conf: cfg.ConfigOpts) -> list[str]:
    """Options that somebody set and that have no effect: worth one line in the log."""
    names = []
    for group, options in GROUPS.items():
        for option in options:
            is_idle = group in UNBUILT or (option.help or "").startswith(IGNORED)
            if is_idle and _set_by_user(conf, option.dest, group):
                names.append(f"[{group}] {option.name}")
    return names


def _all_options() -> Iterable[tuple[str, list[cfg.Opt]]]:
    return itertools.chain(GROUPS.items(), SHARED_GROUPS.items())


def _group(name: str) -> str | None:
    return None if name == "DEFAULT" else name


def _set_by_user(conf: cfg.ConfigOpts, name: str, group: str) -> bool:
    location = conf.get_location(name, _group(group))
    return location is not None and location.location.is_user_controlled


def _parse(
    conf: cfg.ConfigOpts,
    argv: Sequence[str],
    prog: str,
    description: str,
    environ: Mapping[str, str],
) -> None:
    files, directories = _default_places(environ)
    call = functools.partial(
        conf,
        project="mistral",
        prog=prog,
        version=f"{prog} {importlib.metadata.version('mistral')}\n",
        description=description,
        epilog=_HELP_END,
        default_config_files=files,
        default_config_dirs=directories,
    )
    shell = completion.asked_shell(argv)
    if shell is not None:
        # oslo.config reads its own template, which its package has not
        _print_completion(call, shell, prog)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            call(args=_files_first(argv))
    except SystemExit as leaving:
        if not leaving.code:
            raise
        last = (complaint.getvalue().strip().splitlines() or ["bad command line"])[-1]
        raise ConfigurationError(last.removeprefix(f"{prog}: error: ")) from None
    except UnicodeDecodeError as broken:
        path = _file_with(broken.object, argv, files, directories)
        raise ConfigurationError(f"{path} is not UTF-8 text: {broken.reason}.") from broken
    except (cfg.Error, OSError, ValueError) as broken:
        raise ConfigurationError(_one_line(broken)) from broken


def _file_with(
    content: bytes, argv: Sequence[str], files: Sequence[str], directories: Sequence[str]
) -> str:
    """The configuration file that has this content, for the library doesn't tell."""
    words = [word.rpartition("=")[2] for word in argv]
    for place in map(pathlib.Path, (*words, *files, *directories)):
        for path in (place, *sorted(place.glob("*.conf"))):
            if path.is_file() and content in path.read_bytes():
                return str(path)
    return "A configuration file"


def _print_completion(call: Callable[..., None], shell: str, prog: str) -> NoReturn:
    if shell not in completion.SHELLS:
        raise ConfigurationError(
            f"{completion.OPTION}: one of {', '.join(completion.SHELLS)} is expected, not '{shell}'"
        )
    shown = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
        call(args=["--help"])
    print(completion.script(shell, prog, shown.getvalue()), end="")
    raise SystemExit(0)


def _files_first(argv: Sequence[str]) -> list[str]:
    """Files named anywhere on the line are read first, so every other flag wins over them."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word in _FILE_FLAGS:
            front += [word, *_next_word(words)]
        elif word.startswith(tuple(f"{flag}=" for flag in _FILE_FLAGS)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def _next_word(words: Iterable[str]) -> list[str]:
    for word in words:
        return [word]
    return []


def _default_places(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    file, directory = environ.get("MISTRAL_CONFIG_FILE"), environ.get("MISTRAL_CONFIG_DIR")
    if file or directory:
        return ([file] if file else []), ([directory] if directory else [])
    return (
        cfg.find_config_files(project="mistral", prog="mistral"),
        cfg.find_config_dirs(project="mistral", prog="mistral"),
    )


def _set_log_defaults(conf: cfg.ConfigOpts) -> None:
    quiet = ["amqp=ERROR", "kombu=WARN", "oslo_messaging=WARN", "alembic=WARN", "uvicorn=ERROR"]
    kept = [
        entry
        for entry in log.get_default_log_levels()
        if entry.partition("=")[0] not in {one.partition("=")[0] for one in quiet}
    ]
    conf.set_default("default_log_levels", kept + quiet)


def _set_embedded_defaults(conf: cfg.ConfigOpts, environ: Mapping[str, str]) -> None:
    conf.set_default("transport_url", "fake:/")
    conf.set_default(
        "connection", f"sqlite:///{_data_directory(environ)}/mistral.sqlite", group="database"
    )
    conf.set_default("host", "127.0.0.1", group="api")
    conf.set_default("auth_enable", False, group="pecan")
    conf.set_default("type", "local", group="notifier")
    # third parties on this machine are what one tries first
    conf.set_default("denied_cidrs", ["169.254.0.0/16", "fe80::/10"], group="action_std_http")


def _data_directory(environ: Mapping[str, str]) -> pathlib.Path:
    base = environ.get("XDG_DATA_HOME")
    root = pathlib.Path(base) if base else pathlib.Path.home() / ".local" / "share"
    return root / "mistral"


def _check_values(conf: cfg.ConfigOpts) -> None:
    """oslo.config looks at a value when it is asked for; ask for all of them now."""
    for group, options in _all_options():
        for option in options:
            try:
                values = conf if group == "DEFAULT" else conf[group]
                values[option.dest]
            except (cfg.Error, ValueError) as bad:
                raise ConfigurationError(f"[{group}] {_one_line(bad)}") from bad


def _check_components(conf: cfg.ConfigOpts) -> None:
    for word in conf.server if "server" in conf else ():
        if word not in ("all", *COMPONENTS):
            raise ConfigurationError(
                f"--server: there is no component '{word}'; known are all, {', '.join(COMPONENTS)}."
            )


def _check_tls(conf: cfg.ConfigOpts) -> None:
    if not conf.api.enable_ssl_api:
        return
    for name in ("cert_file", "key_file"):
        path = conf.ssl[name]
        if not path:
            raise ConfigurationError(f"[api] enable_ssl_api needs [ssl] {name}.")
        if not os.path.exists(path):
            raise ConfigurationError(f"[ssl] {name}: there is no file {path}.")
    if conf.ssl.ca_file and not os.path.exists(conf.ssl.ca_file):
        raise ConfigurationError(f"[ssl] ca_file: there is no file {conf.ssl.ca_file}.")


def _one_line(error: BaseException) -> str:
    text = _LOCATION.sub(r"\1", " ".join(str(error).split()))
    return text or type(error).__name__
