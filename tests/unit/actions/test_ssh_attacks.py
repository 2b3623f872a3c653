"""SSH servers that never come to an end."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mistral.actions.egress import EgressGuard, EgressOptions
from mistral.actions.egress_http import EgressHTTP
from mistral.actions.services import ActionServices, SshOptions
from mistral.actions.ssh_actions import SSHAction, SSHProxiedAction
from mistral_lib.actions import ActionContext, ActionException

paramiko = pytest.importorskip("paramiko")

OPEN_HTTP = EgressHTTP(EgressGuard(EgressOptions(denied_cidrs=())))


def endless(start: bytes, piece: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain(filter(None, [start]), itertools.repeat(piece))


class Servers:
    """Listeners on this machine; each handles one connection by a function."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.touch()
        self.host_key = paramiko.ECDSAKey.generate()
        self.stop = threading.Event()
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def raw(self, script: Callable[[], Iterable[bytes]], pause: float) -> str:
        """A server that says the script, whatever it is told."""

        def talk(connection: socket.socket) -> None:
            for piece in script():
                connection.sendall(piece)
                if self.stop.wait(pause):
                    return
            while connection.recv(65536):
                pass

        return self._serve(talk)

    def ssh(self, behave: Callable[[Any, Any], None], **session: Any) -> str:
        """A server that lets everybody in and does with a channel what it likes."""

        def talk(connection: socket.socket) -> None:
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=_session(**session)())
                channel = transport.accept(10)
                if channel is not None:
                    behave(transport, channel)
            transport.close()

        address = self._serve(talk)
        host, port = address.split(":")
        with self.known_hosts.open("a") as known:
            key = self.host_key
            known.write(f"[{host}]:{port} {key.get_name()} {key.get_base64()}\n")
        return address

    def _serve(self, talk: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                talk(connection)

        self._threads.append(threading.Thread(target=answer, daemon=True))
        self._threads[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def close(self) -> None:
        self.stop.set()
        for listener in self._listeners:
            listener.close()
        for thread in self._threads:
            thread.join(5)


def _session(answers: bool = True) -> Any:
    class Session(paramiko.ServerInterface):
        def check_auth_password(self, username: str, password: str) -> int:
            return paramiko.AUTH_SUCCESSFUL

        def get_allowed_auths(self, username: str) -> str:
            return "password"

        def check_channel_request(self, kind: str, number: int) -> int:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_direct_tcpip_request(self, number: int, origin: Any, to: Any) -> int:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
            if not answers:
                time.sleep(3)
            return True

    return Session


@pytest.fixture
def servers(tmp_path: pathlib.Path) -> Iterator[Servers]:
    servers = Servers(tmp_path)
    yield servers
    servers.close()


@pytest.fixture
def run(servers: Servers) -> Any:
    def go(address: str, action: Any = None, **options: Any) -> Any:
        action = action or SSHAction("echo", address, "me", password="p")
        limits = {"connect_timeout": 5.0, "known_hosts": servers.known_hosts} | options
        action.equip(ActionServices(http=OPEN_HTTP, ssh=SshOptions(**limits)))
        return action.run(ActionContext())

    return go


@pytest.mark.parametrize(
    "script",
    [
        endless(b"", b"x"),
        endless(b"", b"x\r\n"),
        endless(b"SSH-2.0-x\r\n\x00\x00\x01\xfc", b"x"),
        lambda: [],
    ],
    ids=["banner", "banner-lines", "keys", "silence"],
)
def test_what_drips_ends_in_time(servers: Servers, run: Any, script: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(
        ActionException, match=r"0.3 seconds \(\[action_std_ssh\] connect_timeout\)"
    ):
        run(servers.raw(script, 0.02), connect_timeout=0.3)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "script",
    [
        endless(b"", b"x" * 1000),
        endless(b"SSH-2.0-x\r\n\x7f\xff\xff\xfc", b"x" * 1000),
    ],
    ids=["banner", "packet"],
)
def test_what_floods_ends_at_once(servers: Servers, run: Any, script: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ActionException, match="sent more than anybody asked for"):
        run(servers.raw(script, 0), connect_timeout=20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def never(transport: Any, channel: Any) -> None:
    channel.recv(1)
    while transport.is_active():
        time.sleep(0.02)


def drip(transport: Any, channel: Any) -> None:
    while transport.is_active():
        channel.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("behave", [never, drip])
def test_a_command_without_end_ends_in_time(servers: Servers, run: Any, behave: Any) -> None:
    with pytest.raises(
        ActionException, match=r"took longer than .*\[action_std_ssh\] command_time"
    ):
        run(servers.ssh(behave), command_timeout=0.3, connect_timeout=1)


def test_a_server_that_does_not_start_the_command(servers: Servers, run: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(ActionException, match="command_timeout"):
        run(servers.ssh(never, answers=False), command_timeout=0.3, connect_timeout=1)
    assert time.monotonic() - begun < 2.5


def flood(transport: Any, channel: Any) -> None:
    while transport.is_active():
        channel.sendall(b"x" * 30_000)


def test_too_much_output(servers: Servers, run: Any) -> None:
    words = r"more than 100000 bytes \(\[action_std_ssh\] max_output_size_bytes\)"
    with pytest.raises(ActionException, match=words):
        run(servers.ssh(flood), max_output_size=100_000)


def flood_unasked(transport: Any, channel: Any) -> None:
    """Before the command has been started, and regardless of windows: the client keeps it all."""
    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_CHANNEL_DATA)
    message.add_int(channel.remote_chanid)
    message.add_string(b"x" * 30_000)
    while transport.is_active():
        transport._send_message(message)


def test_what_nobody_asked_for(servers: Servers, run: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    with pytest.raises(ActionException, match="sent more than anybody asked for|too large"):
        run(servers.ssh(flood_unasked, answers=False), command_timeout=20)
    assert time.monotonic() - begun < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def big(transport: Any, channel: Any) -> None:
    # the client ends its input after it was told that the command runs
    channel.recv(1)
    channel.sendall(b"x" * 3_000_000)
    channel.send_exit_status(0)
    channel.close()
    # to end the connection now could take back what the client has not read
    transport.join(5)


def forward_to(address: str) -> Callable[[Any, Any], None]:
    def behave(transport: Any, channel: Any) -> None:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as inner:
            back = threading.Thread(target=pump, args=(inner.recv, channel.sendall), daemon=True)
            back.start()
            pump(channel.recv, inner.sendall)
            inner.shutdown(socket.SHUT_RDWR)
            back.join(5)

    return behave


def pump(read: Callable[[int], bytes], write: Callable[[bytes], Any]) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := read(65536):
            write(data)


def test_a_host_behind_a_gateway(servers: Servers, run: Any) -> None:
    inner = servers.ssh(big)
    gateway = servers.ssh(forward_to(inner))
    action = SSHProxiedAction("echo", inner, "me", gateway_host=gateway, password="p")
    assert run("", action) == "x" * 3_000_000


def test_a_host_behind_a_gateway_that_never_ends(servers: Servers, run: Any) -> None:
    inner = servers.ssh(never)
    gateway = servers.ssh(forward_to(inner))
    action = SSHProxiedAction("echo", inner, "me", gateway_host=gateway, password="p")
    with pytest.raises(ActionException, match="command_timeout"):
        run("", action, command_timeout=0.3, connect_timeout=2)


def test_a_proxy_command_that_never_ends(run: Any) -> None:
    action = SSHProxiedAction("echo", "x.example", "me", proxy_command="sleep 20", password="p")
    begun = time.monotonic()
    with pytest.raises(ActionException, match="ssh connection to x.example failed: it took longer"):
        run("", action, connect_timeout=0.3, allow_proxy_command=True)
    assert time.monotonic() - begun < 5


def test_the_guard_is_asked() -> None:
    for action in (
        SSHAction("echo", "127.0.0.1:1", "me", password="p"),
        SSHProxiedAction("echo", "x.example", "me", gateway_host="127.0.0.1:1", password="p"),
    ):
        with pytest.raises(
            ActionException, match=r"127.0.0.1:1 failed: .*not allowed.*denied_cidrs"
        ):
            action.run(ActionContext())


def test_a_port_that_is_none(run: Any) -> None:
    with pytest.raises(
        ActionException, match="'host': it must have the form 'host' or 'host:port'"
    ):
        run("somewhere:port")
