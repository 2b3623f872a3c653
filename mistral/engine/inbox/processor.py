"""What becomes of the mail of an execution, above all of mail that can't be handled.

Only the engine's mailboxes call it, one batch of an execution at a time. Operators' commands get
a transaction each, everything else shares one. What fails is told to whoever waits; what only the
sender holds is stored nevertheless, and what fails again and again ends in ERROR.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import operator
from collections.abc import Callable, Sequence

from mistral import exceptions as exc
from mistral.db.storage import Decision, Storage, Transaction, is_transient
from mistral.definitions.catalog import Catalog
from mistral.engine import standalone_actions
from mistral.engine.inbox import attempts, decisions
from mistral.engine.inbox.attempts import DeliveryAttempts
from mistral.engine.inbox.in_flight import InFlight
from mistral.engine.inbox.suspects import Suspects
from mistral.engine.mail.actions import DeliveredResult, LostAction, Reports
from mistral.engine.mail.base import Mail, Message, OperatorCommand
from mistral.engine.transactions import Transactions, Write
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.rpc.messages import SIGNALLED
from mistral.utils.clock import utc_now
from mistral.workflow.commands import Command
from mistral.workflow.limits import Limits

LOG = logging.getLogger(__name__)

_NEVER_ENDED = (
    f"it was begun {attempts.MAX_TRIES} times and never handled; an engine may have died of it"
)


class InboxProcessor:
    """Handles the mail of one engine; safe to share between its threads."""

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        limits: Limits,
        transactions: Transactions,
        post: Callable[[str, Sequence[Mail]], None],
        suspects: Suspects,
        in_flight: InFlight,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._storage = storage
        self._catalog = catalog
        self._limits = limits
        self._transactions = transactions
        self._post = post
        self._attempts = DeliveryAttempts(storage)
        self._suspects = suspects
        self._in_flight = in_flight
        self._now = now

    def handle(self, execution_id: str, batch: Sequence[Mail]) -> None:
        """Handle a batch: first what has happened, then what operators want."""
        messages = [mail for mail in batch if isinstance(mail, Message)]
        if execution_id in self._suspects:
            messages = [attempts.suspected(message) for message in messages]
        if messages:
            self._handle_messages(execution_id, messages)
        for mail in batch:
            if isinstance(mail, OperatorCommand):
                self._handle_command(execution_id, mail)

    def _handle_command(self, execution_id: str, mail: OperatorCommand) -> None:
        done = mail.done
        if done is None:
            return
        try:
            with self._suspects.trying(execution_id, mail.key):
                snapshot = self._transactions.command(execution_id, mail.decide, mail.id)
        # the one who waits gets the error; nothing was stored
        except Exception as error:
            LOG.debug("A command failed [execution_id=%s]", execution_id, exc_info=True)
            done.set_exception(error)
        else:
            done.set_result(snapshot)

    def _handle_messages(self, execution_id: str, mails: Sequence[Message]) -> None:
        """Together what has no bad name, one by one what may have harmed an engine."""
        again, calm = self._told_apart(execution_id, mails)
        repeated = [m for m in calm if isinstance(m, Reports) and attempts.is_repeated(m)]
        if repeated:
            calm = [mail for mail in calm if mail not in repeated]
        if calm:
            self._handle_together(execution_id, calm)
        for reports in repeated:
            self._store_first(execution_id, reports)
        for mail in again:
            try:
                self._handle_again(execution_id, mail)
            # its row stays due
            except Exception:
                LOG.exception("Left for another look [execution_id=%s]", execution_id)

    def _told_apart(
        self, execution_id: str, mails: Sequence[Message]
    ) -> tuple[Sequence[Message], Sequence[Message]]:
        """What was begun before and has not ended, and the rest."""
        watched = [mail for mail in mails if attempts.is_watched(mail)]
        if not watched:
            return (), mails
        try:
            again = self._attempts.begin(execution_id, watched)
        except exc.UnavailableException as error:
            LOG.warning("Left for another look [execution_id=%s]: %s", execution_id, error)
            return (), [mail for mail in mails if not attempts.is_watched(mail)]
        known = {mail.key for mail in again}
        return again, [mail for mail in mails if mail.done is not None or mail.key not in known]

    def _store_first(self, execution_id: str, mail: Message) -> None:
        """Whoever had these reports before may have died of them: let rows hold them."""
        try:
            self._keep_results(execution_id, mail, together=True)
        except exc.UnavailableException as error:
            self._tell(mail, error)
        else:
            self._tell(mail)

    def _handle_again(self, execution_id: str, mail: Message) -> None:
        if isinstance(mail, LostAction):
            # from now on it is a result like any other
            self._keep_results(execution_id, mail)
            return
        number = self._attempts.begin_again(execution_id, mail)
        if number <= attempts.MAX_TRIES:
            self._handle_together(execution_id, [mail])
        else:
            is_worse = number > attempts.MAX_TRIES + 1
            self._give_up_on(execution_id, mail, _NEVER_ENDED, is_worse)

    def _handle_together(self, execution_id: str, mails: Sequence[Message]) -> None:
        try:
            self._deal_with(execution_id, mails)
        # one event that can't be handled must not hold up the others
        except Exception as error:
            away = is_transient(error)
            LOG.log(
                logging.WARNING if away else logging.ERROR,
                "Could not be handled [execution_id=%s, events=%s, cause=%s]",
                execution_id,
                ", ".join(f"{mail.kind} {mail.id}" for mail in mails),
                error,
                exc_info=not away,
            )
            if away:
                for mail in mails:
                    self._tell(mail, error)
                self._attempts.take_back(execution_id, mails)
            elif len(mails) > 1:
                for mail in mails:
                    self._handle_together(execution_id, [mail])
            else:
                self._failed(execution_id, mails[0], error)
            return
        for mail in mails:
            self._tell(mail)

    def _deal_with(self, execution_id: str, mails: Sequence[Message]) -> None:
        def handle(unit: UnitOfWork) -> list[Command]:
            return decisions.decide(unit, mails)

        def alone(tx: Transaction) -> Decision[Transaction, None]:
            finish = standalone_actions.finish(
                tx, self._catalog, self._limits, self._now(), execution_id, mails
            )

            def write(tx: Transaction) -> None:
                finish.write(tx)
                count = decisions.set_aside(tx.store, mails, self._now())
                if count:
                    LOG.warning(
                        "Set aside: %s rows whose execution is gone [execution_id=%s]; "
                        "mistral-set-aside shows them",
                        count,
                        execution_id,
                    )

            return Decision(write, finish.premises)

        # what is watched was counted when it was begun
        first = [key for m in mails if not attempts.is_watched(m) for key in m.rows]
        with self._in_flight.handling(execution_id, first):
            settle = self._settling(execution_id, mails)
            self._transactions.handle(execution_id, handle, alone, settle)

    def _settling(self, execution_id: str, mails: Sequence[Message]) -> Write:
        """Note with the handling of mail that it is handled."""

        def settle(tx: Transaction) -> None:
            self._attempts.handled(tx, execution_id, mails)
            self._suspects.settle(tx, execution_id)

        return settle

    def _failed(self, execution_id: str, mail: Message, error: Exception) -> None:
        """An event could not be handled: what it brings is kept, its row stays due."""
        is_kept = False
        try:
            is_kept = self._keep_results(execution_id, mail)
            if self._attempts.failed(execution_id, mail) >= attempts.MAX_TRIES:
                self._give_up_on(execution_id, mail, f"{type(error).__name__}: {error}")
        # neither must this hold up the other events
        except Exception:
            LOG.exception("It stays as it was [execution_id=%s]", execution_id)
        self._tell(mail, None if is_kept else error)

    @staticmethod
    def _tell(mail: Message, error: Exception | None = None) -> None:
        """Whoever waits for the handling of mail learns how it ended."""
        if mail.done is None:
            return
        if error is None:
            mail.done.set_result(None)
        else:
            mail.done.set_exception(error)

    def _keep_results(self, execution_id: str, mail: Message, together: bool = False) -> bool:
        """Store what only the sender holds; handling it is tried again, as often as anything."""
        reports = sorted(mail.unstored, key=operator.attrgetter("id"))
        for group in [reports] if together else [[report] for report in reports]:
            keep = functools.partial(
                standalone_actions.store_reports, reports=group, now=self._now()
            )
            self._storage.write(keep)
        delivered = [DeliveredResult(r.id) for r in reports if r.kind != SIGNALLED]
        if delivered:
            self._post(execution_id, delivered)
        return bool(reports)

    def _give_up_on(
        self, execution_id: str, mail: Message, cause: str, is_worse: bool = False
    ) -> None:
        """End in ERROR what an event belongs to.

        :param is_worse: this was tried before, and has not ended either.
        """

        def end(how: Callable[[UnitOfWork, Message, str], list[Command]]) -> None:
            def handle(unit: UnitOfWork) -> list[Command]:
                return how(unit, mail, cause)

            def alone(_tx: Transaction) -> Decision[Transaction, None]:
                # such an execution is gone, or it is an action that belongs to none
                message = decisions.gave_up(mail, cause)
                return Decision(
                    lambda tx: standalone_actions.give_up(tx, mail.id, message, self._now())
                )

            settle = self._settling(execution_id, [mail])
            self._transactions.handle(execution_id, handle, alone, settle)

        if is_worse:
            end(decisions.break_off)
            return
        try:
            end(decisions.give_up)
        # its end can't be decided either, perhaps for the same reason
        except Exception as another:
            LOG.exception("It is broken off [execution_id=%s]", execution_id)
            if is_transient(another):
                raise
            end(decisions.break_off)
