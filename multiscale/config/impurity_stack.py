"""An impurity and quantum single points in the stack of planes that an adhesion study pulls apart."""

from __future__ import annotations

from typing import Any

from multiscale.config.base import KeyedError
from multiscale.config.embedding_zone import MOST_POINTS, ZoneEmbeddingModel

LARGEST_CELL = 25
"""Atoms of the periodic quantum cell of a stack: a metal's calculation grows with their third power."""


def check_stack(case: Any) -> None:
    """Refuse impurities and quantum regions that the stack of an adhesion case without a zone cannot have.

    Raises:
        KeyedError: pointing at the key.
    """
    if case.embedding is None and case.verification.quantum_openings:
        raise KeyedError(
            "there are no quantum calculations to hold the curve against. Add embedding: {engine: ..., mode: single points}, "
            "or leave quantum_openings out",
            "verification",
            "quantum_openings",
        )
    if case.impurity is None and case.embedding is None:
        return
    name = "impurity" if case.impurity is not None else "embedding"
    others = {
        "interface.second": case.interface.second is not None,
        "decohesion.file": case.decohesion.file is not None,
        "decohesion.mode: relaxed": case.decohesion.mode == "relaxed",
        "law.type: live": case.law.type == "live",
    }
    for other in (other for other, given in others.items() if given):
        raise KeyedError(
            f"an {name} needs the rigid curve of one crystal, computed here; {other} is given too. Leave one of them out",
            name,
        )
    if case.impurity is not None:
        _check_impurity(case)
    if case.embedding is not None:
        _check_embedding(case, case.embedding)


def _check_impurity(case: Any) -> None:
    impurity = case.impurity
    if impurity.at is not None:
        raise KeyedError(
            "at is a place in a zone of atoms, and there is none: a stack is the same everywhere. Leave it out",
            "impurity",
            "at",
        )
    if impurity.site == "substitutional" and impurity.element in case.crystal.species:
        raise KeyedError(
            f"{impurity.element} in place of {impurity.element} is no impurity. Choose another element, or a hole",
            "impurity",
            "element",
        )


def _check_embedding(case: Any, embedding: ZoneEmbeddingModel) -> None:
    """A stack's quantum cell is the stack itself, less planes far from the gap."""
    refused = {
        "mode": (embedding.mode != "single points", "mode: single points"),
        "scheme": (embedding.scheme != "subtractive", "scheme: subtractive"),
        "links": (embedding.links != "none", "links: none"),
        "cell": (embedding.cell is not None, "no cell: the planes within buffer of the gap make it"),
        "states": (embedding.states is not None, "no states: the closed and the open stack are computed"),
        "charge": (embedding.charge != 0.0, "no charge"),
        "spin": (embedding.spin != 0, "no spin"),
    }
    for key, (wrong, instead) in refused.items():
        if wrong:
            raise KeyedError(
                f"without a zone of atoms the quantum region is a periodic cell of the stack, computed closed and open. Write "
                f"{instead}",
                "embedding",
                key,
            )
    kinds = 1 if case.impurity is None else 2
    points = kinds * (2 + len(case.verification.quantum_openings))
    if points > MOST_POINTS:
        raise KeyedError(
            f"{points} quantum calculations are asked for, more than the {MOST_POINTS} that a run makes. Name fewer openings",
            "verification",
            "quantum_openings",
        )
