"""Case files changed by chance and malice: each is a case, or an error with its place; never a traceback, never a long wait.

python benchmarks/fuzz.py [--files 2500] [--seed 0]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from _case_mutations import SOURCES, mutated_cases, verdict
from _report import report
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded


def fuzz(*, files: int, seed: int) -> tuple[Counter[str], float]:
    """How many files came to what, "case", "error" or "traceback", and the seconds that the slowest took.

    A file that gave a traceback goes to standard error with it.
    """
    counts: Counter[str] = Counter()
    slowest = 0.0
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:

        @seeded(seed)
        @settings(
            max_examples=files,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(mutated_cases())
        def read(content: bytes) -> None:
            nonlocal slowest
            began = time.process_time()
            try:
                counts[verdict(content, Path(folder) / "case.yaml")] += 1
            except Exception as error:  # what is counted: anything but a case or its error
                counts["traceback"] += 1
                place = str(traceback.extract_tb(error.__traceback__)[-1])
                if place not in seen:
                    seen.add(place)
                    print(f"{traceback.format_exc()}of the file\n{content[:4000]!r}\n", file=sys.stderr)
            slowest = max(slowest, time.process_time() - began)

        read()
    return counts, slowest


def main() -> int:
    """Read the files and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts, slowest = fuzz(files=arguments.files, seed=arguments.seed)
    figures = {
        "templates_and_examples": len(SOURCES),
        "files": sum(counts.values()),
        "still_cases": counts["case"],
        "errors_with_their_place": counts["error"],
        "tracebacks": counts["traceback"],
        "slowest_cpu_seconds": round(slowest, 2),
    }
    return report(
        "fuzz", figures, {"files": (">=", 2000), "tracebacks": ("==", 0), "slowest_cpu_seconds": ("<=", 10.0)}
    )


if __name__ == "__main__":
    sys.exit(main())
