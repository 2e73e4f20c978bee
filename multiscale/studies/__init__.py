"""Studies: each reads as the story of its own physics."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def runner(case: Any) -> Callable[..., Any]:
    """What runs a case of this study, ``run_adhesion`` for adhesion; imported only now."""
    name = case.study.replace("-", "_")
    study: Callable[..., Any] = getattr(importlib.import_module(f"multiscale.studies.{name}"), f"run_{name}")
    return study


def predictor(case: Any) -> Callable[..., Any]:
    """What tells before a run what to expect of it."""
    function: Callable[..., Any] = importlib.import_module(f"multiscale.studies.{case.study.replace('-', '_')}").predict

    def predict(case: Any, **options: Any) -> tuple[list[tuple[str, str]], list[str]]:
        from multiscale.config.learning_coupled import learning_rows
        from multiscale.spread import prediction
        from multiscale.studies.learning_checks import coupled_prediction

        expected = prediction(case)
        learning = coupled_prediction(case)
        rows, warnings = function(case, **options)
        return [*rows, *learning_rows(case), *expected[0]], [*warnings, *learning, *expected[1]]

    return predict
