"""Where components are built out of a configuration; nobody else reads options.

One function a component. What several components of one process share is in
:mod:`mistral.cmd.parts`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from oslo_config import cfg

from mistral import config
from mistral.api import lanes
from mistral.api.admission import Admission
from mistral.api.app import Api, create_app
from mistral.api.browsers import Hosts
from mistral.api.dependencies import ApiDependencies, ApiOptions
from mistral.api.layers import WsgiApp
from mistral.cmd import keys, parts, remarks
from mistral.db.core import schema_version
from mistral.db.storage import Storage
from mistral.definitions import Definitions
from mistral.definitions.catalog import Catalog
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.background.executor_watch import ExecutorWatch
from mistral.engine.background.housekeeping import Housekeeping
from mistral.engine.background.maintenance_job import MaintenanceJob
from mistral.engine.default_engine import DefaultEngine, EngineOptions
from mistral.engine.default_executor import DefaultExecutor
from mistral.engine.engine_server import EngineServer, alive_topic, results_topic
from mistral.engine.executor.claim_window import confirmed_for
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor_server import ExecutorServer
from mistral.engine.liveness import HeartbeatOptions
from mistral.exceptions import ConfigurationError
from mistral.rpc.clients import EngineClient, ExecutorClient
from mistral.rpc.preferred import PreferredClient
from mistral.service import memory
from mistral.service.base import ServiceGroup, Startable
from mistral.service.engine_clock import EngineClock
from mistral.service.http.lanes import Lanes
from mistral.service.http.options import MEBIBYTE, Bounds, HttpOptions, TlsFiles
from mistral.service.http.server import HttpServer
from mistral.utils import hosts
from mistral.utils.faults import Faults
from mistral.workflow import bounds
from mistral.workflow.limits import Limits
from mistral.workflow.versions import Versioning

LOG = logging.getLogger(__name__)

#: Order of starting; they stop the other way round.
_ORDER = ("engine", "executor", "api")


def components(conf: cfg.ConfigOpts) -> list[str]:
    """The components that the options ask for, in the order in which they start."""
    wanted = set(config.COMPONENTS if "all" in conf.server else conf.server)
    if "engine" in wanted and conf.executor.type == "local":
        wanted.add("executor")
    return [name for name in _ORDER if name in wanted]


def build_service(conf: cfg.ConfigOpts) -> ServiceGroup:
    """Everything this process runs."""
    if config.is_embedded(conf):
        prepare_embedded_database(conf)
    shared = parts.Parts(conf)
    if {"engine", "api"} & set(components(conf)):
        shared.check_database()
    built = Components(shared)
    makers: dict[str, Callable[[], Startable]] = {
        "engine": built.engine,
        "executor": built.executor,
        "api": built.api,
    }
    members = [makers[name]() for name in components(conf)]
    if components(conf) == ["executor"]:
        members.insert(0, built.engine_clock())
    if "engine" in components(conf):
        memory.limit(conf.engine.memory_limit_mb)
    if not members:
        LOG.warning("Nothing to run for --server %s", ",".join(conf.server))
    return ServiceGroup(members, clean_up=[shared.close])


def build_wsgi_application(conf: cfg.ConfigOpts) -> WsgiApp:
    """Only the REST API, for a WSGI server."""
    if config.is_embedded(conf):
        prepare_embedded_database(conf)
    shared = parts.Parts(conf)
    shared.check_database()
    access = remarks.on_access(conf)
    if access is not None:
        LOG.warning("%s", access)
    return Components(shared).wsgi_application()


def prepare_embedded_database(conf: cfg.ConfigOpts) -> None:
    """Make the data directory and bring the schema up to date."""
    parts.make_data_directory(conf)
    url = parts.database_url(conf)
    if not schema_version.is_usable(url):
        schema_version.upgrade(url)


class Components:
    """The components, built out of the parts of one process."""

    def __init__(self, shared: parts.Parts) -> None:
        self._parts = shared
        self._conf = shared.conf

    def engine(self) -> ServiceGroup:
        """Runs workflows."""
        conf = self._conf
        catalog = Catalog(
            self._parts.expressions,
            self._parts.registry,
            vault=keys.vault(conf, self._parts.database),
        )
        heartbeat = conf.action_heartbeat
        options = HeartbeatOptions(
            silence=heartbeat.check_interval * heartbeat.max_missed_heartbeats,
            refresh=heartbeat.check_interval,
            first=heartbeat.first_heartbeat_timeout,
            caller=conf.rpc_response_timeout,
            batch=heartbeat.batch_size,
        )
        queue = ActionQueue(
            ExecutorClient(self._parts.executor_transport.client(conf.executor.topic)),
            catalog,
            SendOptions(
                callback_url=callback_base_url(conf),
                heartbeat=options,
            ),
        )
        limits = Limits(
            field_size_kb=conf.engine.execution_field_size_limit_kb,
            merge_strategy=conf.engine.merge_strategy,
            versioning=Versioning(
                conf.context_versioning.enabled,
                conf.context_versioning.hash_version_keys,
                conf.context_versioning.max_known_publications,
                conf.context_versioning.max_merged_publications,
            ),
            bounds=bounds.Bounds(
                items=conf.engine.items_limit,
                depth=conf.engine.depth_limit,
                executions=conf.engine.executions_limit,
                tasks=conf.engine.tasks_limit,
                actions=conf.engine.actions_limit,
                values_mb=conf.engine.values_limit_mb,
            ),
            bytes_at_once=conf.engine.values_at_once_mb * MEBIBYTE,
            bytes_loaded=conf.engine.values_loaded_mb * MEBIBYTE,
        )
        storage = Storage(self._parts.database)
        engine = DefaultEngine(
            storage,
            catalog,
            queue,
            EngineOptions(
                threads=conf.engine.threads,
                waiting_starts=_waiting_starts(conf),
                start_patience=conf.api.engine_timeout,
                relay_interval=conf.engine.relay_interval,
                trace_log_name=conf.workflow_trace_log_name,
                trace_style=conf.workflow_trace_style,
                limits=limits,
            ),
            Faults.from_environment(os.environ),
            self._parts.in_flight(),
        )
        server = EngineServer(
            engine,
            transport=self._parts.transport,
            host=conf.engine.host,
            topic=conf.engine.topic,
            threads=conf.executor_thread_pool_size,
        )
        job = MaintenanceJob(storage, engine, conf.engine.relay_interval)
        return ServiceGroup([server, job, Housekeeping(storage), ExecutorWatch(storage)])

    def executor(self) -> ExecutorServer:
        """Runs actions."""
        conf, heartbeat = self._conf, self._conf.action_heartbeat
        options = ExecutorOptions(
            host=conf.executor.host,
            thread_pool_size=conf.executor.threads or conf.executor_thread_pool_size,
            values_mb=conf.executor.values_in_memory_mb,
            grace_period=conf.graceful_shutdown_timeout,
            heartbeat_interval=min(
                ExecutorOptions.heartbeat_interval,
                heartbeat.check_interval or ExecutorOptions.heartbeat_interval,
            ),
            claim_confirmed_for=confirmed_for(
                heartbeat.check_interval * heartbeat.max_missed_heartbeats
            ),
        )
        transport, topic = self._parts.transport, conf.engine.topic
        executor = DefaultExecutor(
            EngineClient(
                PreferredClient(transport.client(results_topic(topic)), transport.client(topic))
            ),
            options,
            self._parts.action_services,
            alive_client=EngineClient(transport.client(alive_topic(topic))),
        )
        return ExecutorServer(
            executor, transport=self._parts.executor_transport, topic=conf.executor.topic
        )

    def engine_clock(self) -> EngineClock:
        """The time of an executor that is alone in its process."""
        topic = alive_topic(self._conf.engine.topic)
        return EngineClock(EngineClient(self._parts.transport.client(topic)))

    def api(self) -> HttpServer:
        """Serves the REST API."""
        conf = self._conf
        tls = None
        if conf.api.enable_ssl_api:
            tls = TlsFiles(conf.ssl.cert_file, conf.ssl.key_file, conf.ssl.ca_file)
        options = HttpOptions(
            host=conf.api.host,
            port=conf.api.port,
            tls=tls,
            grace=conf.graceful_shutdown_timeout,
            bounds=Bounds(
                connections=conf.api.max_connections,
                connections_per_address=conf.api.max_connections_per_address,
                unbounded_addresses=tuple(conf.api.unbounded_addresses),
                header_size=conf.api.max_request_header_size,
                header_fields=conf.api.max_request_header_fields,
                requests_ahead=conf.api.max_requests_ahead,
                small_chunks=conf.api.max_small_chunks,
                header_timeout=conf.api.header_timeout,
                body_size=conf.api.max_request_body_size,
                body_timeout=conf.api.body_timeout,
                body_memory=conf.api.max_buffered_mb * MEBIBYTE,
                send_timeout=conf.api.send_timeout,
                idle_timeout=conf.api.idle_timeout,
                queue_timeout=conf.api.engine_timeout,
            ),
        )
        workers = lanes.workers(conf.api.threads)
        app = self.api_application(Admission.for_lanes(workers[lanes.RESULTS]))
        return HttpServer(app, options, Lanes(workers, app.lane))

    def wsgi_application(self) -> Api:
        """The REST API for any WSGI server, which has so many threads as ``[api] threads``."""
        return self.api_application(Admission.for_threads(self._conf.api.threads))

    def api_application(self, admission: Admission) -> Api:
        """The REST API for a server that waits in the way of ``admission``."""
        conf = self._conf
        if conf.pecan.auth_enable:
            raise ConfigurationError(
                "[pecan] auth_enable is true, but this version can't authenticate callers; "
                "set it to false."
            )
        options = ApiOptions(
            max_limit=conf.api.max_limit,
            max_request_body_size=conf.api.max_request_body_size,
            max_json_containers=conf.api.max_json_containers,
            engine_timeout=conf.api.engine_timeout,
            action_timeout=conf.rpc_response_timeout,
            allow_action_execution_deletion=conf.api.allow_action_execution_deletion,
            validation_mode=conf.api.validation_mode,
            execution_field_size_limit_kb=conf.engine.execution_field_size_limit_kb,
            proxy_headers=conf.oslo_middleware.enable_proxy_headers_parsing,
            silence=max(ApiOptions.silence, 3 * conf.engine.relay_interval),
            info_file=conf.api.info_json_file_path if conf.api.enable_info_endpoint else None,
            public_url=public_url(conf),
            hosts=Hosts.bound_to(conf.api.host, conf.api.port, conf.api.allowed_hosts),
            cors=dict(conf.cors.items()),
            remarks=tuple(filter(None, [remarks.on_access(conf)])),
        )
        return create_app(
            ApiDependencies(
                database=self._parts.database,
                engine=EngineClient(self._parts.transport.client(conf.engine.topic)),
                doorbell=EngineClient(self._parts.transport.client(alive_topic(conf.engine.topic))),
                executor=ExecutorClient(
                    self._parts.executor_transport.client(conf.executor.topic, calls_once=True)
                ),
                definitions=Definitions(
                    self._parts.database,
                    self._parts.expressions,
                    self._parts.registry,
                    limits=self._parts.document_limits(),
                ),
                system_actions=self._parts.registry.find_all,
                options=options,
                admission=admission,
            )
        )


def _waiting_starts(conf: cfg.ConfigOpts) -> int:
    """Starts that may hold a thread of the engine's: some are left for operators."""
    threads = conf.executor_thread_pool_size
    return int(max(1, threads - threads // 8 - conf.engine.threads))


def api_url(conf: cfg.ConfigOpts) -> str:
    """Where this process's API can be reached, by other machines if possible."""
    scheme = "https" if conf.api.enable_ssl_api else "http"
    host = hosts.reachable(conf.api.host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{conf.api.port}"


def public_url(conf: cfg.ConfigOpts) -> str | None:
    """What links in answers begin with, if it is configured."""
    configured = conf.api.public_url or conf.api.callback_base_url
    return configured.rstrip("/") if configured else None


def callback_base_url(conf: cfg.ConfigOpts) -> str:
    """What third parties are told to deliver results to."""
    configured = conf.api.callback_base_url
    if configured is None:
        return public_url(conf) or api_url(conf)
    return str(configured.rstrip("/"))
