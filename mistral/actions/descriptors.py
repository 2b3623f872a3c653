"""What the engine knows of an action without running it (doc:language/extending#providers)."""

from __future__ import annotations

import abc
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.actions import failures, secret_inputs, secrets
from mistral.actions.secret_inputs import Hidden
from mistral.actions.signatures import Parameter, Signature
from mistral.lang import AdHocActionSpec
from mistral_lib.actions import Action, Result
from mistral_lib.serialization import class_path, with_attributes

LOG = logging.getLogger(__name__)

MAX_NESTING = 100


class ActionDescriptor(abc.ABC):
    """An action by its name: enough to check a task's input and to describe it to clients."""

    name: str
    namespace: str = ""
    description: str | None = None
    tags: Sequence[str] | None = None
    project_id: str | None = None
    scope: str = "public"
    action_class_name: str | None = None
    action_class_attributes: Mapping[str, Any] = {}
    is_system: bool = False
    is_safe: bool = False

    @property
    @abc.abstractmethod
    def params_spec(self) -> str:
        """The parameters as text: ``a, b=default``."""

    @abc.abstractmethod
    def check_parameters(self, params: Mapping[str, Any]) -> None:
        """Refuse missing and unexpected parameters (InputException)."""

    @abc.abstractmethod
    def instantiate(self, input_dict: Mapping[str, Any], wf_ctx: Any = None) -> Action:
        """The action itself, for its input."""

    def hide(self, params: Mapping[str, Any]) -> Hidden:
        """The secrets of an input, told apart from what may be shown."""
        return secret_inputs.hide({}, params)

    def post_process_result(self, result: Result) -> Result:
        """What becomes of a result before it is stored."""
        return result


class PythonActionDescriptor(ActionDescriptor):
    """An action that is a Python class."""

    def __init__(
        self,
        name: str,
        action_class: type[Action],
        attributes: Mapping[str, Any] | None = None,
        *,
        namespace: str = "",
        description: str | None = None,
        is_system: bool = False,
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.description = description if description is not None else action_class.__doc__
        self.action_class_name = class_path(action_class)
        self.action_class_attributes = dict(attributes or {})
        self.is_system = is_system
        self.is_safe = bool(getattr(action_class, "no_outside_effect", False))
        self.action_class = with_attributes(action_class, self.action_class_attributes)

    @functools.cached_property
    def signature(self) -> Signature:
        """The constructor's parameters."""
        return Signature.of_class(self.action_class)

    @property
    def params_spec(self) -> str:
        return str(self.signature)

    def check_parameters(self, params: Mapping[str, Any]) -> None:
        self.signature.check(self.name, self.action_class_name or "", params)

    def hide(self, params: Mapping[str, Any]) -> Hidden:
        return secret_inputs.hide(self.signature.secrets, params)

    def instantiate(self, input_dict: Mapping[str, Any], wf_ctx: Any = None) -> Action:
        return build_action(self.action_class, self.name, input_dict)


def build_action(action_class: type[Action], name: str, input_dict: Mapping[str, Any]) -> Action:
    """Call a class's constructor; what it raises is told without secrets of the input."""
    try:
        return action_class(**input_dict)
    except Exception as error:  # noqa: BLE001  (a plug-in's code may raise anything)
        marks = Signature.of_class(action_class).secrets
        raised = failures.describe(error, secrets.sorted_out(marks, input_dict))
        LOG.error("An action can't be built [action=%s]\n%s", name, raised.trace)
        facts = f"name={name}, class={class_path(action_class)}, cause={type(error).__name__}"
        if raised.message != type(error).__name__:
            facts += f": {raised.message}"
        raise exc.InvalidActionException(f"Failed to build the action [{facts}]") from None


@dataclasses.dataclass(frozen=True)
class AdHocActionDescriptor(ActionDescriptor):
    """An action defined in YAML on top of another one.

    Its expressions (``base-input``, ``output``) need a workflow's context, so the engine
    evaluates them: :func:`base_chain` gives it the layers in order.
    """

    name: str
    spec: AdHocActionSpec
    id: str | None = None
    namespace: str = ""
    description: str | None = None
    tags: Sequence[str] | None = None
    project_id: str | None = None
    scope: str = "private"
    definition: str = ""
    created_at: Any = None
    updated_at: Any = None

    @functools.cached_property
    def signature(self) -> Signature:
        """The declared input."""
        return Signature(
            tuple(Parameter(p.name, p.has_default, p.default) for p in self.spec.input)
        )

    @property
    def params_spec(self) -> str:
        return str(self.signature)

    def check_parameters(self, params: Mapping[str, Any]) -> None:
        self.signature.check(self.name, "AdHocAction", params)

    def instantiate(self, input_dict: Mapping[str, Any], wf_ctx: Any = None) -> Action:
        raise exc.InvalidActionException(
            f"An ad-hoc action has no class of its own, only its base has [name={self.name}]"
        )


@dataclasses.dataclass(frozen=True)
class BaseChain:
    """Ad-hoc actions, outermost first, and the action they finally stand on."""

    layers: tuple[AdHocActionDescriptor, ...]
    base: ActionDescriptor


def base_chain(
    find: Callable[[str, str], ActionDescriptor | None], descriptor: ActionDescriptor
) -> BaseChain:
    """Follow the bases of an ad-hoc action.

    A base is looked for in the namespace of the action that names it, then in the default one.
    """
    layers: list[AdHocActionDescriptor] = []
    current = descriptor
    while isinstance(current, AdHocActionDescriptor):
        if any((current.name, current.namespace) == (la.name, la.namespace) for la in layers):
            raise exc.InvalidActionException(
                f"The bases of the ad-hoc action form a cycle [action_name={descriptor.name}]"
            )
        if len(layers) >= MAX_NESTING:
            raise exc.InvalidActionException(
                f"Too many nested ad-hoc actions [action_name={descriptor.name}]"
            )
        layers.append(current)
        base = find(current.spec.base, current.namespace)
        if base is None:
            raise not_found(current.spec.base, current.namespace)
        current = base
    return BaseChain(tuple(layers), current)


def not_found(name: str, namespace: str) -> exc.InvalidActionException:
    """The error for an action that no provider knows."""
    where = f", namespace={namespace}" if namespace else ""
    return exc.InvalidActionException(f"Failed to find action [action_name={name}{where}]")
