"""``python -m tests.simulation``: replay a seed, or look for seeds that fail."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.simulation.coverage import Coverage
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import run_seed


def main() -> int:
    """Run what the command line asks for; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay one seed and show what happens")
    parser.add_argument("--first", type=int, default=0, help="the first of many seeds")
    parser.add_argument("--count", type=int, default=300, help="how many seeds")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant a bug")
    parser.add_argument("--one-writer", action="store_true", help="a database like SQLite")
    parser.add_argument("--stop", action="store_true", help="end with the first seed that fails")
    parser.add_argument("--coverage", action="store_true", help="show what the runs came through")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    planted = MUTANTS.get(args.mutant)
    mutant = planted.mutant if planted else None
    if args.seed is not None:
        result = run_seed(args.seed, keep_trace=True, one_writer=args.one_writer, mutant=mutant)
        print(result.generated.text)
        print("\n".join(result.trace))
        print(f"checksum {result.checksum}, {result.seconds:.0f} simulated seconds")
        print("\n".join(str(finding) for finding in result.findings) or "nothing is wrong")
        return int(result.failed)
    coverage, failed, begun = Coverage(), 0, time.monotonic()
    for seed in range(args.first, args.first + args.count):
        result = run_seed(seed, coverage=coverage, one_writer=args.one_writer, mutant=mutant)
        if result.failed:
            failed += 1
            print(f"seed {seed}: {result.findings[0]}"[:300], flush=True)
            if args.stop:
                break
    if args.coverage:
        print(coverage.report())
    print(f"{args.count} seeds, {failed} failed, {time.monotonic() - begun:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
