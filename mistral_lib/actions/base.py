"""The base class of every action."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from mistral_lib.actions.context import ActionContext


class Action(abc.ABC):
    """A piece of work that a task of a workflow can ask for.

    The constructor's parameters are the action's parameters; keep them in public attributes: they
    are the action's state when it travels between processes. The constructor runs on the engine
    too (to check the input), so it must be quick and must not reach out to other systems.
    """

    #: Declares that running this action twice does no more than running it once. The service then
    #: skips the step that guarantees "at most once" and may run it again after a crash.
    no_outside_effect: ClassVar[bool] = False

    @abc.abstractmethod
    def run(self, context: ActionContext) -> Any:
        """Do the work.

        A synchronous action returns its data (anything JSON can express) or a
        :class:`~mistral_lib.actions.types.Result`; an exception becomes an error. What an
        asynchronous action returns is ignored, except an error result or an exception, which end
        the action at once.
        """

    def test(self, context: ActionContext) -> Any:
        """What to answer in a dry run, without any effect outside."""
        return None

    def is_sync(self) -> bool:
        """Whether :meth:`run` returns the result, or only starts something that delivers it."""
        return True
