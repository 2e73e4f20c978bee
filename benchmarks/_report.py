"""The one way in which a benchmark reports: a JSON object last, exit status 1 where a bound does not hold."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Mapping
from pathlib import Path

_OPERATORS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}


def report(name: str, figures: Mapping[str, float | int | str], bounds: Mapping[str, tuple[str, float]]) -> int:
    """Print the figures, their bounds and whether all of them hold, as one JSON object.

    Args:
        name: the benchmark's name, that of its file.
        figures: what was measured; a name carries its unit (`seconds`, `load_error_percent`).
        bounds: for some of the figures, an operator and the value that it is held against.

    Returns:
        The exit status: 0 where every bound holds, else 1.

    Raises:
        KeyError: a bound names a figure that was not measured.
    """
    holds = all(_OPERATORS[symbol](figures[figure], value) for figure, (symbol, value) in bounds.items())
    line = json.dumps(
        {"benchmark": name, "figures": dict(figures), "bounds": {k: list(v) for k, v in bounds.items()}, "holds": holds}
    )
    if folder := os.environ.get("MULTISCALE_BENCHMARK_RESULTS"):
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{name}.json").write_text(line + "\n")
    print(line, flush=True)
    return 0 if holds else 1
