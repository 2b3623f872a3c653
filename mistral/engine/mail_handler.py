"""What becomes of the mail of an execution, above all of mail that can't be handled.

Only the engine's mailboxes call it, one batch of an execution at a time. Operators' commands get
a transaction each, everything else shares one. What fails is told to whoever waits; what only the
sender holds is stored nevertheless, and what fails again and again ends in ERROR.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from mistral.db.failures import is_transient
from mistral.db.store import Store
from mistral.db.transaction import Database
from mistral.engine import incoming, single_actions
from mistral.engine.mailbox import Mail
from mistral.engine.transactions import Transactions
from mistral.services.catalog import Catalog
from mistral.utils.clock import utc_now
from mistral.workflow.means import Limits

LOG = logging.getLogger(__name__)


class MailHandler:
    """Handles the mail of one engine; safe to share between its threads."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        limits: Limits,
        transactions: Transactions,
        post: Callable[[str, Sequence[Mail]], None],
    ) -> None:
        self._db = database
        self._catalog = catalog
        self._limits = limits
        self._transactions = transactions
        self._post = post

    def handle(self, execution_id: str, batch: Sequence[Mail]) -> None:
        """Handle a batch: first what has happened, then what operators want."""
        commands = [mail for mail in batch if mail.kind == "command"]
        others = [mail for mail in batch if mail.kind != "command"]
        if others:
            self._handle_together(execution_id, others)
        for mail in commands:
            self._handle_command(execution_id, mail)

    def _handle_command(self, execution_id: str, mail: Mail) -> None:
        done = mail.done
        if done is None:
            return
        try:
            view = self._transactions.command(execution_id, mail.content)
        # the one who waits gets the error; nothing was stored
        except Exception as error:
            LOG.debug("A command failed [execution_id=%s]", execution_id, exc_info=True)
            done.set_exception(error)
        else:
            done.set_result(view)

    def _handle_together(self, execution_id: str, mails: Sequence[Mail]) -> None:
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
            if len(mails) > 1 and not away:
                for mail in mails:
                    self._handle_together(execution_id, [mail])
            else:
                for mail in mails:
                    self._failed(execution_id, mail, error)
            return
        for mail in mails:
            if mail.done is not None:
                mail.done.set_result(None)

    def _deal_with(self, execution_id: str, mails: Sequence[Mail]) -> None:
        def alone(conn: sa.Connection) -> None:
            single_actions.finish(conn, self._catalog, self._limits, execution_id, mails)
            count = incoming.set_aside(Store(conn), mails)
            if count:
                LOG.warning(
                    "Set aside: %s rows whose execution is gone [execution_id=%s]; "
                    "mistral-set-aside shows them",
                    count,
                    execution_id,
                )

        self._transactions.handle(execution_id, lambda unit: incoming.handle(unit, mails), alone)

    def _failed(self, execution_id: str, mail: Mail, error: Exception) -> None:
        """An event could not be handled: what it brings is kept, its row stays due."""
        is_kept = False
        try:
            if not is_transient(error):
                is_kept = self._keep_results(execution_id, mail)
                self._give_up_on(execution_id, mail, error)
        # neither must this hold up the other events
        except Exception:
            LOG.exception("It stays as it was [execution_id=%s]", execution_id)
        if mail.done is None:
            return
        if is_kept:
            mail.done.set_result(None)
        else:
            mail.done.set_exception(error)

    def _keep_results(self, execution_id: str, mail: Mail) -> bool:
        """Store what only the sender holds; handling it is tried again, as often as anything."""
        reports = incoming.reports_of(mail)
        for report in reports:
            keep = functools.partial(single_actions.store_reports, reports=[report], now=utc_now())
            self._db.write(keep)
        delivered = [Mail("delivered", r["id"]) for r in reports if r["kind"] == "result"]
        if delivered:
            self._post(execution_id, delivered)
        return bool(reports)

    def _give_up_on(self, execution_id: str, mail: Mail, error: Exception) -> None:
        if isinstance(mail.content, int) and mail.content >= incoming.MAX_TRIES:
            cause = f"{type(error).__name__}: {error}"
            # such an execution is gone, or it is an action that belongs to none
            alone = functools.partial(
                single_actions.give_up, action_id=mail.id, message=incoming.gave_up(mail, cause)
            )
            try:
                self._transactions.handle(
                    execution_id, lambda unit: incoming.give_up(unit, mail, cause), alone
                )
            # its end can't be decided either, perhaps for the same reason
            except Exception as another:
                LOG.exception("It is broken off [execution_id=%s]", execution_id)
                if is_transient(another):
                    raise
                self._transactions.handle(
                    execution_id, lambda unit: incoming.break_off(unit, mail, cause), alone
                )
