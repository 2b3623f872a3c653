"""Behind ``tools/mutate``: would the tests notice a small mistake in the modules that decide?

Samples mutants of the pure heart (``tools/lib/mutate_targets.py`` lists it) with a seed:
comparisons, ``and``/``or``, ``not``, conditions, constants, returned values, deleted statements.
Each meets the stages of tests one after the other, in a copy of the project, until one notices it;
a stage that takes too long has noticed it too. Those that no stage notices survive: each calls for
a test, or for an explanation why it changes nothing, in ``tools/lib/mutate_equivalent.yaml``.

The sample hardly changes with the sources, so that two runs with one seed can be compared. Results
are appended to a file; a run that was stopped goes on where it was, as long as no source and no
test has changed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import queue
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mutate_targets
import tool_options
import yaml
from mutant_site import PASSED, TIMEOUT, MutantSite, Run
from mutate_targets import FUNCTIONAL, SIMULATION, STAGES, Stage
from mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("mutate_equivalent.yaml")
SURVIVED = "survived"
#: With a mutant, tests may take so many times as long as they usually do on a quiet machine.
PATIENCE = 2.0

Key = tuple[str, str, str, int]


class MutateError(Exception):
    """The run is not possible; the text says why."""


@dataclasses.dataclass(frozen=True)
class Result:
    """Which stage noticed a mutant, how, and how long all took."""

    key: Key
    noticed: str
    outcome: str
    told: str
    seconds: float


def modules(root: Path, patterns: Iterable[str]) -> list[str]:
    """The paths that patterns below a root name."""
    found: list[str] = []
    for pattern in patterns:
        paths = sorted(path for path in root.glob(pattern) if path.is_file())
        if not paths:
            raise MutateError(
                f"There is no {pattern}: correct the list TARGETS in tools/lib/mutate_targets.py"
            )
        found += [path.relative_to(root).as_posix() for path in paths]
    return list(dict.fromkeys(found))


def check_tests(root: Path, tests: Iterable[str]) -> None:
    """Refuse a list of tests that are not all there."""
    for test in tests:
        if not (root / test).exists():
            raise MutateError(f"There is no {test}: correct the lists in mutate_targets.py")


def sample(all_mutants: Iterable[Mutant], seed: int, count: int) -> list[Mutant]:
    """So many mutants: each has its place by seed and name, whatever others there are."""

    def place(mutant: Mutant) -> bytes:
        return hashlib.sha256(repr((seed, mutant.key)).encode()).digest()

    return sorted(all_mutants, key=place)[:count]


def explained(text: str) -> dict[Key, str]:
    """Why mutants change nothing, by their keys."""
    found: dict[Key, str] = {}
    for entry in yaml.safe_load(text) or ():
        key = (entry["module"], entry["line"], entry["change"], entry.get("number", 1))
        found[key] = entry["why"]
    return found


class Stages:
    """The stages of tests that mutants meet."""

    def __init__(self, chosen: Sequence[Stage], seeds: int, first_seed: int) -> None:
        self.chosen = chosen
        self._seeds = seeds
        self._first_seed = first_seed

    def commands(self, stage: Stage, module: str) -> list[list[str]]:
        """What Python is asked to do for a mutant of a module."""
        if stage is SIMULATION:
            usual = ["-m", "tests.simulation", "--stop", "--first", str(self._first_seed)]
            fewer = str(max(1, self._seeds // 4))
            return [
                [*usual, "--count", str(self._seeds)],
                [*usual, "--count", fewer, "--one-writer"],
            ]
        is_functional = stage is FUNCTIONAL
        paths = mutate_targets.functional_tests(module) if is_functional else stage.paths
        options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:randomly"]
        keyword = ["-k", stage.keyword] if stage.keyword else []
        return [["-m", "pytest", *options, *keyword, *paths]]

    def meet(self, site: MutantSite, mutant: Mutant) -> Result:
        """Let a mutant that is in place meet the stages until one notices it."""
        begun = time.monotonic()
        for stage in self.chosen:
            run = self.run(site, stage, mutant.module)
            if run.outcome != PASSED:
                seconds = time.monotonic() - begun
                return Result(mutant.key, stage.name, run.outcome, run.told, seconds)
        return Result(mutant.key, SURVIVED, PASSED, "", time.monotonic() - begun)

    def run(self, site: MutantSite, stage: Stage, module: str) -> Run:
        """One stage."""
        run = Run(PASSED, 0.0)
        for command in self.commands(stage, module):
            run = site.python(command, PATIENCE * stage.seconds)
            if run.outcome != PASSED:
                break
        return run


class ResultFile:
    """Results as JSON lines, of one state of the sources and tests after the other."""

    def __init__(self, path: Path, state: str) -> None:
        self._path = path
        self._state = state

    def read(self) -> dict[Key, Result]:
        """The results of this state."""
        found: dict[Key, Result] = {}
        if not self._path.exists():
            return found
        for line in self._path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            if told.pop("state") == self._state:
                module, source, change, number = told.pop("key")
                key = (module, source, change, number)
                found[key] = Result(key=key, **told)
        return found

    def add(self, result: Result) -> None:
        """Append one."""
        line = json.dumps({"state": self._state, **dataclasses.asdict(result)})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def state_of(root: Path, names: Sequence[str], settings: object) -> str:
    """A text that changes with the sources, the tests and the settings of a run."""
    digest = hashlib.sha256(repr(settings).encode())
    for name in names:
        for path in sorted((root / name).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".yaml"):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def sites(root: Path, count: int) -> Iterator[list[MutantSite]]:
    """Some copies of the project, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as directory:
        found = [MutantSite(root, Path(directory) / str(number)) for number in range(count)]
        for site in found:
            site.directory.mkdir()
            site.make()
        yield found


