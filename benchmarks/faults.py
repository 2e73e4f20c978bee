"""What goes wrong on purpose, each in a process of its own on 1 and 2 ranks: exit code, one message, no hang, nothing lost.

The run is a joint of copper (EMT) that comes apart in six steps, small enough for seconds; after each fault it is resumed, and
must come to the end with the results of a run in which nothing went wrong: on one rank to the last bit, on two to 1e-8.

    python benchmarks/faults.py [NAME ...]       only those whose name contains one of these
"""

import sys
import tempfile
from pathlib import Path

from _faults import FAULTS, Bench, describe
from _report import report

BOUNDS = {"faults": (">=", 25), "hanging": ("==", 0), "lost_steps": ("==", 0), "not_as_expected": ("==", 0)}


def main() -> int:
    """Run all faults and report."""
    chosen = [name for name in FAULTS if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for name in chosen:
            for ranks in FAULTS[name].ranks:
                outcome = bench.attempt(name, ranks)
                outcomes.append(outcome)
                verdict = "; ".join(outcome.complaints) or "as it should be"
                print(
                    f"{name}, {ranks} ranks: exit {outcome.code} after {outcome.seconds:.1f} s: {verdict}", flush=True
                )
                print(f"    {outcome.message}", flush=True)
    return report("faults", describe(outcomes), BOUNDS)


if __name__ == "__main__":
    sys.exit(main())
