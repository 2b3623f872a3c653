"""What the engine remembers of a task or an action in its row's ``runtime_context``.

The column holds JSON that the API shows and that engines of the version before write, too. These
records are the only ones that know its keys; what they don't know they keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from mistral.workflow.items import Items

COMPENSATION_PREFIX: Final = "rollback-"
"""With it the unique key of each compensation begins, so that statements can tell them apart."""

MARK_OF_ITEMS: Final = '"with_items"'
"""What the text of the column contains where a task's items are known."""


class _Record:
    """The entries of one row: never changed, only replaced."""

    __slots__ = ("_entries",)

    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        self._entries: Mapping[str, Any] = stored or {}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._entries == self._entries

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self._entries)!r})"

    @property
    def stored(self) -> dict[str, Any]:
        """What the row is to hold."""
        return dict(self._entries)

    @property
    def change(self) -> dict[str, Any]:
        """The change of a row that makes it hold this."""
        return {"runtime_context": self.stored}

    def _with(self, **entries: Any) -> Self:
        return type(self)({**self._entries, **entries})

    def _without(self, *keys: str) -> Self:
        if self._entries.keys().isdisjoint(keys):
            return self
        return type(self)({k: v for k, v in self._entries.items() if k not in keys})

    def _only(self, *keys: str) -> Self:
        return type(self)({key: self._entries[key] for key in keys if key in self._entries})

    def _flag(self, key: str) -> bool:
        return bool(self._entries.get(key))

    def _number(self, key: str, default: int = 0) -> int:
        return int(self._entries.get(key) or default)

    def _optional(self, key: str) -> int | None:
        found = self._entries.get(key)
        return None if found is None else int(found)


