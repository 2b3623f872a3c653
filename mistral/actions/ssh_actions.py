"""`std.ssh` and `std.ssh_proxied`, by the optional package paramiko.

Key files come from one configured directory only and host keys are always verified.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from mistral.actions.base import ServicedAction
from mistral.actions.files import file_within
from mistral.actions.services import SshOptions
from mistral.actions.ssh_connections import Hop, Login, Way, load_paramiko
from mistral_lib.actions import ActionContext, ActionException, SecretStr


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
        with Way(self.services.http.guard, self.services.ssh) as way:
            stdout, stderr, exit_code = way.execute(self._connect(way, host), str(self.cmd))
        if self.return_result_on_error:
            return {"stdout": stdout, "stderr": stderr, "exit_code": exit_code}
        if exit_code:
            raise ActionException(f"Failed to execute ssh cmd '{self.cmd}' on {host}")
        return stdout

    def _connect(self, way: Way, host: str) -> Hop:
        return way.open(host, self._login(self.username))

    def _login(self, username: str) -> Login:
        return Login(username, self.password, self._key(load_paramiko(), self.services.ssh))

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

    def _connect(self, way: Way, host: str) -> Hop:
        login = self._login(self.username)
        if self.proxy_command:
            return way.open(host, login, self._proxy_channel())
        if not self.gateway_host:
            return way.open(host, login)
        gateway = way.open(
            str(self.gateway_host), self._login(self.gateway_username or self.username)
        )
        return way.open(host, login, way.tunnel(gateway, host), gateway)

    def _proxy_channel(self) -> Any:
        if not self.services.ssh.allow_proxy_command:
            raise ActionException("The parameter 'proxy_command' is not allowed on this executor.")
        return load_paramiko().ProxyCommand(self.proxy_command)


def read_key_file(options: SshOptions, filename: str) -> str:
    """The text of a key file, which must lie in the configured directory."""
    path = file_within(options.key_dir, filename, "ssh key", "[action_std_ssh] key_dir")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        raise ActionException("The ssh key can't be read.") from None
