"""An oracle's answers as labels of a frame, with where they come from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atomistic.labelled import LabelledFrame
from atomistic.oracle.calculator import OracleCalculator, settings_hash
from atomistic.potentials.base import Potential


def label(oracle: Potential, frame: LabelledFrame, *, stress: bool = True, **origin: Any) -> LabelledFrame:
    """Return a frame with an oracle's energy, forces and stress.

    Of a piece with cut surfaces (`provenance["excerpt"]["cut"]`) only forces become labels. Its energy is right for the piece,
    but most of it belongs to surfaces and caps that the body does not have: a potential taught with it would spend its freedom
    on them. The number is kept as `provenance["piece_energy"]`. Stresses are given where all directions are periodic.

    Args:
        oracle: any potential, of `load_oracle` or `load_potential`.
        frame: structure, `counted`, `config_type`, and what is known of its origin.
        stress: False where the stress costs and is not wanted.
        **origin: added to the provenance: the run, its step, the reason for asking.

    Raises:
        EvaluationError: the oracle gave no usable numbers; OracleError and OracleBudgetError are among them.
        UnknownElementError: the oracle has no parameters for an element.
    """
    oracle.check_elements(frame.atoms.symbols)
    cut = is_cut(frame)
    wanted = stress and not cut and bool(frame.atoms.pbc.all()) and oracle.capabilities.stress
    found = oracle.evaluate(frame.atoms, stress=wanted)
    provenance = {**frame.provenance, **provenance_of(oracle), **origin}
    if cut:
        provenance["piece_energy"] = found.energy
    return replace(
        frame,
        energy=None if cut else found.energy,
        forces=found.forces,
        stress=found.stress if wanted else None,
        provenance=provenance,
    )


def is_cut(frame: LabelledFrame) -> bool:
    """Whether a frame is a piece that ends where the body that it was cut from does not."""
    excerpt = frame.provenance.get("excerpt")
    return bool(isinstance(excerpt, dict) and excerpt.get("cut"))


def provenance_of(oracle: Potential) -> dict[str, Any]:
    """Return where an oracle's last result comes from (`OracleCalculator.provenance`); of other potentials, what they are."""
    if isinstance(oracle.calculator, OracleCalculator):
        return oracle.calculator.provenance()
    known = oracle.capabilities
    settings = {"model_sha256": known.model_sha256} if known.model_sha256 else {}
    return {
        "oracle": known.name,
        "version": known.name,
        "settings_hash": settings_hash(known.name, settings),
    } | settings
