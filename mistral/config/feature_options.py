"""The options of single features: scheduling, triggers, actions, expressions and the like."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
from oslo_config import types as cfg_types

#: Help of options that are accepted for compatibility and have no effect.
IGNORED = "Accepted for compatibility; it has no effect."

_TERMINAL = cfg_types.String(choices=["SUCCESS", "ERROR", "CANCELLED"])


def limit(name: str, default: int, what: str) -> cfg.Opt:
    """An option that bounds what comes from outside."""
    return cfg.IntOpt(name, default=default, min=-1, help=f"{what}; -1 lifts the limit.")


def ignored(
    option: type[cfg.Opt], name: str, default: object = None, why: str = "", **checks: Any
) -> cfg.Opt:
    """An option that operators have in their files and that means nothing here.

    Its value is still checked, so that a mistake in a file is found.
    """
    return option(name, default=default, help=f"{IGNORED} {why}".rstrip(), **checks)


#: Groups of what this version does not have; their options are checked all the same.
UNBUILT = ("cron_trigger", "event_engine", "notifier", "execution_expiration_policy") + (
    "keycloak_oidc",
)

_NOT_LOGGED = "Requests and answers of actions are never logged."
_RELAY = (
    "Timers lie in memory and fire in time; [engine] relay_interval is when lost ones are found."
)
_CLAIMS = "What a process has taken is free again 6 seconds after its last sign of life."

SCHEDULER_OPTS: list[cfg.Opt] = [
    ignored(cfg.FloatOpt, "fixed_delay", 1.0, _RELAY, min=0.1),
    ignored(cfg.FloatOpt, "random_delay", 0, _RELAY, min=0),
    ignored(cfg.IntOpt, "batch_size", None, "At most 200 timers are taken at a time.", min=1),
    ignored(cfg.FloatOpt, "captured_job_timeout", 30, _CLAIMS, min=1),
    ignored(cfg.FloatOpt, "pickup_job_after", 60, _CLAIMS, min=1),
    ignored(cfg.IntOpt, "in_memory_workers", 10, "See [engine] threads.", min=1),
]

CRON_TRIGGER_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt("enabled", default=True, help="Whether cron triggers fire at all."),
    cfg.IntOpt("execution_interval", default=1, min=1, help="Seconds between two looks."),
    cfg.BoolOpt("run_in_api", default=True, help="Whether the API process fires them."),
]

EVENT_ENGINE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("host", default="0.0.0.0", help="Name of this event engine."),
    cfg.StrOpt("listener_pool_name", default="events", help="Pool the listeners share."),
    cfg.StrOpt("topic", default="mistral_event_engine", help="Topic of the event engines."),
    cfg.StrOpt(
        "event_definitions_cfg_file",
        default="/etc/mistral/event_definitions.yaml",
        help="Which properties are taken from which notification.",
    ),
]

NOTIFIER_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "type",
        default="remote",
        choices=["remote", "local"],
        help="'local' delivers from the engine's process.",
    ),
    cfg.StrOpt("host", default="0.0.0.0", help="Name of this notifier."),
    cfg.StrOpt("topic", default="mistral_notifier", help="Topic of the notifiers."),
    cfg.StrOpt("notify", help="JSON list of publishers that every execution's events are sent to."),
]

EXPIRATION_OPTS: list[cfg.Opt] = [
    cfg.IntOpt("evaluation_interval", min=1, help="Minutes between two runs; unset: off."),
    cfg.IntOpt("older_than", min=1, help="Minutes after its last change an execution is kept."),
    cfg.IntOpt("max_finished_executions", default=0, min=0, help="Newest kept; 0 = no limit."),
    cfg.IntOpt("batch_size", default=0, min=0, help="Executions deleted at a time; 0 = all."),
    cfg.ListOpt("ignored_states", default=[], item_type=_TERMINAL, help="Never deleted."),
]

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

_PLAIN = "Results are always plain JSON: tuples and sets become lists."

YAQL_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "limit_iterators",
        default=1_000_000,
        min=-1,
        help="Elements per iterator of one expression; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "memory_quota",
        default=16 * 1024 * 1024,
        min=-1,
        help="Bytes that one value of an expression may take, in both languages, and a quarter of "
        "what it may build altogether; -1 lifts the limit.",
    ),
    cfg.BoolOpt("convert_input_data", default=True, help="Make inputs immutable for YAQL."),
    ignored(cfg.BoolOpt, "convert_output_data", True, _PLAIN),
    ignored(cfg.BoolOpt, "convert_tuples_to_lists", True, _PLAIN),
    ignored(cfg.BoolOpt, "convert_sets_to_lists", False, _PLAIN),
    cfg.BoolOpt("iterable_dicts", default=False, help="Whether dicts iterate over their keys."),
    cfg.StrOpt("keyword_operator", default="=>", help="Operator of mappings."),
    cfg.BoolOpt("allow_delegates", default=False, help="Allow delegate expressions."),
]


_FILTER_LENGTHS = {
    "pprint": 65536,
    "striptags": 65536,
    "title": 1_000_000,
    "truncate": 1_000_000,
    "urlencode": 1_000_000,
    "urlize": 16384,
    "wordcount": 1_000_000,
    "wordwrap": 16384,
}


EXPRESSIONS_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "allowed_languages",
        default=["yaql", "jinja"],
        help="Languages of expressions that definitions may use: yaql, jinja, and the names of "
        "those that installed packages bring.",
    ),
    cfg.FloatOpt(
        "time_limit",
        default=2.0,
        min=-1,
        help="Seconds that the evaluation of one expression may take; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "max_length",
        default=65536,
        min=-1,
        help="Characters of one YAQL expression, or of a text with Jinja; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "max_integer_bits",
        default=10240,
        min=-1,
        help="Bits of an integer that an expression computes; -1 lifts the limit.",
    ),
    limit(
        "max_compared",
        200_000_000,
        "Characters that one search from the end of a text, or one trim, compares",
    ),
    limit("max_pattern_length", 5000, "Characters of a regular expression"),
    limit(
        "max_pattern_steps",
        250_000_000,
        "Bytes of a text times the size of the machine of the regular expression that searches it",
    ),
    limit(
        "max_json_length",
        4 * 1024 * 1024,
        "Characters that json_parse reads, and json_dump and tojson write",
    ),
    limit("max_json_parts", 250_000, "Commas and brackets of a text that json_parse reads"),
    limit(
        "max_yaml_length",
        64 * 1024,
        "Characters that yaml_parse reads, and of the JSON of what yaml_dump writes",
    ),
    limit(
        "max_equal_hashes",
        1000,
        "Elements of a set, or keys, that Python's hash does not tell apart",
    ),
    limit(
        "max_attribute_parts",
        16,
        "Parts of an attribute by which a filter of Jinja sorts, groups, selects, sums",
    ),
    cfg.Opt(
        "max_filter_length",
        type=cfg_types.Dict(cfg_types.Integer(min=-1)),
        default=_FILTER_LENGTHS,
        help="Characters that filters of Jinja take that compute long for each: filter:number,...; "
        "those left out keep their defaults, -1 lifts a limit.",
    ),
    limit("max_time_length", 200, "Characters of a time, or of its format, in YAQL"),
    limit("max_unpacked", 1000, "Elements that YAQL's unpack takes"),
]

CONTEXT_VERSIONING_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        help="Publications of a variable are counted; at joins the most often updated value wins.",
    ),
    cfg.BoolOpt(
        "hash_version_keys",
        default=True,
        help="Count under hashes of the variables' names; false shows the names in the database.",
    ),
    cfg.IntOpt(
        "max_known_publications",
        default=32,
        min=0,
        help="Older publications of a variable that a branch remembers; values of still older "
        "ones merge as if they were unrelated.",
    ),
    cfg.IntOpt(
        "max_merged_publications",
        default=8,
        min=1,
        help="Publications of a merged value that are told apart; of more, all or none is "
        "replaced.",
    ),
]

KEYCLOAK_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("auth_url", help="Base URL of the Keycloak server."),
    cfg.StrOpt("certfile", help="Client certificate (PEM)."),
    cfg.StrOpt("keyfile", help="Client key (PEM)."),
    cfg.StrOpt("cafile", help="Certificates the server is checked with (PEM)."),
    cfg.BoolOpt("insecure", default=False, help="Do not check the server's certificate."),
    cfg.StrOpt(
        "user_info_endpoint_url",
        default="/realms/%s/protocol/openid-connect/userinfo",
        help="Where a token's owner is asked for.",
    ),
    cfg.StrOpt(
        "public_cert_url",
        default="/realms/%s/protocol/openid-connect/certs",
        help="Where the signing keys are.",
    ),
    cfg.StrOpt("keycloak_iss", help="Issuer that tokens must name; %s is the realm."),
]

DEFINITIONS_OPTS: list[cfg.Opt] = [
    limit("max_length", 4 * 1024 * 1024, "Characters of a document"),
    limit(
        "max_length_of_odd_yaml",
        1024 * 1024,
        "Characters of a document that only the slow parser reads: one with '&', '*', '@' or tabs",
    ),
    limit("max_long_keys", 1000, "Keys of one mapping that are long numbers"),
    limit(
        "max_copied_length",
        32 * 1024 * 1024,
        "Characters of a document with several ad-hoc actions, times their number: each is stored "
        "with the whole",
    ),
    limit("max_warnings", 50, "Warnings that are told of one document"),
    limit(
        "max_suggestions",
        20,
        "Warnings of one document beyond which they don't ask 'did you mean' any more",
    ),
]

COORDINATION_OPTS: list[cfg.Opt] = [
    ignored(cfg.StrOpt, "backend_url"),
    ignored(cfg.FloatOpt, "heartbeat_interval", 5.0),
]

WATCHDOG_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "timeout",
        default=30,
        min=0,
        help="Seconds for which no thread of a process could run after which the process ends, "
        "with its stacks in the log; 0 = never.",
    ),
    cfg.StrOpt(
        "state_path",
        help="Directory where each engine notes what it is handling, so that it is known what it "
        "died of; unset: where systemd says (STATE_DIRECTORY), else that of the SQLite file, else "
        "mistral-<user id> among the temporary files.",
    ),
    cfg.BoolOpt(
        "restart",
        help="Whether mistral-server starts itself again when it has died, by a small parent "
        "process; unset: only with SQLite. Elsewhere systemd, or what runs the container, does.",
    ),
]

PROFILER_OPTS: list[cfg.Opt] = [ignored(cfg.StrOpt, "profiler_log_name", "profiler_trace")]

GROUPS: dict[str, list[cfg.Opt]] = {
    "scheduler": SCHEDULER_OPTS,
    "cron_trigger": CRON_TRIGGER_OPTS,
    "event_engine": EVENT_ENGINE_OPTS,
    "notifier": NOTIFIER_OPTS,
    "execution_expiration_policy": EXPIRATION_OPTS,
    "action_heartbeat": HEARTBEAT_OPTS,
    "secrets": SECRETS_OPTS,
    "action_logging": ACTION_LOGGING_OPTS,
    "action_std_http": STD_HTTP_OPTS,
    "action_std_ssh": STD_SSH_OPTS,
    "action_std_email": STD_EMAIL_OPTS,
    "action_std_js": STD_JS_OPTS,
    "action_providers": ACTION_PROVIDERS_OPTS,
    "legacy_action_provider": LEGACY_PROVIDER_OPTS,
    "yaql": YAQL_OPTS,
    "expressions": EXPRESSIONS_OPTS,
    "definitions": DEFINITIONS_OPTS,
    "context_versioning": CONTEXT_VERSIONING_OPTS,
    "keycloak_oidc": KEYCLOAK_OPTS,
    "coordination": COORDINATION_OPTS,
    "profiler": PROFILER_OPTS,
    "watchdog": WATCHDOG_OPTS,
}
