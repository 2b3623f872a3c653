"""What the components of one process share: the database, the transport, the actions ..."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import pathlib
import tempfile

import sqlalchemy as sa
from oslo_config import cfg

from mistral import config
from mistral.actions.egress import EgressOptions
from mistral.actions.js_engines import ScriptLimits, load_engine
from mistral.actions.providers import LegacyOptions, ProviderAssembly
from mistral.actions.registry import ActionProviderRegistry, ProviderOptions
from mistral.actions.services import ActionServices, MailLimits, SshOptions
from mistral.db.core import schema_version, server_clock
from mistral.db.core.database import Database
from mistral.db.core.fast_statements import SQL_LOG
from mistral.engine.inbox.in_flight import InFlight
from mistral.exceptions import ConfigurationError
from mistral.expressions import ExpressionOptions, Expressions
from mistral.lang import DocumentLimits
from mistral.rpc.base import Transport
from mistral.rpc.plugins import create_transport, load_transport

_DEBUG_STATEMENTS = 50


def make_data_directory(conf: cfg.ConfigOpts) -> None:
    """The directory of an SQLite file."""
    url = sa.make_url(conf.database.connection)
    if url.get_backend_name() == "sqlite" and url.database:
        directory = pathlib.Path(url.database).parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"Can't make the data directory: {error}") from error


def database_url(conf: cfg.ConfigOpts) -> str:
    """The address of the database with the parameters that belong to it."""
    options = conf.database
    if not options.connection_parameters:
        return str(options.connection)
    try:
        url = sa.make_url(options.connection).update_query_string(options.connection_parameters)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "[database] connection with connection_parameters (name=value&...) is not a URL: "
            f"{error}"
        ) from error
    return url.render_as_string(hide_password=False)


_EXPRESSION_LIMITS = (
    "max_length",
    "max_integer_bits",
    "max_compared",
    "max_pattern_length",
    "max_pattern_steps",
    "max_json_length",
    "max_json_parts",
    "max_yaml_length",
    "max_equal_hashes",
    "max_attribute_parts",
    "max_filter_length",
    "max_time_length",
    "max_unpacked",
)


class Parts:
    """Builds each part when it is first needed, once. Used by one thread only."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    @functools.cached_property
    def database(self) -> Database:
        """The database."""
        options = self.conf.database
        if options.connection_debug >= _DEBUG_STATEMENTS:
            logging.getLogger(SQL_LOG).setLevel(logging.INFO)
        return Database(
            database_url(self.conf),
            pool_size=options.max_pool_size,
            max_overflow=options.max_overflow,
            pool_timeout=options.pool_timeout,
            recycle=options.connection_recycle_time,
        )

    def check_database(self) -> None:
        """ConfigurationError unless it can be used: its settings, and its tables.

        A server that does not answer yet is waited for.
        """
        options = self.conf.database
        self.database.wait_for_server(options.max_retries, options.retry_interval)
        self.database.check()
        if not schema_version.is_usable(database_url(self.conf)):
            raise ConfigurationError(self._unusable())
        server_clock.synchronise(self.database)

    def shown_database(self) -> str:
        """The database's address without its password, and who named it."""
        url = sa.make_url(database_url(self.conf)).render_as_string(hide_password=True)
        source = config.source_of(self.conf, "connection", "database")
        return f"{url} ([database] connection, from {source})"

    def _unusable(self) -> str:
        files = [f"--config-file {name}" for name in self.conf.config_file or ()]
        files += [f"--config-dir {name}" for name in self.conf.config_dir or ()]
        command = " ".join(["mistral-db-manage", *files, "upgrade head"])
        what = f"The database {self.shown_database()}"
        if schema_version.current(database_url(self.conf)) is None:
            return f"{what} is empty: run '{command}'."
        return (
            f"{what} has a schema that this version can't work with: run '{command}' of the newest "
            "version that is in use."
        )

    def in_flight(self) -> InFlight:
        """Where it is noted what an engine is handling."""
        url = sa.make_url(database_url(self.conf))
        family = hashlib.sha256(url.render_as_string(hide_password=False).encode()).hexdigest()
        return InFlight(self._state_path(url), family[:16])

    def _state_path(self, url: sa.URL) -> pathlib.Path:
        by_systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        if configured := self.conf.watchdog.state_path or by_systemd:
            return pathlib.Path(configured)
        if url.get_backend_name() == "sqlite" and url.database:
            return pathlib.Path(url.database).absolute().parent
        return pathlib.Path(tempfile.gettempdir()) / f"mistral-{os.getuid()}"

    @functools.cached_property
    def transport(self) -> Transport:
        """What connects this process with the others."""
        return create_transport(self.conf)

    @functools.cached_property
    def executor_transport(self) -> Transport:
        """The same, or, with ``[executor] type=local``, one that ends in this process."""
        if self.conf.executor.type == "local":
            return load_transport("local", self.conf)
        return self.transport

    @functools.cached_property
    def expressions(self) -> Expressions:
        """The languages of expressions."""
        return Expressions.from_plugins(self.expression_options())

    def expression_options(self) -> ExpressionOptions:
        """How expressions are evaluated."""
        options = self.conf.yaql
        return ExpressionOptions(
            allowed_languages=tuple(self.conf.expressions.allowed_languages),
            time_limit=self.conf.expressions.time_limit,
            **{name: self.conf.expressions[name] for name in _EXPRESSION_LIMITS},
            limit_iterators=options.limit_iterators,
            memory_quota=options.memory_quota,
            convert_input_data=options.convert_input_data,
            iterable_dicts=options.iterable_dicts,
            keyword_operator=options.keyword_operator,
            allow_delegates=options.allow_delegates,
        )

    @functools.cached_property
    def registry(self) -> ActionProviderRegistry:
        """All actions there are."""
        providers, legacy = self.conf.action_providers, self.conf.legacy_action_provider
        return ActionProviderRegistry.from_plugins(
            ProviderAssembly(
                legacy=LegacyOptions(
                    load_action_plugins=legacy.load_action_plugins,
                    only_builtin_actions=legacy.only_builtin_actions,
                    allowlist=tuple(legacy.allowlist),
                    denylist=tuple(legacy.denylist),
                )
            ),
            ProviderOptions(tuple(providers.allowlist), tuple(providers.denylist)),
        )

    @functools.cached_property
    def action_services(self) -> ActionServices:
        """What standard actions may use."""
        try:
            return ActionServices.with_egress(
                self._egress_options(),
                self._ssh_options(),
                load_engine(self.conf.js_implementation, self._script_limits()),
                _path(self.conf.action_std_http.ca_dir),
                self._mail_limits(),
            )
        except ValueError as error:
            raise ConfigurationError(
                f"[action_std_http] denied_cidrs, allowed_cidrs: {error}"
            ) from error

    def document_limits(self) -> DocumentLimits:
        """How large definitions may be, and how much is told of them."""
        names = [field.name for field in dataclasses.fields(DocumentLimits)]
        return DocumentLimits(**{name: self.conf.definitions[name] for name in names})

    def _egress_options(self) -> EgressOptions:
        options = self.conf.action_std_http
        return EgressOptions(
            allowed_hosts=tuple(options.allowed_hosts),
            denied_cidrs=tuple(options.denied_cidrs),
            allowed_cidrs=tuple(options.allowed_cidrs),
            deny_private=options.deny_private,
            default_timeout=options.default_timeout,
            total_timeout=options.total_timeout,
            max_response_size=options.max_response_size_bytes,
            max_header_size=options.max_response_header_size_bytes,
            max_redirects=options.max_redirects,
            max_json_containers=options.max_json_containers,
        )

    def _script_limits(self) -> ScriptLimits:
        options = self.conf.action_std_js
        return ScriptLimits(
            timeout=options.timeout,
            max_memory=options.max_memory_mb * 1024 * 1024,
            max_result_size=options.max_result_size_bytes,
            max_processes=options.max_processes,
            max_json_containers=options.max_json_containers,
        )

    def _mail_limits(self) -> MailLimits:
        options = self.conf.action_std_email
        return MailLimits(
            timeout=options.timeout,
            max_reply_size=options.max_reply_size_bytes,
            max_recipients=options.max_recipients,
            max_subject=options.max_subject_length,
        )

    def _ssh_options(self) -> SshOptions:
        options = self.conf.action_std_ssh
        return SshOptions(
            key_dir=_path(options.key_dir),
            known_hosts=_path(options.known_hosts_file),
            connect_timeout=options.connect_timeout,
            command_timeout=options.command_timeout,
            allow_proxy_command=options.allow_proxy_command,
            max_output_size=options.max_output_size_bytes,
        )

    def close(self) -> None:
        """Release what was built."""
        built = vars(self)
        names = ("action_services", "executor_transport", "transport", "database")
        # executors are usually reached by the transport of the engines
        for part in dict.fromkeys(built[name] for name in names if name in built):
            part.close()


def _path(text: str | None) -> pathlib.Path | None:
    return pathlib.Path(text) if text else None
