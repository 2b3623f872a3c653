"""Bases of the standard actions."""

from __future__ import annotations

from mistral.actions.services import ActionServices
from mistral_lib.actions import Action


class ServicedAction(Action):
    """An action that needs something of its process: the executor equips it before it runs.

    One that nobody equipped works with the defaults, which are the strict ones.
    """

    _services: ActionServices | None = None

    def equip(self, services: ActionServices) -> None:
        """Receive what the process offers."""
        self._services = services

    @property
    def services(self) -> ActionServices:
        """What the process offers."""
        if self._services is None:
            self._services = ActionServices()
        return self._services


class InstantAction(Action):
    """An action without outside effect that may end at once.

    The executor runs it on the thread that received it: handing it to another thread would cost
    more than the action itself.
    """

    no_outside_effect = True

    def is_instant(self) -> bool:
        """Whether this very action ends at once; its input may say otherwise."""
        return True