class TaskRuntime(_Record):
    """What is remembered of a task."""

    __slots__ = ()

    # who led here

    @property
    def triggers(self) -> Sequence[Mapping[str, Any]]:
        """The tasks that chose this one: ``task_id`` and ``event`` of each."""
        return self._entries.get("triggered_by") or ()

    def triggered_by(self, pairs: Iterable[tuple[str | None, str | None]]) -> TaskRuntime:
        """Chosen by these: (task execution id, event)."""
        return self._with(triggered_by=[{"task_id": t, "event": event} for t, event in pairs])

    # attempts

    @property
    def base_attempt(self) -> int:
        """The first attempt whose results count."""
        return self._number("base_attempt")

    @property
    def round_attempt(self) -> int:
        """The first attempt of a join's present round."""
        return self._number("round_attempt")

    def counting_from(self, attempt: int) -> TaskRuntime:
        """Results of earlier attempts don't count."""
        return self._with(base_attempt=attempt)

    def reset(self, attempt: int) -> TaskRuntime:
        """Of a task that runs as good as new: nothing of the last run."""
        return self._only("triggered_by", "join").counting_from(attempt)

    def renewed(self, items: Items) -> TaskRuntime:
        """Of a task that runs again with some of its items."""
        kept = ("triggered_by", "join", "base_attempt", "round_attempt", "concurrency")
        return self._only(*kept).with_items(items)

    def rearmed(self, attempt: int) -> TaskRuntime:
        """Of a join that waits once more: its earlier results count."""
        return self._only("base_attempt", "join")._with(round_attempt=attempt)

    # policies

    @property
    def timeout(self) -> int | None:
        """After how many seconds since its first start the task fails."""
        return self._optional("timeout")

    def with_timeout(self, seconds: int) -> TaskRuntime:
        """It fails after so many seconds."""
        return self._with(timeout=seconds)

    @property
    def timed_out(self) -> int | None:
        """The run whose time was up after the end of the workflow."""
        return self._optional("timed_out")

    def with_timed_out(self, run: int) -> TaskRuntime:
        """The time of a run was up when the workflow had ended."""
        return self._with(timed_out=run)

    def without_timed_out(self) -> TaskRuntime:
        """Somebody sees to it."""
        return self._without("timed_out")

    @property
    def concurrency(self) -> int:
        """How many items may be unfinished at a time; 0 = all."""
        return self._number("concurrency")

    def with_concurrency(self, limit: int) -> TaskRuntime:
        """So many items may be unfinished at a time."""
        return self._with(concurrency=limit)

    def waiting_before(self) -> TaskRuntime:
        """``wait-before`` has delayed the start."""
        return self._with(wait_before_policy={"skip": True})

    @property
    def has_waited_after(self) -> bool:
        """Whether ``wait-after`` has delayed the end already."""
        return bool((self._entries.get("wait_after_policy") or {}).get("skip"))

    def waiting_after(self) -> TaskRuntime:
        """``wait-after`` has delayed the end."""
        return self._with(wait_after_policy={"skip": True})

    @property
    def retries(self) -> int:
        """How often ``retry`` has repeated the task in this run."""
        return int((self._entries.get("retry_task_policy") or {}).get("retry_no", 0))

    @property
    def is_retried(self) -> bool:
        """Whether ``retry`` has repeated the task in this run."""
        return "retry_task_policy" in self._entries

    def retried(self, attempt: int, is_join: bool) -> TaskRuntime:
        """``retry`` repeats the task, with all of its items."""
        found = self._without("with_items", "result_erased").counting_from(attempt)
        found = found._with(retry_task_policy={"retry_no": self.retries + 1})
        return found.waiting_for_retry() if is_join else found

    # waiting for a start

    @property
    def is_postponed(self) -> bool:
        """Whether it is started by the next transaction but for a pause."""
        return self._flag("postponed")

    def postponed(self) -> TaskRuntime:
        """The next transaction starts it."""
        return self._with(postponed=True)

    def started(self) -> TaskRuntime:
        """It is started."""
        return self._without("postponed")

    def is_delay_over(self, attempt: int) -> bool:
        """Whether the delay of an attempt ended while nothing could start."""
        return self._optional("delay_over") == attempt

    def delayed_enough(self, attempt: int) -> TaskRuntime:
        """The delay of an attempt has ended and nothing can start."""
        return self._with(delay_over=attempt)

    def resumed(self) -> TaskRuntime:
        """It goes on after a delay."""
        return self._without("delay_over")

    # results

    @property
    def is_result_erased(self) -> bool:
        """Whether the attempt's result was only kept until publishing."""
        return self._flag("result_erased")

    def erased(self) -> TaskRuntime:
        """The result is kept no longer."""
        return self._with(result_erased=True)

    @property
    def items(self) -> Items | None:
        """The items, as soon as they are known."""
        found = self._entries.get("with_items")
        return Items.read(found) if found else None

    @property
    def has_items(self) -> bool:
        """Whether the task has items that are known."""
        return self._flag("with_items")

    def with_items(self, items: Items) -> TaskRuntime:
        """The items have come to this."""
        return self._with(with_items=items.stored())

    # joins

    @property
    def inbound(self) -> Mapping[str, int]:
        """How many inbound tasks of a join are in which state."""
        return self._entries.get("join") or {}

    def recounted(self, old: str | None, new: str) -> TaskRuntime:
        """One inbound task went from one state, if it had any, to another."""
        found = dict(self.inbound)
        if old is not None:
            found[old] = found.get(old, 0) - 1
        found[new] = found.get(new, 0) + 1
        return self._with(join=found)

    @property
    def runs_anyway(self) -> bool:
        """Whether an operator has run a join although its inbound tasks had failed it."""
        return self._flag("runs_anyway")

    def running_anyway(self) -> TaskRuntime:
        """An operator runs a join although its inbound tasks have failed it."""
        return self._with(runs_anyway=True)

    @property
    def waits_for_retry(self) -> bool:
        """Whether a join has what it needs and only its time has not come."""
        return self._flag("waits_for_retry")

    def waiting_for_retry(self) -> TaskRuntime:
        """A join has what it needs and runs later."""
        return self._with(waits_for_retry=True)

    def retry_is_due(self) -> TaskRuntime:
        """Its time has come."""
        return self._without("waits_for_retry")

    # compensations

    @classmethod
    def compensation(
        cls, undoes: str, order: int, index: int | None, child_id: str | None
    ) -> TaskRuntime:
        """Of a task that undoes another, one item of it, or a sub-workflow of it."""
        entries: dict[str, Any] = {"rollback_of": undoes, "rollback_order": order}
        if index is not None:
            entries["index"] = index
        if child_id is not None:
            entries["child_id"] = child_id
        return cls(entries)

    @property
    def undoes(self) -> str | None:
        """The id of the task execution that a compensation undoes; nothing for any other task."""
        return self._entries.get("rollback_of")

    @property
    def order(self) -> int:
        """The turn of a compensation, by the latest plan."""
        return self._number("rollback_order")

    def with_order(self, order: int) -> TaskRuntime:
        """A plan has given a compensation another turn."""
        return self._with(rollback_order=order)

    @property
    def index(self) -> int | None:
        """The item that a compensation undoes."""
        return self._optional("index")

    @property
    def child_id(self) -> str | None:
        """The sub-workflow that a compensation undoes."""
        return self._entries.get("child_id")

    @property
    def undone_attempt(self) -> int | None:
        """The last attempt of its task that a compensation has undone."""
        return self._optional("undone_attempt")

    def undoing(self, attempt: int) -> TaskRuntime:
        """A compensation begins to undo an attempt of its task."""
        return self._with(undoes_attempt=attempt)

    def undone(self) -> TaskRuntime:
        """A compensation has undone what it had begun."""
        begun = self._optional("undoes_attempt")
        return self if begun is None else self._with(undone_attempt=begun)


class ActionRuntime(_Record):
    """What is remembered of an action."""

    __slots__ = ()

    @classmethod
    def of(cls, index: int, timeout: int | None) -> ActionRuntime:
        """Of a new action: its place among the items, and the seconds that it may take."""
        found = cls({"index": index})
        return found.with_timeout(timeout) if timeout else found

    @property
    def timeout(self) -> int | None:
        """How many seconds it may take."""
        return self._entries.get("timeout")

    def with_timeout(self, seconds: int) -> ActionRuntime:
        """It may take so many seconds."""
        return self._with(timeout=seconds)

    @property
    def losses(self) -> int:
        """How many executors that had claimed it are gone."""
        return self._number("losses")

    def lost_again(self) -> ActionRuntime:
        """One more executor is gone with it."""
        return self._with(losses=self.losses + 1)

    @property
    def stored_bytes(self) -> int:
        """What its result takes that no engine has counted yet."""
        return self._number("stored_bytes")

    def with_stored_bytes(self, number: int) -> ActionRuntime:
        """Its result takes so much, which an engine has to count."""
        return self._with(stored_bytes=number)

    def counted(self) -> ActionRuntime:
        """An engine has counted what its result takes."""
        return self._without("stored_bytes")
