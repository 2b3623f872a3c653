"""Which settings of the configuration files nobody knows: mistakes that would have no effect.

Groups of libraries are known as far as the libraries list their options; whether one is installed
here does not matter, for files are shared between services. oslo.messaging is not asked: its
import has to be prepared, and takes long, where it is used (:mod:`mistral.rpc.oslo.library`).
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import pathlib
from collections.abc import Iterable, Iterator, Mapping

from oslo_config import cfg

from mistral.config.options import GROUPS, SHARED_GROUPS

Known = Mapping[str, frozenset[str]]

#: Libraries that tell their options, of those that services like this one use.
_TELLING = ("oslo.log", "oslo.middleware", "oslo.concurrency", "oslo.policy") + (
    "oslo.db",
    "keystonemiddleware.auth_token",
    "osprofiler",
)
#: Groups of libraries whose options depend on plug-ins, or that need not be installed.
_FOREIGN = frozenset(
    ("keystone_authtoken", "keystone", "service_user", "oslo_policy", "oslo_limit", "cors")
    + ("healthcheck", "profiler", "oslo_concurrency", "oslo_versionedobjects", "oslo_reports")
    + ("sample_remote_file_source",)
)
#: How alike names have to be for one to be suggested instead of the other.
_CLOSE = 0.55
_FOREIGN_BEGINNINGS = ("oslo_messaging_", "oslo_middleware", "cors.")
#: What oslo.db, oslo.service and oslo.messaging read and this service does not.
_LIBRARIES: Known = {
    "database": frozenset(
        ("backend", "sqlite_synchronous", "mysql_sql_mode", "mysql_wsrep_sync_wait", "asyncio")
        + ("min_pool_size", "connection_trace", "use_db_reconnect", "db_retry_interval")
        + ("db_inc_retry_interval", "db_max_retry_interval", "db_max_retries", "idle_timeout")
        + ("use_tpool", "asyncio_connection", "asyncio_slave_connection", "synchronous_reader")
    ),
    "DEFAULT": frozenset(
        ("backdoor_socket", "run_external_periodic_tasks", "api_paste_config", "wsgi_log_format")
        + ("tcp_keepidle", "wsgi_default_pool_size", "max_header_line", "wsgi_keep_alive")
        + ("client_socket_timeout", "wsgi_server_debug", "config_source", "config_file")
        + ("config_dir", "state_path", "rpc_backend", "conn_pool_min_size")
        + ("rpc_ping_enabled", "rpc_acks_late", "rpc_poll_timeout")
    ),
    "ssl": frozenset(("version", "ciphers")),
    "oslo_messaging_rabbit": frozenset(
        ("rpc_conn_pool_size", "conn_pool_min_size", "conn_pool_ttl", "ssl_version")
        + ("ssl_enforce_fips_mode", "kombu_reconnect_delay", "kombu_reconnect_splay")
        + ("kombu_compression", "kombu_missing_consumer_retry_timeout", "kombu_ssl_version")
        + ("kombu_ssl_keyfile", "kombu_ssl_certfile", "kombu_ssl_ca_certs")
        + ("kombu_failover_strategy", "rabbit_login_method", "rabbit_retry_interval")
        + ("rabbit_retry_backoff", "rabbit_interval_max", "rabbit_ha_queues", "rabbit_use_ssl")
        + ("rabbit_transient_quorum_queue", "rabbit_quorum_delivery_limit")
        + ("rabbit_quorum_max_memory_length", "rabbit_quorum_max_memory_bytes")
        + ("rabbit_transient_queues_ttl", "rabbit_qos_prefetch_count", "heartbeat_rate")
        + ("heartbeat_in_pthread", "direct_mandatory_flag", "enable_cancel_on_failover")
        + ("use_queue_manager", "hostname", "processname", "rabbit_stream_fanout")
    ),
}


def unknown_settings(conf: cfg.ConfigOpts) -> list[str]:
    """The settings that nobody knows, each with its file and the nearest name that is known."""
    known = _ours(conf)
    libraries = _LibraryOptions()
    found = []
    for path in _files(conf):
        for group, names in _settings(path).items():
            place = group if group == "DEFAULT" else group.lower()
            for name in _unknown(place, names, known, libraries):
                found.append(f"{_described(group, name, known, libraries)} in {path}")
    return found


def _unknown(
    group: str, names: Iterable[str], known: Known, libraries: _LibraryOptions
) -> Iterator[str | None]:
    """Names that this group has not; None stands for the group."""
    if group not in known:
        if not libraries.has_group(group):
            yield None
        return
    missing = [name for name in names if name.replace("-", "_") not in known[group]]
    told = libraries.names(group) if missing else frozenset()
    if told or group not in _FOREIGN:
        yield from (name for name in missing if name not in told)


def _described(group: str, name: str | None, known: Known, libraries: _LibraryOptions) -> str:
    if name is None:
        near = difflib.get_close_matches(group.lower(), [*known, *_FOREIGN], 1, _CLOSE)
        return f"section [{group}]" + (f" (did you mean [{near[0]}]?)" if near else "")
    places = sorted(place for place, names in known.items() if name in names)
    if places:
        return f"[{group}] {name} (did you mean [{places[0]}] {name}?)"
    candidates = sorted(known[group] | libraries.names(group))
    near = difflib.get_close_matches(name.lower(), candidates, 1, _CLOSE)
    return f"[{group}] {name}" + (f" (did you mean {near[0]}?)" if near else "")


def _ours(conf: cfg.ConfigOpts) -> Known:
    found: dict[str, set[str]] = {}
    for group, options in [*GROUPS.items(), *SHARED_GROUPS.items()]:
        _add(found, group, options)
    # those of the command line and of the log are registered besides
    found["DEFAULT"] |= set(conf) - set(found)
    return {
        group: frozenset(names) | _LIBRARIES.get(group, frozenset())
        for group, names in found.items()
    }


def _add(found: dict[str, set[str]], group: str, options: Iterable[cfg.Opt]) -> None:
    for option in options:
        names = found.setdefault(group, set())
        names |= {option.dest, option.name.replace("-", "_")}
        for old in option.deprecated_opts:
            found.setdefault(old.group or group, set()).add(old.name or option.dest)


class _LibraryOptions:
    """What installed libraries tell, asked only when it matters: importing them takes time."""

    def has_group(self, group: str) -> bool:
        """Whether a library has such a group."""
        return group in _FOREIGN or group.startswith(_FOREIGN_BEGINNINGS) or group in self._told

    def names(self, group: str) -> frozenset[str]:
        """The options of a group."""
        return frozenset(self._told.get(group, ()))

    @functools.cached_property
    def _told(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for entry in importlib.metadata.entry_points(group="oslo.config.opts"):
            if entry.name.startswith(_TELLING):
                for group, options in entry.load()():
                    name = "DEFAULT" if group is None else str(getattr(group, "name", group))
                    _add(found, name, options)
        return found


def _files(conf: cfg.ConfigOpts) -> Iterator[pathlib.Path]:
    for file in conf.config_file or ():
        yield pathlib.Path(file)
    for directory in conf.config_dir or ():
        yield from sorted(pathlib.Path(directory).glob("*.conf"))


def _settings(path: pathlib.Path) -> Mapping[str, Mapping[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), found).parse()
    return found
