"""Studies: each reads as the story of its own physics."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def runner(case: Any) -> Callable[..., Any]:
    """What runs a case of this study, ``run_adhesion`` for adhesion; imported only now."""
    study: Callable[..., Any] = getattr(
        importlib.import_module(f"multiscale.studies.{case.study}"), f"run_{case.study}"
    )
    return study


def predictor(case: Any) -> Callable[..., Any]:
    """What tells before a run what to expect of it."""
    function: Callable[..., Any] = importlib.import_module(f"multiscale.studies.{case.study}").predict
    return function
