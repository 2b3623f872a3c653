"""The documentation builds without a warning, and what refers to it leads somewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "doc" / "source"
FOLDERS = ("mistral", "mistral_lib", "tools", "tests", "etc", "doc", ".ci")
FILES = ("README.rst", "CHANGELOG.rst", "setup.cfg", "pyproject.toml", ".importlinter")
SUFFIXES = {"", ".cfg", ".conf", ".py", ".rst", ".sample", ".toml", ".yaml", ".yml"}

# building the pages takes long on a busy machine
pytestmark = pytest.mark.timeout(300)

REFERENCE = re.compile(r"\bdoc:(?P<page>[a-z_]+(?:/[a-z_]+)*)(?:#(?P<section>[A-Za-z0-9_.-]+\b))?")
ELSEWHERE = re.compile(
    r"§|\bsection \d"
    r"|\b(?:language|rest-api|cli|config|configuration|design)(?:\.md)? §?\d+(?:\.\d+)?\b"
    r"|\b(?:rest-api|cli|config|language|design)\.md\b"
    r"|\bcontract'?s? (?:language|rest-api|cli|config)\b"
    r"|\b(?:by|the|of|public|language's) contract\b"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as HTML."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), str(DOCS), str(folder / "html")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder / "html"


def _lines() -> Iterator[tuple[str, str]]:
    """All lines of texts in the repository, each with its place."""
    for top in (*FOLDERS, *FILES):
        path = ROOT / top
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in found:
            parts = file.relative_to(ROOT).parts
            if file == Path(__file__) or file.suffix not in SUFFIXES or not file.is_file():
                continue
            if "__pycache__" in parts or parts[:2] == ("doc", "build"):
                continue
            text = file.read_text(encoding="utf-8", errors="replace")
            for number, line in enumerate(text.splitlines(), 1):
                yield f"{'/'.join(parts)}:{number}", line


def test_documentation_builds_without_warnings(pages: Path) -> None:
    assert (pages / "asynchronous_actions.html").exists()


def test_references_lead_to_a_section(pages: Path) -> None:
    found = [(place, match) for place, line in _lines() for match in REFERENCE.finditer(line)]
    assert len(found) > 100
    anchors: dict[str, set[str]] = {}
    lost = []
    for place, match in found:
        page, section = match["page"], match["section"]
        if page not in anchors:
            file = pages / f"{page}.html"
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            anchors[page] = set(re.findall(r'\bid="([^"]+)"', text))
        if not anchors[page] or (section and section not in anchors[page]):
            lost.append(f"{place}: {match[0]}")
    assert lost == []


def test_modules_that_the_architecture_names_exist() -> None:
    text = (DOCS / "architecture.rst").read_text(encoding="utf-8").partition("\nExtending it\n")[0]
    names = re.findall(
        r"``(?:mistral\.)?((?:actions|api|cmd|config|db|definitions|engine|expressions|lang|rpc|scheduler|service|workflow)(?:\.[a-z_]+)*)``",
        text,
    )
    assert len(names) > 10
    paths = [ROOT.joinpath("mistral", *name.split(".")) for name in names]
    lost = [
        str(path.relative_to(ROOT))
        for path in paths
        if not path.with_suffix(".py").exists() and not path.joinpath("__init__.py").exists()
    ]
    assert lost == []


def test_each_change_has_one_room() -> None:
    text = (DOCS / "architecture.rst").read_text(encoding="utf-8")
    table = text.partition("\nWhere do I change")[2].partition(".. _words:")[0]
    changes = re.findall(r"\* - \.\.\. (.+)\n     - (.+)\n", table)
    assert len(changes) >= 20
    assert len({what for what, _ in changes}) == len(changes)
    assert [room for _, room in changes if not re.fullmatch(r"``mistral\.[a-z_.]+``", room)] == []


def test_nothing_refers_to_documents_elsewhere() -> None:
    assert [place for place, line in _lines() if ELSEWHERE.search(line)] == []


@pytest.mark.parametrize(
    "text", ["(§9.4)", "contract language 9.4", "rest-api.md §1", "section 3", "see language §5"]
)
def test_references_without_a_page_are_found(text: str) -> None:
    assert ELSEWHERE.search(text)
