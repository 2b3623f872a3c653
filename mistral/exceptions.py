"""Every error the service names: each class knows its HTTP status and its default text.

Errors travel between processes as class name and message (see :mod:`mistral.rpc.base`),
so a class must be constructible from its message alone.
"""

from __future__ import annotations

from typing import ClassVar


class MistralError(Exception):
    """Base of all errors with a meaning for the caller."""

    http_code: ClassVar[int] = 500
    message: ClassVar[str] = "An unknown error occurred."

    def __init__(self, message: str | None = None) -> None:
        self.text = message if message is not None else self.message
        super().__init__(self.text)

    def __str__(self) -> str:
        return self.text


class MistralException(MistralError):
    """Base of the errors that a request or a workflow can cause."""


# 4xx: the caller's errors -------------------------------------------------


class InputException(MistralException):
    """Input of a workflow or an action does not fit its declaration."""

    http_code = 400
    message = "Invalid input."


class InvalidModelException(MistralException):
    """A definition is well-formed text but not a valid document."""

    http_code = 400
    message = "Wrong entity definition."


class DSLParsingException(InvalidModelException):
    """A definition can't be read: bad YAML or a violation of the language's schema."""

    message = "Invalid DSL."


class ExpressionGrammarException(DSLParsingException):
    """An expression has a syntax error."""

    message = "Invalid expression."


class YaqlGrammarException(ExpressionGrammarException):
    """A YAQL expression has a syntax error."""


class JinjaGrammarException(ExpressionGrammarException):
    """A Jinja expression has a syntax error."""


class EvaluationException(MistralException):
    """An expression could not be evaluated. The text never quotes the data."""

    http_code = 400
    message = "Can not evaluate expression."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)
        self.place = ""

    def within(self, key: str | int) -> EvaluationException:
        """The same error, seen from further up: its place is below a key, an index or a name."""
        below = self.place if not self.place or self.place[0] == "[" else f".{self.place}"
        self.place = f"[{key}]{below}" if isinstance(key, int) else f"{key}{below}"
        return self

    def __str__(self) -> str:
        return f"{self.text} (attribute '{self.place}')" if self.place else self.text


class YaqlEvaluationException(EvaluationException):
    """A YAQL expression could not be evaluated."""


class JinjaEvaluationException(EvaluationException):
    """A Jinja expression could not be evaluated."""


class WorkflowException(MistralException):
    """A request that the state or the definition of a workflow does not allow."""

    http_code = 400
    message = "Invalid workflow operation."


class InvalidStateException(WorkflowException):
    """A state change that the transition table does not allow."""


class InvalidActionException(MistralException):
    """An action that does not exist or can't be built."""

    http_code = 400
    message = "Invalid action."


class SealedException(MistralException):
    """What is stored encrypted can't be decrypted here."""


class InvalidResultException(MistralException):
    """A result that can't be accepted as delivered."""

    http_code = 400
    message = "Unable to parse the result."


class UnencodableValueException(MistralException):
    """A value that JSON can't hold, or not so that it can be read again."""

    http_code = 400
    message = "A value can't be kept as JSON."


class SizeLimitExceededException(MistralException):
    """A field is larger than the configured limit."""

    http_code = 400
    message = "Field size limit exceeded."

    @classmethod
    def for_field(
        cls, entity: str, field: str, size_kb: int, limit_kb: int
    ) -> SizeLimitExceededException:
        """The text that users know (doc:language/limits)."""
        return cls(
            f"Field size limit exceeded [class={entity}, field={field}, "
            f"size={size_kb}KB, limit={limit_kb}KB]"
        )


class BoundExceededException(MistralException):
    """An execution would use more than the operator allows."""

    http_code = 400
    message = "A bound of executions is exceeded."


class UnauthorizedException(MistralException):
    """No credentials, or bad ones."""

    http_code = 401
    message = "Unauthorized."


class NotAllowedException(MistralException):
    """The caller may see the object but not do this to it."""

    http_code = 403
    message = "Operation not allowed."


class NotFoundException(MistralException):
    """The object does not exist or is invisible to the caller."""

    http_code = 404
    message = "Object not found."


class DBEntityNotFoundError(NotFoundException):
    """A row asked for by identifier does not exist."""


class ConflictException(MistralException):
    """The request contradicts what is already stored."""

    http_code = 409
    message = "Conflict."


class DBDuplicateEntryError(ConflictException):
    """An object of that name (and namespace, project) exists already."""

    message = "Duplicate entry."


class ResultConflictException(ConflictException):
    """A different result was delivered for this action before."""


class RequestTooLargeException(MistralException):
    """The request's body is larger than the configured limit."""

    http_code = 413
    message = "Request body is too large."


class MaintenanceException(MistralException):
    """The service is being paused or is paused: nothing may be changed now."""

    http_code = 423
    message = "The service is in maintenance."


# 5xx: the service's errors -------------------------------------------------


class ConfigurationError(MistralError):
    """An option has a value the service can't start with."""

    message = "Invalid configuration."


class UnavailableException(MistralException):
    """A needed part of the service does not answer now; the request may be repeated."""

    http_code = 503
    message = "The service is temporarily unavailable, try again."

    retry_after: ClassVar[int] = 2


class EngineUnavailableException(UnavailableException):
    """No engine answered in time."""

    message = "No engine answered in time, try again."


class RPCException(UnavailableException):
    """A message could not be delivered or was not answered in time."""

    message = "A component of the service did not answer in time."


def _subclasses(cls: type[MistralError]) -> dict[str, type[MistralError]]:
    found = {cls.__name__: cls}
    for sub in cls.__subclasses__():
        found.update(_subclasses(sub))
    return found


def from_name(name: str, message: str) -> MistralError:
    """Rebuild an error that arrived from another process.

    An unknown class name gives a plain :class:`MistralException` (HTTP 500).
    """
    return _subclasses(MistralError).get(name, MistralException)(message)
