"""`std.ssh` and `std.ssh_proxied`, by the optional package paramiko.

Key files come from one configured directory only and host keys are always verified.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mistral.actions.base import ServicedAction
from mistral.actions.files import file_within
from mistral.actions.services import SshOptions
from mistral_lib.actions import ActionContext, ActionException, SecretStr

DEFAULT_PORT = 22
CHUNK = 64 * 1024


class SSHAction(ServicedAction):
    """Runs a command on one host or on several, one after the other."""

    def __init__(
        self,
        cmd: str,
        host: str | Sequence[str],
        username: str,
        password: SecretStr = "",
        private_key_filename: str | None = None,
        private_key: SecretStr | None = None,
        return_result_on_error: bool = False,
    ) -> None:
        self.cmd = cmd
        self.host = host
        self.username = username
        self.password = password
        self.private_key_filename = private_key_filename
        self.private_key = private_key
        self.return_result_on_error = return_result_on_error

    def run(self, context: ActionContext) -> Any:
        hosts = [self.host] if isinstance(self.host, str) else list(self.host)
        results = [self._run_on(str(host)) for host in hosts]
        return results[0] if isinstance(self.host, str) else results

    def _run_on(self, host: str) -> Any:
        with contextlib.ExitStack() as stack:
            client = self._connect(stack, host)
            with _readable_failures(load_paramiko(), host):
                stdout, stderr, exit_code = _execute(client, self.cmd, self.services.ssh)
        if self.return_result_on_error:
            return {"stdout": stdout, "stderr": stderr, "exit_code": exit_code}
        if exit_code:
            raise ActionException(f"Failed to execute ssh cmd '{self.cmd}' on {host}")
        return stdout

    def _connect(self, stack: contextlib.ExitStack, host: str) -> Any:
        return self._open(stack, host, self.username)

    def _open(
        self, stack: contextlib.ExitStack, host: str, username: str, channel: Any = None
    ) -> Any:
        """A connection that is closed with the stack."""
        paramiko = load_paramiko()
        options = self.services.ssh
        key = self._key(paramiko, options)
        name, port = _host_and_port(host)
        client = stack.enter_context(paramiko.SSHClient())
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        with _readable_failures(paramiko, host):
            if options.known_hosts is not None:
                client.load_host_keys(str(options.known_hosts))
            client.connect(
                name,
                port=port,
                username=username,
                password=self.password or None,
                pkey=key,
                sock=channel,
                timeout=options.connect_timeout,
                banner_timeout=options.connect_timeout,
                auth_timeout=options.connect_timeout,
                allow_agent=False,
                look_for_keys=False,
            )
        return client

    def _key(self, paramiko: Any, options: SshOptions) -> Any:
        if self.private_key:
            text = self.private_key
        elif self.private_key_filename:
            text = read_key_file(options, self.private_key_filename)
        else:
            return None
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return kind.from_private_key(io.StringIO(text), password=self.password or None)
            except (paramiko.SSHException, ValueError, TypeError):
                continue
        raise ActionException("The ssh key can't be read: wrong format or wrong password.")


class SSHProxiedAction(SSHAction):
    """Runs a command on a host that is reached through another one."""

    def __init__(
        self,
        cmd: str,
        host: str | Sequence[str],
        username: str,
        private_key_filename: str | None = None,
        gateway_host: str | None = None,
        gateway_username: str | None = None,
        password: SecretStr = "",
        proxy_command: str | None = None,
        private_key: SecretStr | None = None,
    ) -> None:
        super().__init__(cmd, host, username, password, private_key_filename, private_key)
        self.gateway_host = gateway_host
        self.gateway_username = gateway_username
        self.proxy_command = proxy_command

    def _connect(self, stack: contextlib.ExitStack, host: str) -> Any:
        channel = None
        if self.proxy_command:
            channel = self._proxy_channel()
            stack.callback(channel.close)
        elif self.gateway_host:
            channel = self._gateway_channel(stack, host)
        return self._open(stack, host, self.username, channel)

    def _proxy_channel(self) -> Any:
        if not self.services.ssh.allow_proxy_command:
            raise ActionException("The parameter 'proxy_command' is not allowed on this executor.")
        return load_paramiko().ProxyCommand(self.proxy_command)

    def _gateway_channel(self, stack: contextlib.ExitStack, host: str) -> Any:
        gateway_name = str(self.gateway_host)
        gateway = self._open(stack, gateway_name, self.gateway_username or self.username)
        with _readable_failures(load_paramiko(), gateway_name):
            return gateway.get_transport().open_channel(
                "direct-tcpip",
                _host_and_port(host),
                ("127.0.0.1", 0),
                timeout=self.services.ssh.connect_timeout,
            )


def load_paramiko() -> Any:
    """The library of the extra 'ssh'; executors without it still run everything else."""
    try:
        return importlib.import_module("paramiko")
    except ImportError:
        raise ActionException(
            "No ssh library is installed on this executor; install the extra 'ssh'."
        ) from None


def read_key_file(options: SshOptions, filename: str) -> str:
    """The text of a key file, which must lie in the configured directory."""
    path = file_within(options.key_dir, filename, "ssh key", "[action_std_ssh] key_dir")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        raise ActionException("The ssh key can't be read.") from None


def _execute(client: Any, cmd: str, options: SshOptions) -> tuple[str, str, int]:
    """Run a command and read both its outputs as they come, each up to a limit."""
    channel = client.get_transport().open_session(timeout=options.connect_timeout)
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
                    kept += read(CHUNK)
                    if len(kept) > options.max_output_size:
                        raise ActionException("The output of the ssh command is too large.")
        status = channel.recv_exit_status()
    return out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), status


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


@contextlib.contextmanager
def _readable_failures(paramiko: Any, host: str) -> Iterator[None]:
    try:
        yield
    except paramiko.BadHostKeyException:
        raise ActionException(f"The ssh key of host {host} is not the known one.") from None
    except paramiko.AuthenticationException:
        raise ActionException(f"Host {host} refused the ssh login.") from None
    except (paramiko.SSHException, OSError, EOFError) as exc:
        unknown = "not found in known_hosts" in str(exc)
        why = "its key is not known" if unknown else type(exc).__name__
        raise ActionException(f"The ssh connection to {host} failed: {why}.") from None


def _host_and_port(host: str) -> tuple[str, int]:
    name, _, port = host.partition(":")
    return (name, int(port)) if port.isdigit() else (host, DEFAULT_PORT)
