"""A separation curve that was computed elsewhere, from a CSV file with units in its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atomistic.decohesion import SeparationCurve
from coupling.separation_fit import fit_separation
from coupling.stacks import GapCurve
from multiscale.tables import Table, TableError, read_table
from multiscale.units import ENERGY_PER_AREA, LENGTH, STRESS, Kind, UnitError, parse_quantity

# Beyond this disagreement of energies and tractions, as a fraction of the work of separation, a unit is wrong.
MOST_GAP = 0.2


def read_separation(path: Path, *, length: float, plane: tuple[int, ...]) -> SeparationCurve:
    """Read opening, energy and, where there is one, traction.

    The header names the columns and their units, for example ``opening [angstrom],energy [J/m^2],traction [GPa]``. Energies
    are taken relative to the first row. Without tractions, those of a spline through the energies stand in.

    Args:
        path: the CSV file.
        length: of crystal whose elasticity the curve contains: the gap of the parting planes (Å).
        plane: Miller indices, for the record.

    Raises:
        TableError: a column is missing, has no unit or the wrong one, or holds gaps.
    """
    table = read_table(path)
    opening, energy = _column(table, "opening", LENGTH, path), _column(table, "energy", ENERGY_PER_AREA, path)
    traction = _column(table, "traction", STRESS, path) if "traction" in table else None
    order = np.argsort(opening)
    energy = (energy - energy[order[0]])[order]
    opening = opening[order]
    if traction is None:
        fit = fit_separation(GapCurve(opening=opening, energy=energy, traction=None))
        traction = np.where(opening < fit.end, fit.traction(np.minimum(opening, fit.end)), 0.0)
    else:
        traction = traction[order]
        gap = fit_separation(GapCurve(opening=opening, energy=energy, traction=traction)).energy_force_gap or 0.0
        if abs(gap) > MOST_GAP:
            raise TableError(
                f"{path}: the integral of the tractions and the energies disagree by {gap:.0%} of the work of separation. "
                "Check the columns' units, or leave the traction column out"
            )
    return SeparationCurve(
        opening=opening,
        energy=energy,
        traction=traction,
        mode="rigid",
        n_planes=0,
        area=float("nan"),
        spacing=length,
        length=length,
        work_of_separation=float(energy[-1]),
        plane=plane,
        potential=path.name,
        noise=0.0,
    )


def _column(table: Table, name: str, kind: Kind, path: Path) -> np.ndarray:
    if name not in table:
        raise TableError(
            f"{path} has no column {name!r}. Expected a header such as opening [angstrom],energy [J/m^2],traction [GPa]"
        )
    unit = table.units.get(name)
    if unit is None:
        raise TableError(
            f"{path}: column {name!r} has no unit. Write it in the header, for example {name} [{kind.internal}]"
        )
    try:
        factor = parse_quantity(f"1 {unit}", kind)
    except UnitError as error:
        raise TableError(f"{path}: column {name!r}: {error}") from None
    values = table[name] * factor
    if not np.isfinite(values).all():
        raise TableError(
            f"{path}: column {name!r} has empty cells or values that are not finite. Complete or remove those rows"
        )
    return values
