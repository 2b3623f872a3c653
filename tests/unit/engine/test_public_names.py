"""The public names of the engine package: modules, classes, methods and their parameters.

``*`` in a list of parameters means that they are left open there; the base class, or
the interface, has them. Further optional parameters are fine.
"""

from __future__ import annotations

import importlib
import inspect

import pytest

MODULES = [
    "action_handler",
    "action_queue",
    "actions",
    "base",
    "default_engine",
    "default_executor",
    "dispatcher",
    "engine_server",
    "executor_server",
    "policies",
    "task_handler",
    "tasks",
    "utils",
    "workflow_handler",
    "workflows",
]

# class, its base ("" for none that matters), its own parameters, methods with parameters
CLASSES = """
actions.Action : action_def action_ex=None task_ex=None
    complete result
    fail msg
    is_sync input_dict
    run input_dict target index=0 desc='' save=True safe_rerun=False
    schedule input_dict target index=0 desc='' safe_rerun=False
    validate_input input_dict
actions.AdHocAction actions.PythonAction : action_def action_ex=None task_ex=None
    validate_input input_dict
actions.PythonAction actions.Action : action_def action_ex=None task_ex=None
    complete *
    is_sync input_dict
    run *
    schedule *
    validate_input input_dict
actions.WorkflowAction actions.Action : action_def action_ex=None task_ex=None
    complete *
    is_sync input_dict
    run *
    schedule *
    validate_input input_dict
base.Engine :
    on_action_complete action_ex_id result wf_action=False async_=False
    pause_workflow wf_ex_id
    rerun_workflow task_ex_id reset=True env=None
    resume_workflow wf_ex_id env=None
    rollback_workflow wf_ex_id
    start_action action_name action_input description=None **params
    start_workflow wf_identifier wf_input description='' **params
    stop_workflow wf_ex_id state message
base.EventEngine :
    create_event_trigger trigger events
    delete_event_trigger trigger events
base.Executor :
    run_action action_ex_id action_class_str attributes action_params safe_rerun redelivered=False
base.TaskPolicy :
    after_task_complete task_ex task_spec
    before_task_start task_ex task_spec
default_engine.DefaultEngine base.Engine : *
    on_action_complete *
    pause_workflow wf_ex_id
    rerun_workflow *
    resume_workflow *
    rollback_workflow wf_ex_id
    start_action *
    start_workflow *
    stop_workflow wf_ex_id state message=None
default_executor.DefaultExecutor base.Executor : *
    run_action *
engine_server.EngineServer : engine setup_profiler=True
    on_action_complete rpc_ctx action_ex_id result wf_action
    pause_workflow rpc_ctx execution_id
    rerun_workflow rpc_ctx task_ex_id reset=True env=None
    resume_workflow rpc_ctx wf_ex_id env=None
    rollback_workflow rpc_ctx execution_id
    start
    start_action rpc_ctx action_name action_input description params
    start_workflow rpc_ctx workflow_identifier workflow_input description params
    stop graceful=False
    stop_workflow rpc_ctx execution_id state message=None
executor_server.ExecutorServer : executor setup_profiler=True
    run_action rpc_ctx action_ex_id action_class_str attributes params safe_rerun
    start
    stop graceful=False
policies.ConcurrencyPolicy base.TaskPolicy : concurrency
    before_task_start task_ex task_spec
policies.PauseBeforePolicy base.TaskPolicy : expression
    before_task_start task_ex task_spec
policies.RetryPolicy base.TaskPolicy : count delay break_on continue_on
    after_task_complete task_ex task_spec
policies.TimeoutPolicy base.TaskPolicy : timeout_sec
    before_task_start task_ex task_spec
policies.WaitAfterPolicy base.TaskPolicy : delay
    after_task_complete task_ex task_spec
policies.WaitBeforePolicy base.TaskPolicy : delay
    before_task_start task_ex task_spec
tasks.RegularTask tasks.Task : wf_ex wf_spec task_spec ctx task_ex=None unique_key=None waiting=False
    on_action_complete *
    run *
tasks.Task : wf_ex wf_spec task_spec ctx task_ex=None unique_key=None waiting=False
    complete *
    defer *
    is_completed
    is_created
    is_state_changed
    is_waiting
    on_action_complete action_ex
    reset
    run
    set_state *
tasks.WithItemsTask tasks.RegularTask : wf_ex wf_spec task_spec ctx task_ex=None unique_key=None waiting=False
    is_with_items_completed
    on_action_complete *
workflows.Workflow : wf_def wf_ex=None
    check_and_complete *
    lock *
    rerun task_ex reset=True env=None
    resume env=None
    set_state *
    start *
    stop state msg=None
"""  # noqa: E501

