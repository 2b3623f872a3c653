"""The options of processes, database, engine and executor, and the groups of all others.

They are described in doc:configuration#all-options.

Groups of libraries (``oslo_messaging_rabbit``, ``keystone_authtoken``, ``cors`` ...) are read by
those libraries and are not repeated here; oslo.config accepts them unread.
"""

from __future__ import annotations

from oslo_config import cfg

from mistral.config import action_options, api_options, feature_options, language_options
from mistral.config.option_kinds import IGNORED, ignored

COMPONENTS = ("api", "engine", "executor", "event-engine", "notifier", "periodic")

SERVER_CLI_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "server",
        default=["all"],
        metavar="LIST",
        help="Components to run, separated by commas: all, " + ", ".join(COMPONENTS) + ".",
    ),
    cfg.BoolOpt(
        "strict",
        default=False,
        help="End at start when a configuration file has an option or section that nobody knows; "
        "else these are only named.",
    ),
    cfg.BoolOpt("use-debugger", default=False, help=IGNORED),
]

_LOGINS = "This version can't authenticate callers."

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "rpc_implementation",
        default="oslo",
        choices=["oslo", "kombu"],
        help="Library that talks to the broker: oslo (RabbitMQ) or kombu (RabbitMQ, Redis).",
    ),
    cfg.StrOpt(
        "oslo_rpc_executor",
        default="threading",
        choices=["eventlet", "threading", "blocking"],
        help=IGNORED,
    ),
    ignored(
        cfg.StrOpt,
        "auth_type",
        "keystone",
        _LOGINS,
        choices=["keystone", "keycloak-oidc"],
    ),
    ignored(
        cfg.StrOpt,
        "scheduler_type",
        "legacy",
        "One scheduler serves both names.",
        choices=["legacy", "default"],
    ),
    cfg.StrOpt(
        "js_implementation",
        default="py_mini_racer",
        help="JavaScript engine of std.javascript and std.js; older names mean the same one.",
    ),
    cfg.StrOpt(
        "workflow_trace_log_name",
        default="workflow_trace",
        help="Name of the logger that traces workflows, tasks and actions.",
    ),
    cfg.StrOpt(
        "workflow_trace_style",
        default="short",
        choices=["short", "full", "off"],
        help="Its lines, one for each change of a state: 'short' ones name the execution by its "
        "id, 'full' ones tasks and actions, too.",
    ),
    ignored(cfg.IntOpt, "expiration_token_duration", 30, _LOGINS),
    cfg.IntOpt(
        "graceful_shutdown_timeout",
        default=60,
        min=0,
        help="Seconds that running actions and requests get to end after SIGTERM.",
    ),
    ignored(cfg.BoolOpt, "log_options", True),
    ignored(cfg.StrOpt, "backdoor_port"),
]

#: Owned by oslo.messaging when it is used; the other transports read them from here.
MESSAGING_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        default="rabbit://",
        secret=True,
        help="Message broker: rabbit://user:password@host:5672/vhost, several hosts separated "
        "by commas; redis://:password@host:6379/0 with rpc_implementation = kombu; 'fake:/' is "
        "the in-process transport.",
    ),
    cfg.IntOpt("rpc_response_timeout", default=60, min=1, help="Seconds to wait for an answer."),
    cfg.StrOpt("control_exchange", default="openstack", help="Exchange of the messages."),
    cfg.IntOpt(
        "executor_thread_pool_size", default=64, min=1, help="Worker threads of an RPC server."
    ),
    cfg.IntOpt("rpc_conn_pool_size", default=30, min=1, help="Idle connections kept for sending."),
    cfg.IntOpt("conn_pool_ttl", default=1200, help="Seconds after which an idle one is closed."),
]

#: Those of oslo.messaging's options for RabbitMQ that the kombu transport follows, too.
RABBIT_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt("amqp_durable_queues", default=False, help="Queues outlive the broker's end."),
    cfg.BoolOpt("amqp_auto_delete", default=False, help="Queues go with their last consumer."),
    cfg.BoolOpt("rabbit_quorum_queue", default=False, help="Durable queues on several nodes."),
    cfg.IntOpt(
        "heartbeat_timeout_threshold",
        default=60,
        min=0,
        help="Seconds of silence after which a connection counts as broken; 0 = never.",
    ),
    cfg.BoolOpt("ssl", default=False, help="Connect by TLS."),
    cfg.StrOpt("ssl_ca_file", default="", help="Certificates that the broker's is signed by."),
    cfg.StrOpt("ssl_cert_file", default="", help="Our certificate (PEM)."),
    cfg.StrOpt("ssl_key_file", default="", help="Its private key (PEM)."),
    cfg.BoolOpt(
        "ssl_enforce_hostname_verification",
        default=True,
        help="Whether the broker's certificate must be for the host in transport_url.",
    ),
]


#: Options of libraries that are read here as well, by group; not ours to list.
SHARED_GROUPS = {
    "DEFAULT": MESSAGING_OPTS,
    "oslo_messaging_rabbit": RABBIT_OPTS,
    "cors": api_options.CORS_OPTS,
}

