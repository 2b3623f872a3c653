"""The options of the API and its HTTP server."""

from __future__ import annotations

from oslo_config import cfg

from mistral.config.option_kinds import ignored, limit

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


GROUPS: dict[str, list[cfg.Opt]] = {
    "api": API_OPTS,
    "ssl": SSL_OPTS,
    "pecan": PECAN_OPTS,
    "oslo_middleware": MIDDLEWARE_OPTS,
}
