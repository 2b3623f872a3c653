"""`std.ssh` against a real server in this process."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mistral.actions.egress import EgressGuard, EgressOptions
from mistral.actions.egress_http import EgressHTTP
from mistral.actions.services import ActionServices, SshOptions
from mistral.actions.ssh_actions import SSHAction, SSHProxiedAction, read_key_file
from mistral_lib.actions import ActionContext, ActionException

paramiko = pytest.importorskip("paramiko")


class Machine:
    """Runs `echo <words>`, `fail` and `big`; knows one password and one key."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.host_key = paramiko.RSAKey.generate(2048)
        self.user_key = paramiko.RSAKey.generate(2048)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.transports: list[Any] = []
        self.key_dir = directory / "keys"
        self.key_dir.mkdir()
        self.user_key.write_private_key_file(str(self.key_dir / "id"))
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text(
            f"[127.0.0.1]:{self.port} ssh-rsa {self.host_key.get_base64()}\n"
        )
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            self.transports.append(transport)
            # a client that does not trust this host is gone before they have agreed on anything
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=_session_class(self)())

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for transport in self.transports:
            transport.close()


def _session_class(machine: Machine) -> Any:
    class Session(paramiko.ServerInterface):
        def check_auth_password(self, username: str, password: str) -> int:
            good = (username, password) == ("me", "right")
            return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

        def check_auth_publickey(self, username: str, key: Any) -> int:
            good = key.get_base64() == machine.user_key.get_base64()
            return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

        def get_allowed_auths(self, username: str) -> str:
            return "password,publickey"

        def check_channel_request(self, kind: str, number: int) -> int:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_direct_tcpip_request(self, number: int, origin: Any, to: Any) -> int:
            return paramiko.OPEN_FAILED_CONNECT_FAILED

        def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
            threading.Thread(target=_command, args=(channel, command), daemon=True).start()
            return True

    return Session


def _command(channel: Any, command: bytes) -> None:
    # the client ends its input after it was told that the command runs
    channel.recv(1)
    verb, _, rest = command.decode().partition(" ")
    if verb == "echo":
        channel.sendall(rest.encode() + b"\n")
    elif verb == "big":
        channel.sendall(b"x" * 300_000)
    channel.sendall_stderr(b"noted\n")
    channel.send_exit_status(3 if verb == "fail" else 0)
    channel.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("ssh"))
    yield machine
    machine.close()


@pytest.fixture
def run(machine: Machine) -> Any:
    def go(action: SSHAction, **options: Any) -> Any:
        known: dict[str, Any] = {"key_dir": machine.key_dir, "known_hosts": machine.known_hosts}
        http = EgressHTTP(EgressGuard(EgressOptions(denied_cidrs=())))
        action.equip(ActionServices(http=http, ssh=SshOptions(**(known | options))))
        return action.run(ActionContext())

    return go


def test_the_output_of_a_command(machine: Machine, run: Any) -> None:
    assert run(SSHAction("echo hi there", machine.address, "me", password="right")) == "hi there\n"
    several = [machine.address, machine.address]
    assert run(SSHAction("echo x", several, "me", password="right")) == ["x\n", "x\n"]


def test_large_outputs(machine: Machine, run: Any) -> None:
    action = SSHAction("big", machine.address, "me", password="right")
    assert len(run(action)) == 300_000
    with pytest.raises(ActionException, match="too large"):
        run(action, max_output_size=1000)


def test_a_failing_command(machine: Machine, run: Any) -> None:
    with pytest.raises(ActionException) as caught:
        run(SSHAction("fail now", machine.address, "me", password="right"))
    assert str(caught.value) == f"Failed to execute ssh cmd 'fail now' on {machine.address}"
    result = run(SSHAction("fail", machine.address, "me", "right", return_result_on_error=True))
    assert result == {"stdout": "", "stderr": "noted\n", "exit_code": 3}


def test_keys_by_file_and_by_text(machine: Machine, run: Any) -> None:
    by_file = SSHAction("echo k", machine.address, "me", private_key_filename="id")
    by_text = SSHAction(
        "echo k", machine.address, "me", private_key=(machine.key_dir / "id").read_text()
    )
    assert run(by_file) == run(by_text) == "k\n"


def test_wrong_credentials(machine: Machine, run: Any) -> None:
    with pytest.raises(ActionException, match="refused the ssh login") as caught:
        run(SSHAction("echo", machine.address, "me", password="wrong-word"))
    assert "wrong-word" not in str(caught.value)
    with pytest.raises(ActionException, match="key can't be read"):
        run(SSHAction("echo", machine.address, "me", private_key="no key"))


def test_unknown_and_changed_hosts_are_refused(
    machine: Machine, run: Any, tmp_path: pathlib.Path
) -> None:
    action = SSHAction("echo", machine.address, "me", password="right")
    with pytest.raises(ActionException, match="its key is not known"):
        run(action, known_hosts=None)
    other = tmp_path / "known_hosts"
    wrong = paramiko.RSAKey.generate(2048).get_base64()
    other.write_text(f"[127.0.0.1]:{machine.port} ssh-rsa {wrong}\n")
    with pytest.raises(ActionException, match="is not the known one"):
        run(action, known_hosts=other)


def test_key_files_lie_in_the_configured_directory(tmp_path: pathlib.Path) -> None:
    inside = tmp_path / "keys"
    inside.mkdir()
    (inside / "good").write_text("key")
    (tmp_path / "outside").write_text("secret")
    (inside / "link").symlink_to(tmp_path / "outside")
    options = SshOptions(key_dir=inside)
    assert read_key_file(options, "good") == "key"
    for name in ("../outside", str(tmp_path / "outside"), "link"):
        with pytest.raises(ActionException, match="outside of the configured"):
            read_key_file(options, name)
    with pytest.raises(ActionException, match="can't be read"):
        read_key_file(options, "missing")
    with pytest.raises(ActionException, match=r"no directory .*\[action_std_ssh\] key_dir"):
        read_key_file(SshOptions(), "good")


def test_a_gateway_that_fails_and_a_proxy_command_that_is_not_allowed(
    machine: Machine, run: Any
) -> None:
    through = SSHProxiedAction(
        "echo", "inner:22", "me", gateway_host=machine.address, password="right"
    )
    with pytest.raises(ActionException, match="The ssh connection to .* failed"):
        run(through)
    with pytest.raises(ActionException, match="not allowed"):
        run(SSHProxiedAction("echo", machine.address, "me", proxy_command="touch /tmp/x"))


def test_hosts_that_are_not_there(run: Any) -> None:
    with pytest.raises(
        ActionException, match="The ssh connection to 127.0.0.1:1 failed: Connection refused"
    ):
        run(SSHAction("echo", "127.0.0.1:1", "me", password="right"))
