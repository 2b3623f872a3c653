"""``tools/mutate`` on a planted project: what its tests notice, and what survives."""

from __future__ import annotations

import threading
from pathlib import Path

import mutate
import mutate_targets
import pytest
from mutant_site import FAILED, PASSED, TIMEOUT, MutantSite, Run
from mutate import MutateError, Result, ResultFile, Stages
from mutate_targets import FUNCTIONAL, LANGUAGE, PURE, SIMULATION, Stage
from mutations import mutants

HEART = '''\
"""A heart."""


def is_full(count: int) -> bool:
    return count >= 3


def rounds(count: int) -> int:
    while count > 9:
        count -= 2
    return count
'''
TEST = """\
from mistral import heart


def test_it():
    assert heart.is_full(4)
    assert not heart.is_full(1)
    assert [heart.rounds(9), heart.rounds(12)] == [9, 8]
"""
#: The border of three is not tested.
SURVIVORS = {"count >= 3 -> (count > 3)", "3 -> 4", "3 -> 2"}
QUICK = Stage("pure", "", ("tests/unit/workflow",), seconds=5.0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one module and one test."""
    root = tmp_path / "root"
    for name, text in {
        "mistral/__init__.py": "",
        "mistral/heart.py": HEART,
        "tests/unit/workflow/test_heart.py": TEST,
        "pyproject.toml": "[tool.pytest.ini_options]\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_survivors_of_a_planted_project(project: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    stages = Stages([QUICK], 1, 0)
    found = [m for m in mutants("mistral/heart.py", HEART) if m.line == 5 or "deleted" in m.change]
    file = ResultFile(tmp_path / "results", "now")
    with mutate.sites(project, 2) as there:
        mutate.check_unchanged(there[0], stages, "mistral/heart.py")
        results = mutate.run_all(there, stages, found, project, file)
    changes = {m.key: m.change for m in found}
    outcomes = {changes[r.key]: r.outcome for r in results}
    assert len(outcomes) == len(found)
    assert {change for change, outcome in outcomes.items() if outcome == PASSED} == SURVIVORS
    assert outcomes["count -= 2 -> deleted"] == TIMEOUT
    assert outcomes["count >= 3 -> (count < 3)"] == FAILED
    assert file.read() == {r.key: r for r in results}
    assert ResultFile(tmp_path / "results", "later").read() == {}
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    text = mutate.report(found, file.read(), {found[0].key: "Nobody minds."}, [QUICK])
    assert "Survivors:\n  mistral/heart.py:5: return count >= 3" in text
    assert "Explained:" in text and "Nobody minds." in text
    assert f"nobody{len(SURVIVORS) - 1:>16}" in text


def test_tests_that_fail_anyway_are_no_stage(project: Path) -> None:
    (project / "tests/unit/workflow/test_heart.py").write_text("def test_it():\n    assert 0\n")
    with mutate.sites(project, 1) as (site,), pytest.raises(MutateError, match="without a mutant"):
        mutate.check_unchanged(site, Stages([QUICK], 1, 0), "mistral/heart.py")


def test_tests_that_do_not_see_the_mutant_are_no_stage(project: Path) -> None:
    (project / "tests/unit/workflow/test_heart.py").write_text("def test_it():\n    pass\n")
    with mutate.sites(project, 1) as (site,), pytest.raises(MutateError, match="the copy"):
        mutate.check_unchanged(site, Stages([QUICK], 1, 0), "mistral/heart.py")


class Recorder:
    """Stands where a copy of the project would be: tells how each command ends."""

    def __init__(self, *outcomes: str) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[list[str]] = []

    def python(self, arguments: list[str], timeout: float) -> Run:
        """The next outcome."""
        self.asked.append(arguments)
        return Run(self.outcomes.pop(0), 1.0, "words")


ALL = [PURE, SIMULATION, LANGUAGE, FUNCTIONAL]


@pytest.mark.parametrize(
    ("outcomes", "noticed", "outcome"),
    [
        ([FAILED], "pure", FAILED),
        ([PASSED, TIMEOUT], "simulation", TIMEOUT),
        # with several connections, then with one writer
        ([PASSED, PASSED, FAILED], "simulation", FAILED),
        ([PASSED, PASSED, PASSED, FAILED], "language", FAILED),
        ([PASSED] * 4 + [FAILED], "functional", FAILED),
        ([PASSED] * 5, "survived", PASSED),
    ],
)
def test_the_first_notice_wins(outcomes: list[str], noticed: str, outcome: str) -> None:
    site = Recorder(*outcomes)
    mutant = mutants("mistral/engine/tasks.py", "a = 1\n")[0]
    result = Stages(ALL, 8, 5).meet(site, mutant)  # type: ignore[arg-type]
    assert (result.noticed, result.outcome, site.outcomes) == (noticed, outcome, [])


def test_what_the_stages_run() -> None:
    stages = Stages(ALL, 8, 5)
    many, one_writer = stages.commands(SIMULATION, "mistral/engine/tasks.py")
    assert many[-4:] == ["--first", "5", "--count", "8"]
    assert one_writer[-3:] == ["--count", "2", "--one-writer"]
    (functional,) = stages.commands(FUNCTIONAL, "mistral/engine/rollback/plan.py")
    assert functional[-1] == "tests/functional/test_rollback.py"


def test_the_sample_stays_when_other_mutants_come_and_go() -> None:
    source = "a = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    found = mutants("m.py", source)
    chosen = mutate.sample(found, 1, 5)
    assert chosen == mutate.sample(reversed(found), 1, 5) != mutate.sample(found, 2, 5)
    more = mutants("m.py", "b = 0\nc = []\n" + source)
    assert len({m.key for m in chosen} & {m.key for m in mutate.sample(more, 1, 5)}) >= 3


def test_a_listed_module_that_is_not_there() -> None:
    with pytest.raises(MutateError, match=r"no mistral/none/\*\.py: correct the list TARGETS"):
        mutate.modules(mutate.ROOT, ["mistral/none/*.py"])


def test_what_is_listed_is_there() -> None:
    assert len(mutate.modules(mutate.ROOT, mutate_targets.TARGETS)) > 20
    mutate.check_tests(mutate.ROOT, mutate_targets.all_tests())
    with pytest.raises(MutateError, match=r"no tests/none\.py"):
        mutate.check_tests(mutate.ROOT, ["tests/none.py"])


def test_why_a_mutant_changes_nothing_is_found_by_its_name() -> None:
    text = "- {module: m.py, line: a = 1, change: 1 -> 2, why: so}\n"
    assert mutate.explained(text) == {("m.py", "a = 1", "1 -> 2", 1): "so"}
    assert mutate.explained(mutate.EQUIVALENT.read_text(encoding="utf-8")) is not None


@pytest.mark.parametrize("path", ["tests", "mistral"])
def test_other_sources_or_tests_are_another_state(tmp_path: Path, path: str) -> None:
    (tmp_path / path).mkdir()
    empty = mutate.state_of(tmp_path, ("mistral", "tests"), 1)
    (tmp_path / path / "a.py").write_text("")
    assert mutate.state_of(tmp_path, ("mistral", "tests"), 1) != empty
    assert mutate.state_of(tmp_path, ("mistral", "tests"), 2) != empty


def test_an_unknown_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutate.run(["--only", "none"]) == 2
    assert "There is no stage none" in capsys.readouterr().err


def test_a_sample_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutate.run(["--show", "2", "--sample", "9", "--module", "workflow/joins"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("9 of") and shown.count("mistral/workflow/joins.py:") == 2


def test_results_can_be_read_again(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "results", "s")
    result = Result(("m.py", "a", "b", 1), "pure", FAILED, "FAILED test_it", 1.5)
    file.add(result)
    assert file.read() == {result.key: result}


def test_a_site_that_is_abandoned_ends_at_once(project: Path, tmp_path: Path) -> None:
    directory = tmp_path / "site"
    directory.mkdir()
    site = MutantSite(project, directory)
    site.make()
    timer = threading.Timer(1.0, site.abandon)
    timer.start()
    assert site.python(["-c", "import time; time.sleep(60)"], 60.0).seconds < 30
    timer.join()
    with pytest.raises(RuntimeError):
        site.python(["-c", "pass"], 60.0)


def test_a_site_ends_what_was_left_behind(project: Path, tmp_path: Path) -> None:
    directory = tmp_path / "site"
    directory.mkdir()
    site = MutantSite(project, directory)
    site.make()
    leave = "import subprocess, sys; print(subprocess.Popen(['sleep', '60'], stdout=2).pid)"
    run = site.python(["-c", leave], 30.0)
    assert run.outcome == PASSED
    stat = Path(f"/proc/{run.told}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
