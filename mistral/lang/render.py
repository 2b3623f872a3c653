"""A specification's inputs and outputs as seen outside (doc:rest/workflows, doc:rest/actions)."""

from __future__ import annotations

import json
from typing import Any

from mistral.lang.specs import AdHocActionSpec, InputParam, WorkflowSpec


def render_input(spec: WorkflowSpec | AdHocActionSpec) -> str:
    """The declared inputs in one line.

    Workflows write each default as a text in quotes, ad-hoc actions write it in JSON.
    """
    write = _as_json if isinstance(spec, AdHocActionSpec) else _as_text
    return ", ".join(
        f"{param.name}={write(param)}" if param.has_default else param.name for param in spec.input
    )


def interface(spec: WorkflowSpec) -> dict[str, Any]:
    """Inputs as written in the definition, and the names of the outputs."""
    return {
        "input": [
            {param.name: param.default} if param.has_default else param.name for param in spec.input
        ],
        "output": list(spec.output),
    }


def _as_text(param: InputParam) -> str:
    return f'"{param.default}"'


def _as_json(param: InputParam) -> str:
    return json.dumps(param.default, ensure_ascii=False)
