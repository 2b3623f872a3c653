"""What the process hands to the standard actions: actions themselves read no configuration."""

from __future__ import annotations

import dataclasses
import pathlib

from mistral.actions.egress import EgressGuard, EgressOptions
from mistral.actions.egress_http import EgressHTTP
from mistral.actions.js_engines import JavaScriptEngine, MiniRacerEngine


@dataclasses.dataclass(frozen=True)
class SshOptions:
    """Where ``std.ssh`` finds keys and which hosts it believes.

    Without ``key_dir`` no key file is ever read; without ``known_hosts`` no host is known and
    every connection is refused. ``allow_proxy_command`` lets workflows run a command on the
    executor itself, so it is off.
    """

    key_dir: pathlib.Path | None = None
    known_hosts: pathlib.Path | None = None
    connect_timeout: float = 30.0
    allow_proxy_command: bool = False
    max_output_size: int = 5 * 1024 * 1024
    command_timeout: float = 3600.0


@dataclasses.dataclass(frozen=True)
class MailLimits:
    """What ``std.email`` sends, and how much and how long it listens to a server (0: no limit)."""

    timeout: float = 60.0
    max_reply_size: int = 64 * 1024
    max_recipients: int = 500
    max_subject: int = 1000


@dataclasses.dataclass(frozen=True)
class ActionServices:
    """Everything a standard action may use of its process."""

    http: EgressHTTP = dataclasses.field(default_factory=lambda: EgressHTTP(EgressGuard()))
    ssh: SshOptions = SshOptions()
    javascript: JavaScriptEngine = dataclasses.field(default_factory=MiniRacerEngine)
    ca_dir: pathlib.Path | None = None
    mail: MailLimits = MailLimits()

    @classmethod
    def with_egress(
        cls,
        options: EgressOptions,
        ssh: SshOptions | None = None,
        javascript: JavaScriptEngine | None = None,
        ca_dir: pathlib.Path | None = None,
        mail: MailLimits | None = None,
    ) -> ActionServices:
        """The services for an operator's options."""
        return cls(
            http=EgressHTTP(EgressGuard(options)),
            ssh=ssh or SshOptions(),
            javascript=javascript or MiniRacerEngine(),
            ca_dir=ca_dir,
            mail=mail or MailLimits(),
        )

    def close(self) -> None:
        """Release what is open; nothing may run any more."""
        # an engine of somebody else's may have nothing to close
        close = getattr(self.javascript, "close", None)
        if close is not None:
            close()
