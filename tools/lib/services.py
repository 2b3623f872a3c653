"""Databases and brokers that tests and benchmarks borrow, and a database of one's own in them.

Run with the project's environment, because the databases' drivers are needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import urllib.parse
from collections.abc import Iterator

import amqp
import kombu
import psycopg
import psycopg.sql
import pymysql
import redis

CONNECT_TIMEOUT = 5

DEFAULT_URLS = {
    "postgresql": "postgresql://postgres@127.0.0.1:5432/postgres",
    "mariadb": "mysql://root@127.0.0.1:3306/mysql",
    "rabbitmq": "rabbit://guest:guest@127.0.0.1:5672/",
    "redis": "redis://127.0.0.1:6379/0",
}
TITLES = {
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "rabbitmq": "RabbitMQ",
    "redis": "Redis",
}


FAILURES = (
    OSError,
    amqp.AMQPError,
    psycopg.Error,
    pymysql.MySQLError,
    redis.RedisError,
)


class ServiceMissing(Exception):
    """The service did not answer; the text says which one, where and why."""


@dataclasses.dataclass(frozen=True)
class Service:
    """A server at an address. ``MISTRAL_TEST_<KIND>_URL`` overrides the usual one."""

    kind: str
    url: str

    @classmethod
    def find(cls, kind: str) -> Service:
        """The server of that kind, checked by connecting to it."""
        variable = f"MISTRAL_TEST_{kind.upper()}_URL"
        service = cls(kind, os.environ.get(variable) or DEFAULT_URLS[kind])
        try:
            service.check()
        except FAILURES as error:
            host = urllib.parse.urlsplit(service.url)
            cause = " ".join(str(error).split()) or type(error).__name__
            raise ServiceMissing(
                f"{TITLES[kind]} is not usable at {host.hostname}:{host.port} ({cause}); "
                f"set {variable} if it is elsewhere"
            ) from error
        return service

    def check(self) -> None:
        """Connect once."""
        if self.kind == "rabbitmq":
            address = self.url.replace("rabbit://", "amqp://", 1)
            with kombu.Connection(address, connect_timeout=CONNECT_TIMEOUT) as connection:
                connection.connect()
        elif self.kind == "redis":
            with redis.Redis.from_url(
                self.url, socket_connect_timeout=CONNECT_TIMEOUT, socket_timeout=CONNECT_TIMEOUT
            ) as client:
                client.ping()
        else:
            self._execute("SELECT 1")

    def _execute(self, statement: str) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if self.kind == "postgresql":
            with psycopg.connect(
                self.url, autocommit=True, connect_timeout=CONNECT_TIMEOUT
            ) as connection:
                connection.execute(psycopg.sql.SQL(statement))
            return
        with (
            contextlib.closing(
                pymysql.connect(
                    host=parts.hostname,
                    port=parts.port or 3306,
                    user=urllib.parse.unquote(parts.username or ""),
                    password=urllib.parse.unquote(parts.password or ""),
                    connect_timeout=CONNECT_TIMEOUT,
                    autocommit=True,
                )
            ) as mysql,
            mysql.cursor() as cursor,
        ):
            cursor.execute(statement)

    @contextlib.contextmanager
    def new_database(self) -> Iterator[str]:
        """A database of a random name, as an SQLAlchemy URL; dropped at the end."""
        name = f"mistral_test_{secrets.token_hex(6)}"
        if self.kind == "postgresql":
            scheme = "postgresql+psycopg"
            create = f"CREATE DATABASE {name}"
            drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        else:
            scheme = "mysql+pymysql"
            create = f"CREATE DATABASE {name} CHARACTER SET utf8mb4"
            drop = f"DROP DATABASE IF EXISTS {name}"
        self._execute(create)
        try:
            parts = urllib.parse.urlsplit(self.url)
            yield urllib.parse.urlunsplit((scheme, parts.netloc, f"/{name}", "", ""))
        finally:
            self._execute(drop)

    @contextlib.contextmanager
    def forgotten_names(self, prefix: str) -> Iterator[None]:
        """At the end no such name is left in Redis; queues of RabbitMQ go by themselves."""
        try:
            yield
        finally:
            if self.kind == "redis":
                with redis.Redis.from_url(self.url, socket_timeout=CONNECT_TIMEOUT) as client:
                    for key in client.scan_iter(match=f"{prefix}*", count=1000):
                        client.delete(key)
