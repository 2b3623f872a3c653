"""The options of actions: heartbeats, secrets, standard actions, providers."""

from __future__ import annotations

from oslo_config import cfg

from mistral.config.option_kinds import ignored, limit

_NOT_LOGGED = "Requests and answers of actions are never logged."

HEARTBEAT_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "max_missed_heartbeats",
        default=15,
        min=0,
        help="A claimed action of which nothing is heard for check_interval times this many "
        "seconds ends in ERROR; 0 = never.",
    ),
    cfg.IntOpt(
        "check_interval",
        default=20,
        min=0,
        help="Seconds after which a sign of life of an action is noted again; 0 = no action is "
        "given up.",
    ),
    cfg.IntOpt(
        "batch_size", default=10, min=0, help="Actions that are found lost at a time; 0 = no limit."
    ),
    cfg.IntOpt(
        "first_heartbeat_timeout",
        default=3600,
        min=0,
        help="Seconds that a synchronous action may wait, beyond the time above, for an executor "
        "to take notice of it.",
    ),
]

SECRETS_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "encryption_keys",
        default=[],
        secret=True,
        help="Fernet keys by which engines encrypt the secrets of actions' inputs: the first "
        "encrypts, all decrypt. The same for all engines; nobody else needs them.",
    ),
    cfg.StrOpt(
        "key_file",
        help="File with more such keys, one a line. Without any key, one is kept in a file beside "
        "an SQLite database, or in the table secret_keys of another one.",
    ),
]

ACTION_LOGGING_OPTS: list[cfg.Opt] = [
    ignored(cfg.BoolOpt, "hide_response_body", False, _NOT_LOGGED),
    ignored(cfg.BoolOpt, "hide_request_body", False, _NOT_LOGGED),
    ignored(cfg.ListOpt, "sensitive_headers", [], _NOT_LOGGED),
]

STD_HTTP_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "allowed_hosts",
        default=[],
        help="Only these hosts, for whatever actions connect to; empty: any not denied.",
    ),
    cfg.ListOpt(
        "denied_cidrs",
        default=["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"],
        help="Networks that actions never connect to; empty switches the check off. Unless it is "
        "empty, metadata services of clouds, multicast, reserved and translated (NAT64) addresses "
        "are denied, too; with a loopback network, so are this machine's own addresses.",
    ),
    cfg.ListOpt(
        "allowed_cidrs",
        default=[],
        help="Networks that actions may connect to although denied_cidrs or deny_private forbids "
        "them, for example 127.0.0.1/32 for a mail server on this machine.",
    ),
    cfg.BoolOpt("deny_private", default=False, help="Also deny private networks (10/8 etc.)."),
    cfg.FloatOpt(
        "default_timeout",
        default=60,
        min=0,
        help="Seconds for a request with its redirects and the whole answer, where the action "
        "names no timeout; 0 = none.",
    ),
    cfg.FloatOpt(
        "total_timeout",
        default=900,
        min=0,
        help="The most seconds that an action may name for them; 0 = no limit.",
    ),
    cfg.IntOpt(
        "max_response_size_bytes",
        default=5 * 1024 * 1024,
        min=0,
        help="Most bytes of an answer's body, unpacked; 0 = off.",
    ),
    cfg.IntOpt(
        "max_response_header_size_bytes",
        default=256 * 1024,
        min=0,
        help="Most bytes of the headers of an answer and of the redirects that led to it; 0 = off.",
    ),
    cfg.IntOpt("max_redirects", default=10, min=0, help="Most redirects of a request."),
    limit(
        "max_json_containers",
        1_000_000,
        "Lists and mappings of an answer that is read as JSON; one with more stays text",
    ),
    cfg.StrOpt(
        "ca_dir",
        help="Directory of the files of certificates that the parameter verify may name; unset: "
        "none.",
    ),
]

STD_SSH_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "key_dir",
        help="Directory of the private keys that private_key_filename may name; unset: none.",
    ),
    cfg.StrOpt(
        "known_hosts_file",
        help="File with the keys of the hosts that may be connected to, in the form of OpenSSH; "
        "unset: no host is known and every connection is refused.",
    ),
    cfg.FloatOpt("connect_timeout", default=30, min=0.1, help="Seconds to connect and log in."),
    cfg.FloatOpt(
        "command_timeout",
        default=3600,
        min=0,
        help="Seconds that a command may take after that; 0 = no limit.",
    ),
    cfg.BoolOpt(
        "allow_proxy_command",
        default=False,
        help="Whether std.ssh_proxied may run a command of the workflow's on the executor itself.",
    ),
    cfg.IntOpt(
        "max_output_size_bytes",
        default=5 * 1024 * 1024,
        min=1,
        help="Most bytes that a command may write to either of its outputs.",
    ),
]

STD_EMAIL_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "timeout", default=60, min=0, help="Seconds for a whole conversation; 0 = no limit."
    ),
    cfg.IntOpt(
        "max_reply_size_bytes",
        default=64 * 1024,
        min=0,
        help="Most bytes of all that a server replies; 0 = no limit.",
    ),
    cfg.IntOpt("max_recipients", default=500, min=1, help="Most recipients of a message."),
    cfg.IntOpt("max_subject_length", default=1000, min=1, help="Most characters of a subject."),
]

STD_JS_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt("timeout", default=10, min=0.1, help="Most seconds that a script may take."),
    cfg.IntOpt(
        "max_memory_mb",
        default=128,
        min=16,
        help="Most memory that a script may take, what is outside of its heap included.",
    ),
    cfg.IntOpt(
        "max_result_size_bytes",
        default=5 * 1024 * 1024,
        min=1,
        help="Most bytes of what a script returns, as JSON.",
    ),
    limit("max_json_containers", 1_000_000, "Lists and mappings of what a script returns"),
    cfg.IntOpt(
        "max_processes",
        default=4,
        min=1,
        help="Scripts that an executor runs at a time, each in a process; others wait.",
    ),
]

ACTION_PROVIDERS_OPTS: list[cfg.Opt] = [
    cfg.ListOpt("allowlist", default=[], help="Providers of actions that load; empty: all."),
    cfg.ListOpt("denylist", default=[], help="Providers of actions that do not load."),
]

LEGACY_PROVIDER_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt("load_action_plugins", default=True, help="Load group mistral.actions."),
    ignored(cfg.BoolOpt, "load_action_generators", True, "Providers take their place."),
    cfg.BoolOpt("only_builtin_actions", default=False, help="Only actions shipped with us."),
    cfg.ListOpt("allowlist", default=[], help="Actions that load; empty: all."),
    cfg.ListOpt("denylist", default=[], help="Actions that do not load."),
]


GROUPS: dict[str, list[cfg.Opt]] = {
    "action_heartbeat": HEARTBEAT_OPTS,
    "secrets": SECRETS_OPTS,
    "action_logging": ACTION_LOGGING_OPTS,
    "action_std_http": STD_HTTP_OPTS,
    "action_std_ssh": STD_SSH_OPTS,
    "action_std_email": STD_EMAIL_OPTS,
    "action_std_js": STD_JS_OPTS,
    "action_providers": ACTION_PROVIDERS_OPTS,
    "legacy_action_provider": LEGACY_PROVIDER_OPTS,
}
