"""Connections of ``std.ssh``: opened by the guard, bounded in what they read and how long.

The library reads on a thread of its own, keeps whatever comes until somebody asks for it, and
waits for some answers without end. So each socket has a budget, which what was asked for refills,
and a deadline that ends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from mistral.actions.bounded import BoundedSocket
from mistral.actions.deadlines import Deadline
from mistral.actions.egress import EgressDeniedError, EgressGuard, host_and_port
from mistral.actions.services import SshOptions
from mistral_lib.actions import ActionException

DEFAULT_PORT = 22
CHUNK = 64 * 1024
_SECTION = "[action_std_ssh]"
#: Banners, keys and the like, until somebody is logged in.
_LOGIN_BYTES = 256 * 1024
#: Above the windows of the library, which are what may come before somebody asks for it.
_OPEN_BYTES = 8 * 1024 * 1024
#: Outputs in packets of one byte each have much around them.
_WIRE_PER_BYTE = 64
#: The library asks for a whole packet, whose length the other side says.
_LARGEST_PACKET = 512 * 1024


@dataclasses.dataclass(frozen=True)
class Login:
    """Who logs in, and how."""

    username: str
    password: str
    key: Any = None


class Hop:
    """One connection on the way to a host, which may lead through another one."""

    def __init__(self, host: str, sock: Any, outer: Hop | None, options: SshOptions) -> None:
        self.host = host
        self.sock = BoundedSocket(sock, _LOGIN_BYTES, _LARGEST_PACKET)
        self.client = load_paramiko().SSHClient()
        self._outer = outer
        self._options = options

    def grant(self, count: int) -> None:
        """Let more come, through all connections."""
        self.sock.grant(count)
        if self._outer is not None:
            self._outer.grant(2 * count)

    def log_in(self, login: Login, port: int, name: str) -> None:
        """Agree on keys with the host, which must be a known one, and log in."""
        options, paramiko = self._options, load_paramiko()
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        if options.known_hosts is not None:
            self.client.load_host_keys(str(options.known_hosts))
        self.client.connect(
            name,
            port=port,
            username=login.username,
            password=login.password or None,
            pkey=login.key,
            sock=self.sock,
            timeout=options.connect_timeout,
            banner_timeout=options.connect_timeout,
            auth_timeout=options.connect_timeout,
            allow_agent=False,
            look_for_keys=False,
        )
        self.grant(_OPEN_BYTES)

    def tunnel(self, target: tuple[str, int]) -> Any:
        """A channel that ends at a host that this one reaches."""
        return self.client.get_transport().open_channel(
            "direct-tcpip", target, ("127.0.0.1", 0), timeout=self._options.connect_timeout
        )

    def execute(self, cmd: str) -> tuple[str, str, int]:
        """Run a command and read both its outputs as they come, each up to a limit."""
        channel = self.client.get_transport().open_session(timeout=self._options.connect_timeout)
        with contextlib.closing(channel):
            channel.exec_command(cmd)
            channel.shutdown_write()
            out, err = bytearray(), bytearray()
            while not _drained(channel):
                for ready, read, kept in (
                    (channel.recv_ready, channel.recv, out),
                    (channel.recv_stderr_ready, channel.recv_stderr, err),
                ):
                    while ready():
                        self._keep(kept, read(CHUNK))
            status = channel.recv_exit_status()
        return out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), status

    def _keep(self, kept: bytearray, data: bytes) -> None:
        kept += data
        self.grant(_WIRE_PER_BYTE * len(data))
        limit = self._options.max_output_size
        if len(kept) > limit:
            raise ActionException(
                f"The output of the ssh command is too large: more than {limit} bytes "
                f"({_SECTION} max_output_size_bytes)."
            )

    @contextlib.contextmanager
    def readable_failures(self, deadline: Deadline, option: str) -> Iterator[None]:
        """Words for what goes wrong until a deadline."""
        with readable_failures(self.host, deadline, option):
            try:
                yield
            except Exception:
                self._check()
                raise
            # a connection that was ended looks like one that came to its end
            self._check()
            deadline.remaining()

    def _check(self) -> None:
        if self.sock.is_exhausted:
            raise ActionException(
                f"The ssh connection to {self.host} failed: it sent more than anybody asked for."
            ) from None


class Way:
    """The connections that lead to one host; a context manager that closes them.

    :param guard: judges and opens the connections that start here.
    """

    def __init__(self, guard: EgressGuard, options: SshOptions) -> None:
        self._guard = guard
        self._options = options
        seconds = options.command_timeout and options.command_timeout + options.connect_timeout
        self.deadline = guard.deadline(seconds)
        self._first: socket.socket | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Way:
        self._stack.enter_context(self.deadline)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, host: str, login: Login, channel: Any = None, outer: Hop | None = None) -> Hop:
        """A connection to a host, directly or through a channel that leads there."""
        name, port = _address_of(host)
        timeout, option = self._options.connect_timeout, "connect_timeout"
        with self._guard.deadline(timeout) as limit:
            if channel is None:
                with readable_failures(host, limit, option):
                    channel = self._first = self._guard.connect(name, port, timeout, limit)
                self.deadline.watch_socket(channel)
            elif self._first is not None:
                limit.watch_socket(self._first)
            else:
                # a command takes the place of the network
                limit.on_end(channel.close)
                self.deadline.on_end(channel.close)
            self._stack.callback(channel.close)
            hop = Hop(host, channel, outer, self._options)
            self._stack.enter_context(hop.client)
            with hop.readable_failures(limit, option):
                hop.log_in(login, port, name)
        return hop

    def tunnel(self, gateway: Hop, host: str) -> Any:
        """A channel through a gateway."""
        with gateway.readable_failures(self.deadline, "command_timeout"):
            return gateway.tunnel(_address_of(host))

    def execute(self, hop: Hop, cmd: str) -> tuple[str, str, int]:
        """Run a command at the end of the way."""
        with hop.readable_failures(self.deadline, "command_timeout"):
            return hop.execute(cmd)


@contextlib.contextmanager
def readable_failures(host: str, deadline: Deadline, option: str) -> Iterator[None]:
    """Words for what goes wrong until a deadline, which an option sets."""
    paramiko = load_paramiko()
    try:
        yield
    except paramiko.BadHostKeyException:
        raise ActionException(f"The ssh key of host {host} is not the known one.") from None
    except paramiko.AuthenticationException:
        raise ActionException(f"Host {host} refused the ssh login.") from None
    except EgressDeniedError as exc:
        raise ActionException(f"The ssh connection to {host} failed: {exc}.") from None
    except (paramiko.SSHException, OSError, EOFError, UnicodeError) as exc:
        unknown = "not found in known_hosts" in str(exc)
        reason = exc.strerror if isinstance(exc, OSError) else None
        why = "its key is not known" if unknown else reason or type(exc).__name__
        if deadline.is_over:
            why = f"it took longer than {deadline.seconds:g} seconds ({_SECTION} {option})"
        raise ActionException(f"The ssh connection to {host} failed: {why}.") from None


def load_paramiko() -> Any:
    """The library of the extra 'ssh'; executors without it still run everything else."""
    try:
        return importlib.import_module("paramiko")
    except ImportError:
        raise ActionException(
            "No ssh library is installed on this executor; install the extra 'ssh'."
        ) from None


def _address_of(host: str) -> tuple[str, int]:
    try:
        return host_and_port(host, DEFAULT_PORT)
    except ValueError as exc:
        raise ActionException(f"The parameter 'host': {exc}.") from None


def _drained(channel: Any) -> bool:
    """Whether the command ended and nothing of its output is left."""
    if channel.recv_ready() or channel.recv_stderr_ready():
        return False
    if channel.exit_status_ready() and channel.eof_received:
        # what arrived between the first look and the end of the stream
        return not (channel.recv_ready() or channel.recv_stderr_ready())
    if channel.closed:
        return True
    # paramiko has no call that waits for either of the two outputs
    time.sleep(0.02)
    return False
