"""What setup.cfg and .importlinter declare is what the code needs and has."""

import ast
import configparser
import importlib
import importlib.metadata
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from uvicorn.protocols.http import httptools_impl

ROOT = Path(__file__).resolve().parents[2]
OURS = {"mistral", "mistral_lib"}


def _declarations() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(text: str) -> set[str]:
    lines = (line.strip() for line in text.splitlines())
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.startswith("#"))
    return {_normal(name.group()) for name in names if name}


def _imported_packages() -> Iterator[tuple[str, Path]]:
    for package in sorted(OURS):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from ((alias.name.partition(".")[0], path) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0], path


def test_every_imported_library_is_declared() -> None:
    declared = _declarations()
    known = _requirements(declared["options"]["install_requires"])
    known |= _requirements(declared["options.extras_require"]["all"])
    providers = importlib.metadata.packages_distributions()
    missing = {
        f"{name} in {path.relative_to(ROOT)}"
        for name, path in _imported_packages()
        if name not in OURS
        and name not in sys.stdlib_module_names
        and not {_normal(one) for one in providers.get(name, [])} & known
    }
    assert not missing


def test_a_library_whose_insides_are_built_upon_has_an_upper_bound() -> None:
    """mistral/service/http/protocol.py adds to uvicorn's protocol, of which nothing is promised."""
    requires = _declarations()["options"]["install_requires"].split()
    assert any(re.fullmatch(r"uvicorn>=[0-9.]+,<[0-9.]+", line) for line in requires)
    cycle = inspect.signature(httptools_impl.RequestResponseCycle.__init__).parameters
    assert {"transport", "flow", "message_event", "keep_alive"} < set(cycle)
    used = set(httptools_impl.HttpToolsProtocol.__init__.__code__.co_names)
    assert {"cycle", "pipeline", "parser", "headers", "flow", "transport", "connections"} <= used


def test_extra_all_is_the_sum_of_the_features() -> None:
    extras = _declarations()["options.extras_require"]
    features = {name: _requirements(text) for name, text in extras.items()}
    everything, test = features.pop("all"), features.pop("test")
    assert everything == set().union(*features.values())
    assert not everything & test


def test_every_entry_point_can_be_loaded() -> None:
    groups = _declarations()["options.entry_points"]
    broken = []
    for group, text in groups.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            name, _, target = (part.strip() for part in line.partition("="))
            module, _, attribute = target.partition(":")
            try:
                getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                broken.append(f"{group}: {name}: {error}")
    assert not broken


def test_every_room_stands_on_a_floor() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    layers = parser["importlinter:contract:floors"]["layers"]
    placed = {name.strip(" ()") for name in re.split("[\n:|]", layers)}
    rooms = _rooms("mistral") | _rooms("mistral/engine")
    assert sorted(rooms - {"mistral.engine"} - placed) == []


def _rooms(folder: str) -> set[str]:
    return {
        f"{folder.replace('/', '.')}.{path.stem}"
        for path in (ROOT / folder).iterdir()
        if path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