DATABASE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "connection",
        default="sqlite:///mistral.sqlite",
        secret=True,
        help="SQLAlchemy URL of the database.",
    ),
    cfg.StrOpt("slave_connection", secret=True, help=IGNORED),
    cfg.IntOpt("max_pool_size", default=5, min=1, help="Connections kept open."),
    cfg.IntOpt("max_overflow", default=50, min=0, help="Connections opened beyond the pool."),
    cfg.IntOpt("pool_timeout", default=30, min=1, help="Seconds to wait for a connection."),
    cfg.IntOpt(
        "connection_recycle_time", default=3600, help="Seconds after which one is replaced."
    ),
    cfg.IntOpt(
        "max_retries",
        default=10,
        min=-1,
        help="How often to ask again at the start while the server does not answer; -1 = for ever.",
    ),
    cfg.IntOpt("retry_interval", default=10, min=1, help="Seconds between these attempts."),
    cfg.IntOpt(
        "connection_debug",
        default=0,
        min=0,
        max=100,
        help="From 50 on SQL statements are logged, without their values.",
    ),
    cfg.StrOpt(
        "connection_parameters",
        default="",
        help="Appended to the URL's query: name1=value1&name2=value2.",
    ),
]


_RELAY = "Each [engine] relay_interval the engines look for all that waits without a reason."

ENGINE_OPTS: list[cfg.Opt] = [
    ignored(cfg.StrOpt, "engine", "default"),
    cfg.StrOpt("host", default="0.0.0.0", help="Name of this engine among the servers."),
    cfg.StrOpt("topic", default="mistral_engine", help="Topic of the engines."),
    ignored(cfg.StrOpt, "version", "1.0"),
    cfg.IntOpt(
        "execution_field_size_limit_kb",
        default=1024,
        min=-1,
        help="Largest input, output, params or published data of one object; -1 = off.",
    ),
    cfg.IntOpt(
        "memory_limit_mb",
        default=0,
        min=0,
        help="MiB that an engine's process may use; beyond it expressions fail; 0 = off.",
    ),
    ignored(cfg.IntOpt, "execution_integrity_check_delay", 20, _RELAY),
    ignored(cfg.IntOpt, "execution_integrity_check_batch_size", 5, _RELAY, min=1),
    ignored(
        cfg.IntOpt,
        "action_definition_cache_time",
        60,
        "Changed definitions count at once; what was parsed is kept by its content.",
        min=0,
    ),
    ignored(
        cfg.BoolOpt,
        "start_subworkflows_via_rpc",
        False,
        "Each sub-workflow starts in a transaction of its own, on any engine.",
    ),
    cfg.StrOpt(
        "merge_strategy",
        default="replace",
        choices=["replace", "merge"],
        help="How a join combines the data of its branches: by key, or deeply.",
    ),
    cfg.IntOpt(
        "items_limit",
        default=10_000,
        min=-1,
        help="Items of one task with 'with-items'; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "depth_limit",
        default=100,
        min=-1,
        help="Levels of sub-workflows below a root execution; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "executions_limit",
        default=20_000,
        min=-1,
        help="Workflow executions of one tree, the root included; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "tasks_limit",
        default=100_000,
        min=-1,
        help="Tasks of a root execution and all below it; further attempts count, so that no "
        "loop is endless. -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "actions_limit",
        default=500_000,
        min=-1,
        help="Actions of a root execution and all below it; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "values_limit_mb",
        default=4096,
        min=-1,
        help="MiB of large values that a root execution and all below it store; -1 lifts the "
        "limit.",
    ),
    cfg.IntOpt(
        "values_at_once_mb",
        default=4,
        min=-1,
        help="MiB of large values that one transaction makes, and one value more; what is beyond "
        "waits for the next one, behind what others have to do. -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "values_loaded_mb",
        default=256,
        min=-1,
        help="MiB of large values that an expression may ask for together, as in the result of a "
        "task with many items; -1 lifts the limit.",
    ),
    cfg.IntOpt("threads", default=4, min=1, help="Worker threads of one engine process."),
    cfg.FloatOpt(
        "relay_interval",
        default=2.0,
        min=0.1,
        help="Seconds between two looks for work whose message was lost.",
    ),
]

EXECUTOR_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "type",
        default="remote",
        choices=["remote", "local"],
        help="'local' runs the actions inside the engine's process.",
    ),
    cfg.StrOpt("host", default="0.0.0.0", help="Name by which tasks target this executor."),
    cfg.StrOpt("topic", default="mistral_executor", help="Topic of the executors."),
    ignored(cfg.StrOpt, "version", "1.0"),
    cfg.IntOpt(
        "threads",
        min=1,
        help="Actions that one process runs at a time; unset: executor_thread_pool_size.",
    ),
    cfg.IntOpt(
        "values_in_memory_mb",
        default=64,
        min=-1,
        help="MiB of large inputs that one process has loaded, and of results that no engine has "
        "stored yet; one execution gets a quarter. Other actions wait. -1 lifts the limit.",
    ),
]

GROUPS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": DEFAULT_OPTS,
    "database": DATABASE_OPTS,
    **api_options.GROUPS,
    "engine": ENGINE_OPTS,
    "executor": EXECUTOR_OPTS,
    **action_options.GROUPS,
    **language_options.GROUPS,
    **feature_options.GROUPS,
}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Our options by group, for ``oslo-config-generator`` (entry point ``oslo.config.opts``)."""
    groups = {name: list(options) for name, options in GROUPS.items()}
    groups["DEFAULT"] = SERVER_CLI_OPTS + groups["DEFAULT"]
    return list(groups.items())
