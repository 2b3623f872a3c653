"""What an operator should hear about a configuration when a process starts with it."""

from __future__ import annotations

import ipaddress
import logging

from oslo_config import cfg

from mistral import config
from mistral.exceptions import ConfigurationError

LOG = logging.getLogger(__name__)

#: Limits that may be lifted with -1, which the operator should know about.
_LIMITS = (
    ("yaql", "limit_iterators"),
    ("yaql", "memory_quota"),
    ("expressions", "time_limit"),
    ("expressions", "max_length"),
    ("expressions", "max_integer_bits"),
    ("expressions", "max_compared"),
    ("expressions", "max_pattern_length"),
    ("expressions", "max_pattern_steps"),
    ("expressions", "max_json_length"),
    ("expressions", "max_json_parts"),
    ("expressions", "max_yaml_length"),
    ("expressions", "max_equal_hashes"),
    ("expressions", "max_attribute_parts"),
    ("expressions", "max_time_length"),
    ("expressions", "max_unpacked"),
    ("definitions", "max_length"),
    ("definitions", "max_length_of_odd_yaml"),
    ("definitions", "max_long_keys"),
    ("definitions", "max_copied_length"),
    ("definitions", "max_warnings"),
    ("definitions", "max_suggestions"),
    ("api", "max_json_containers"),
    ("action_std_http", "max_json_containers"),
    ("action_std_js", "max_json_containers"),
    ("engine", "execution_field_size_limit_kb"),
    ("engine", "items_limit"),
    ("engine", "depth_limit"),
    ("engine", "executions_limit"),
    ("engine", "tasks_limit"),
    ("engine", "actions_limit"),
    ("engine", "values_limit_mb"),
    ("engine", "values_at_once_mb"),
    ("engine", "values_loaded_mb"),
    ("executor", "values_in_memory_mb"),
)
#: Limits of actions that 0 lifts.
_ACTION_LIMITS = (
    ("action_std_http", "total_timeout"),
    ("action_std_http", "max_response_size_bytes"),
    ("action_std_http", "max_response_header_size_bytes"),
    ("action_std_ssh", "command_timeout"),
    ("action_std_email", "timeout"),
    ("action_std_email", "max_reply_size_bytes"),
)


def make(conf: cfg.ConfigOpts) -> None:
    """Name what nobody knows, what has no effect, and what is dangerous.

    :raises ConfigurationError: with ``--strict``, for what nobody knows.
    """
    unknown = config.unknown_settings(conf)
    if unknown:
        text = f"Nobody knows these settings: {'; '.join(unknown)}"
        if conf.strict:
            raise ConfigurationError(f"{text}. Without --strict the service starts.")
        LOG.warning("%s. They have no effect", text)
    ignored = config.ignored_settings(conf)
    if ignored:
        LOG.info("Options without effect: %s", ", ".join(ignored))
    access = on_access(conf)
    if access is not None:
        LOG.warning("%s", access)
    for group, name in _LIMITS:
        if conf[group][name] < 0:
            LOG.warning("[%s] %s = -1 lifts a limit that protects the service", group, name)
    for name, length in conf.expressions.max_filter_length.items():
        if length < 0:
            LOG.warning(
                "[expressions] max_filter_length = %s:-1 lifts a limit that protects the service",
                name,
            )
    for group, name in _ACTION_LIMITS:
        if conf[group][name] == 0:
            LOG.warning("[%s] %s = 0 lifts a limit that protects the service", group, name)
    if not conf.action_std_http.denied_cidrs:
        LOG.warning(
            "[action_std_http] denied_cidrs is empty: actions may connect to any address, also to "
            "this host's own"
        )


def on_access(conf: cfg.ConfigOpts) -> str | None:
    """What is to be said about who may use the API, if it is served."""
    serves = "server" not in conf or {"all", "api"} & set(conf.server)
    if conf.pecan.auth_enable or not serves or _is_loopback(conf.api.host):
        return None
    return (
        f"The API is bound to {conf.api.host} without authentication: whoever reaches this port "
        "may do everything. Bind it to 127.0.0.1, or let only a proxy that authenticates reach it."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
