"""The options of single features: scheduling, triggers, notification, the watchdog and the like."""

from __future__ import annotations

from oslo_config import cfg
from oslo_config import types as cfg_types

from mistral.config.option_kinds import ignored

_TERMINAL = cfg_types.String(choices=["SUCCESS", "ERROR", "CANCELLED"])

#: Groups of what this version does not have; their options are checked all the same.
UNBUILT = ("cron_trigger", "event_engine", "notifier", "execution_expiration_policy") + (
    "keycloak_oidc",
)

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
    "keycloak_oidc": KEYCLOAK_OPTS,
    "coordination": COORDINATION_OPTS,
    "profiler": PROFILER_OPTS,
    "watchdog": WATCHDOG_OPTS,
}