# what the descriptions say about the parameters that the signatures leave open
DESCRIBED = """
tasks.Task.complete state state_info
tasks.Task.set_state state state_info processed
workflows.Workflow.start input_dict desc params
"""

SERVICES = ("engine_server.EngineServer", "executor_server.ExecutorServer")


def find(path: str) -> type:
    """A class of the engine package."""
    module, _, name = path.partition(".")
    found = getattr(importlib.import_module(f"mistral.engine.{module}"), name)
    assert inspect.isclass(found)
    return found


def listed() -> list[tuple[str, str, str, list[str]]]:
    """Class, base, method (or ``__init__``) and parameters of each entry."""
    entries = []
    path = base = ""
    for line in filter(None, CLASSES.splitlines()):
        if not line.startswith(" "):
            head, _, rest = line.partition(":")
            path, *bases = head.split()
            base = bases[0] if bases else ""
            entries.append((path, base, "__init__", rest.split()))
        else:
            name, *parameters = line.split()
            entries.append((path, base, name, parameters))
    return entries


def check(method: object, wanted: list[str]) -> None:
    """The first parameters are the wanted ones; others that must be given don't exist."""
    assert callable(method)
    parameters = list(inspect.signature(method).parameters.values())
    if parameters and parameters[0].name == "self":
        del parameters[0]
    keywords = [p for p in parameters if p.kind is p.VAR_KEYWORD]
    if "**params" in wanted:
        assert keywords
    names = [p.name for p in parameters]
    for number, text in enumerate(name for name in wanted if not name.startswith("*")):
        name, has_default, default = text.partition("=")
        assert names[number] == name, f"{names} instead of {wanted}"
        if has_default:
            assert repr(parameters[number].default) == default
    if "*" in wanted or not wanted:
        return
    for extra in parameters[len([name for name in wanted if not name.startswith("*")]) :]:
        is_open = extra.kind in (extra.VAR_KEYWORD, extra.VAR_POSITIONAL, extra.KEYWORD_ONLY)
        assert is_open or extra.default is not extra.empty, f"{extra.name} must be given"


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    assert importlib.import_module(f"mistral.engine.{name}").__doc__


@pytest.mark.parametrize(
    ("path", "base", "method", "parameters"),
    [pytest.param(*entry, id=f"{entry[0]}.{entry[2]}") for entry in listed()],
)
def test_classes_and_methods(path: str, base: str, method: str, parameters: list[str]) -> None:
    cls = find(path)
    if base:
        assert issubclass(cls, find(base))
    check(getattr(cls, method), parameters)


@pytest.mark.parametrize("line", DESCRIBED.strip().splitlines())
def test_described_parameters(line: str) -> None:
    path, *wanted = line.split()
    module, cls, method = path.split(".")
    signature = inspect.signature(getattr(find(f"{module}.{cls}"), method))
    assert list(signature.parameters)[1 : len(wanted) + 1] == wanted


@pytest.mark.parametrize("path", SERVICES)
def test_servers_are_services(path: str) -> None:
    bases = [base.__qualname__ for base in find(path).__mro__]
    assert "MistralService" in bases