def check_unchanged(site: MutantSite, stages: Stages, module: str) -> None:
    """The stages pass without a mutant, and none passes with a module that can't be imported."""
    for stage in stages.chosen:
        run = stages.run(site, stage, module)
        print(f"without a mutant: {stage.name} {run.outcome} in {run.seconds:.0f} s", flush=True)
        if run.outcome != PASSED:
            raise MutateError(f"stage '{stage.name}' fails without a mutant: {run.told}")
    site.change(module, "raise RuntimeError('this module is a mutant')\n")
    try:
        for stage in stages.chosen:
            command = stages.commands(stage, module)[0]
            if site.python(command, PATIENCE * stage.seconds).outcome == PASSED:
                raise MutateError(f"stage '{stage.name}' does not run the copy of the project")
    finally:
        site.restore()


def run_all(
    there: Sequence[MutantSite],
    stages: Stages,
    todo: Sequence[Mutant],
    root: Path,
    file: ResultFile,
) -> list[Result]:
    """Let mutants meet the stages, some at a time."""
    free: queue.SimpleQueue[MutantSite] = queue.SimpleQueue()
    for site in there:
        free.put(site)

    def one(mutant: Mutant) -> Result:
        site = free.get()
        try:
            text = (root / mutant.module).read_text(encoding="utf-8")
            site.change(mutant.module, mutant.applied(text))
            return stages.meet(site, mutant)
        finally:
            site.restore()
            free.put(site)

    results: list[Result] = []
    with concurrent.futures.ThreadPoolExecutor(len(there)) as pool:
        futures = {pool.submit(one, mutant): mutant for mutant in todo}
        try:
            for future in concurrent.futures.as_completed(futures):
                result, mutant = future.result(), futures[future]
                file.add(result)
                results.append(result)
                place = f"{mutant.module}:{mutant.line}"
                count = f"[{len(results)}/{len(todo)}]"
                print(f"{count} {result.noticed:10} {place}: {mutant.change}", flush=True)
        except BaseException:
            for site in there:
                site.abandon()
            pool.shutdown(cancel_futures=True)
            raise
    return results


