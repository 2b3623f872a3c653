"""What all mail has in common, and what each kind has to say of itself.

Mail only points to what has happened: most of it is rung for rows, and is found again by the relay
when nobody has handled it. ``kind`` and ``id`` are written down where attempts are counted and
noted (:mod:`mistral.engine.inbox`), also by other versions of this program: they stay as they are.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar

from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.rpc.messages import Report
from mistral.workflow.commands import Command

Key = tuple[str, str]
"""A kind and an id."""


@dataclasses.dataclass(frozen=True)
class Mail:
    """What somebody has put into the mailbox of an execution.

    The processor resolves ``done`` when the transaction that handled the mail has ended. ``looks``
    tells how often it had to be looked for, or sent, before. ``root`` is the root execution above a
    sub-workflow, where the sender knows it.
    """

    kind: ClassVar[str]

    id: str
    _: dataclasses.KW_ONLY
    done: Future[Any] | None = None
    looks: int = 0
    root: str | None = dataclasses.field(default=None, compare=False)

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.kind, self.id


@dataclasses.dataclass(frozen=True)
class OperatorCommand(Mail):
    """What an operator wants of an execution; ``id`` names the request, which may come again."""

    kind = "command"

    decide: Callable[[UnitOfWork], list[Command]]


@dataclasses.dataclass(frozen=True)
class Message(Mail, abc.ABC):
    """Something has happened: how it is decided, and what is done where it can't be."""

    @property
    def rows(self) -> list[Key]:
        """What it is about, by the names under which it comes again."""
        return [self.key]

    @property
    def action_ids(self) -> Sequence[str]:
        """The actions that it is about: they are read with one look for a whole batch."""
        return ()

    @property
    def unstored(self) -> Sequence[Report]:
        """The reports in it whose content no row holds yet."""
        return ()

    @abc.abstractmethod
    def decide(self, unit: UnitOfWork) -> list[Command]:
        """What follows from it."""

    @abc.abstractmethod
    def is_settled(self, unit: UnitOfWork) -> bool:
        """Whether nothing is left to be given up: another engine may have handled it meanwhile."""

    @abc.abstractmethod
    def give_up(self, unit: UnitOfWork) -> str | None:
        """Nobody is to handle it any more; the id of the task that it belongs to, if any."""
