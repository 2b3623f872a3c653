"""The options of processes, database, API, engine and executor (doc:configuration#all-options).

Groups of libraries (``oslo_messaging_rabbit``, ``keystone_authtoken``, ``cors`` ...) are read by
those libraries and are not repeated here; oslo.config accepts them unread.
"""

from __future__ import annotations

from oslo_config import cfg

from mistral.config import feature_options
from mistral.config.feature_options import IGNORED, ignored, limit

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

#: Those of oslo.middleware for pages of other origins.
CORS_OPTS: list[cfg.Opt] = [
    cfg.ListOpt("allowed_origin", help="Pages that may use the API: https://host[:port]."),
    cfg.BoolOpt("allow_credentials", default=True, help="Whether they may send credentials."),
    cfg.ListOpt("expose_headers", default=["Retry-After"], help="Headers that they may read."),
    cfg.IntOpt("max_age", default=3600, help="Seconds that browsers may remember all this."),
    cfg.ListOpt(
        "allow_methods",
        default=["GET", "PUT", "POST", "DELETE", "PATCH"],
        help="Methods that they may use.",
    ),
    cfg.ListOpt(
        "allow_headers",
        default=["Content-Type", "X-Auth-Token", "X-Project-Id", "X-User-Id", "X-Roles"],
        help="Headers that they may send.",
    ),
]

#: Options of libraries that are read here as well, by group; not ours to list.
SHARED_GROUPS = {
    "DEFAULT": MESSAGING_OPTS,
    "oslo_messaging_rabbit": RABBIT_OPTS,
    "cors": CORS_OPTS,
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

API_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt("host", default="0.0.0.0", help="Address the API listens on."),
    cfg.PortOpt("port", default=8989, help="Port the API listens on."),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Largest page of a list."),
    cfg.BoolOpt(
        "allow_action_execution_deletion",
        default=False,
        help="Whether action executions that belong to no task may be deleted.",
    ),
    cfg.BoolOpt("enable_ssl_api", default=False, help="Serve HTTPS; see [ssl]."),
    ignored(cfg.IntOpt, "api_workers"),
    cfg.StrOpt(
        "validation_mode",
        default="mandatory",
        choices=["enabled", "mandatory", "disabled"],
        help="Validation of definitions; a request may only skip it in 'enabled'.",
    ),
    cfg.BoolOpt("enable_info_endpoint", default=False, help="Serve /info."),
    cfg.StrOpt("info_json_file_path", default="info.json", help="What /info answers."),
    limit("max_json_containers", 1_000_000, "Lists and mappings of a request's body"),
    cfg.IntOpt(
        "max_request_body_size",
        default=20 * 1024 * 1024,
        min=1024,
        help="Bytes a request's body may have; a larger one is answered 413.",
    ),
    cfg.FloatOpt(
        "engine_timeout",
        default=10.0,
        min=0.1,
        help="Seconds that a request waits for its turn, and then for an engine, before it is "
        "answered 503.",
    ),
    cfg.StrOpt(
        "callback_base_url",
        help="Base URL of the API as third parties reach it; actions that signal them hand it "
        "on. Unset: made from the bind address. Empty: a path without a host.",
    ),
    cfg.StrOpt(
        "public_url",
        help="Base URL of the API as clients reach it, without /v2: links in answers begin with "
        "it, and callback_base_url when that is not set. Unset: links begin with the address that "
        "was asked.",
    ),
    cfg.ListOpt(
        "allowed_hosts",
        default=[],
        help="Without authentication, hosts that requests may be addressed to and whose pages may "
        "send them: name, name:port, or an asterisk for all. Always allowed are the bind address, "
        "localhost and the names of this machine, and when bound to all addresses each of them.",
    ),
    cfg.IntOpt(
        "threads",
        default=32,
        min=1,
        help="Threads of the built-in HTTP server that may wait for single actions; half as many "
        "for commands to engines; a quarter each for delivered results and for quick requests; an "
        "eighth each for starts and for definitions. Behind another WSGI server: its threads, "
        "of which three of four may wait for engines or executors.",
    ),
    cfg.IntOpt(
        "max_connections",
        default=2000,
        min=1,
        help="Connections of the built-in HTTP server. A further one takes the place of the one "
        "that has waited longest for its client.",
    ),
    cfg.IntOpt(
        "max_connections_per_address",
        default=500,
        min=1,
        help="Those of one client's address.",
    ),
    cfg.ListOpt(
        "unbounded_addresses",
        default=["127.0.0.0/8", "::1/128"],
        help="Addresses and networks that max_connections_per_address is not for: proxies, "
        "through which many clients come.",
    ),
    cfg.IntOpt(
        "max_request_header_size",
        default=64 * 1024,
        min=1024,
        help="Bytes a request's header may have; a larger one is answered 431.",
    ),
    cfg.IntOpt(
        "max_request_header_fields",
        default=256,
        min=16,
        help="Fields a request's header may have; one with more is answered 431.",
    ),
    cfg.IntOpt(
        "max_requests_ahead",
        default=32,
        min=0,
        help="Requests that may come on a connection ahead of the answer to an earlier one; it is "
        "closed after the answers to these.",
    ),
    cfg.IntOpt(
        "max_small_chunks",
        default=4096,
        min=0,
        help="Chunks a request's body may have beside one for every 16 of its bytes; one with more "
        "is answered 400.",
    ),
    cfg.FloatOpt(
        "header_timeout",
        default=20.0,
        min=0.1,
        help="Seconds in which the header of a request has to come.",
    ),
    cfg.FloatOpt(
        "body_timeout",
        default=60.0,
        min=0.1,
        help="Seconds in which the body of a request has to come.",
    ),
    cfg.FloatOpt(
        "send_timeout",
        default=60.0,
        min=0.1,
        help="Seconds after which a client that does not read its answer is given up.",
    ),
    cfg.FloatOpt(
        "idle_timeout",
        default=30.0,
        min=0.1,
        help="Seconds that a connection is kept for the next request.",
    ),
    cfg.IntOpt(
        "max_buffered_mb",
        default=256,
        min=1,
        help="MiB that the bodies of all requests may have together while they come or wait; a "
        "large one beyond that is answered 503.",
    ),
]

SSL_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("cert_file", help="Certificate of the HTTPS server (PEM)."),
    cfg.StrOpt("key_file", help="Private key of the HTTPS server (PEM)."),
    cfg.StrOpt("ca_file", help="Certificates that clients must be signed by (PEM)."),
]

PECAN_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt("auth_enable", default=True, help="Whether callers must authenticate."),
    ignored(cfg.BoolOpt, "debug", False),
    ignored(cfg.StrOpt, "root"),
    ignored(cfg.ListOpt, "modules"),
]

MIDDLEWARE_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enable_proxy_headers_parsing",
        default=False,
        help="Whether a proxy in front tells, by headers such as Forwarded, what clients asked.",
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
    "api": API_OPTS,
    "ssl": SSL_OPTS,
    "pecan": PECAN_OPTS,
    "oslo_middleware": MIDDLEWARE_OPTS,
    "engine": ENGINE_OPTS,
    "executor": EXECUTOR_OPTS,
    **feature_options.GROUPS,
}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Our options by group, for ``oslo-config-generator`` (entry point ``oslo.config.opts``)."""
    groups = {name: list(options) for name, options in GROUPS.items()}
    groups["DEFAULT"] = SERVER_CLI_OPTS + groups["DEFAULT"]
    return list(groups.items())