def report(
    chosen: Sequence[Mutant],
    results: Mapping[Key, Result],
    why: Mapping[Key, str],
    stages: Sequence[Stage],
) -> str:
    """The table and the survivors."""
    by_stage = Counter(results[m.key].noticed for m in chosen if m.key in results)
    late = Counter(
        results[m.key].noticed
        for m in chosen
        if m.key in results and results[m.key].outcome == TIMEOUT
    )
    done = by_stage.total()
    survivors = [m for m in chosen if m.key in results and results[m.key].noticed == SURVIVED]
    unexplained = [m for m in survivors if m.key not in why]
    counted = done - (len(survivors) - len(unexplained))
    lines = ["", f"{'noticed by':<14}{'mutants':>8}{'share':>8}  of these by time"]
    rows = [(stage.name, by_stage[stage.name], late[stage.name]) for stage in stages]
    for name, count, timeouts in [*rows, ("nobody", len(unexplained), 0)]:
        share = 100.0 * count / counted if counted else 0.0
        lines.append(f"{name:<14}{count:>8}{share:>7.1f}%  {timeouts or ''}".rstrip())
    lines.append(f"{'all':<14}{counted:>8}")
    lines.append(f"{'explained':<14}{len(survivors) - len(unexplained):>8}")
    for title, found in (
        ("Survivors", unexplained),
        ("Explained", [m for m in survivors if m.key in why]),
    ):
        lines += ["", f"{title}:"] if found else []
        for mutant in sorted(found, key=lambda m: (m.module, m.line)):
            number = f" ({mutant.number})" if mutant.number > 1 else ""
            lines.append(f"  {mutant.module}:{mutant.line}: {mutant.source}")
            lines.append(f"      {mutant.change}{number}")
            if mutant.key in why:
                lines.append(f"      {why[mutant.key]}")
    return "\n".join(lines)


def chosen_stages(args: argparse.Namespace) -> list[Stage]:
    """The stages that the options ask for."""
    wanted = args.only.split(",") if args.only else [stage.name for stage in STAGES]
    unknown = set(wanted) - {stage.name for stage in STAGES}
    if unknown:
        raise MutateError(f"There is no stage {', '.join(sorted(unknown))}")
    return [stage for stage in STAGES if stage.name in wanted]


def show(mutant: Mutant) -> str:
    """A mutant for people."""
    return f"{mutant.module}:{mutant.line}: {mutant.source}\n      {mutant.change}"


def main(argv: Sequence[str]) -> int:
    """Run what the command line asks for; 1 when mutants survive."""
    args = tool_options.mutate().parse_args(argv)
    stages = Stages(chosen_stages(args), args.seeds, args.first_seed)
    check_tests(ROOT, mutate_targets.all_tests())
    paths = [p for p in modules(ROOT, mutate_targets.TARGETS) if args.module in p]
    found = [
        mutant
        for path in paths
        for mutant in mutants(
            path, (ROOT / path).read_text(encoding="utf-8"), mutate_targets.TEXT_CALLS
        )
    ]
    chosen = sample(found, args.seed, args.sample)
    if not chosen:
        raise MutateError(f"No module of the list has '{args.module}' in its path")
    print(f"{len(chosen)} of {len(found)} mutants of {len(paths)} modules, seed {args.seed}")
    if args.show:
        print("\n".join(show(mutant) for mutant in chosen[: args.show]))
        return 0
    why = explained(EQUIVALENT.read_text(encoding="utf-8"))
    keys = {mutant.key for mutant in found}
    for key in why:
        if key[0] in paths and key not in keys:
            print(f"explained, but there is no such mutant any more: {key}")
    settings = ([stage.name for stage in stages.chosen], args.seeds, args.first_seed)
    file = ResultFile(args.results, state_of(ROOT, ("mistral", "mistral_lib", "tests"), settings))
    known = file.read()
    todo = [mutant for mutant in chosen if mutant.key not in known]
    if todo:
        known |= run_mutants(args, stages, todo, file)
    print(report(chosen, known, why, stages.chosen))
    return int(any(known[m.key].noticed == SURVIVED and m.key not in why for m in chosen))


def run_mutants(
    args: argparse.Namespace, stages: Stages, todo: Sequence[Mutant], file: ResultFile
) -> dict[Key, Result]:
    """The results of mutants that have none yet."""
    with sites(ROOT, min(args.jobs, len(todo))) as there:
        if not args.no_check:
            check_unchanged(there[0], stages, "mistral/workflow/states.py")
        return {result.key: result for result in run_all(there, stages, todo, ROOT, file)}


def run(argv: Sequence[str]) -> Any:
    """The tool's exit status."""
    try:
        return main(argv)
    except MutateError as error:
        print(f"mutate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mutate: stopped; the same command goes on where it was", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
