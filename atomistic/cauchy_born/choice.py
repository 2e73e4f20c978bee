"""One call for the continuum of a crystal, by the best description that its potential allows."""

from __future__ import annotations

from mpi4py import MPI

from atomistic.cauchy_born.base import CauchyBorn
from atomistic.cauchy_born.evaluated import EvaluatedCauchyBorn
from atomistic.cauchy_born.expanded import expand_cauchy_born
from atomistic.cauchy_born.linear import LinearCauchyBorn
from atomistic.crystal import Crystal
from atomistic.errors import CauchyBornError, nearest
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.potentials.eam import EAMCauchyBorn, EAMModel

KINDS = ("auto", "exact", "expanded", "evaluated", "linear")


def cauchy_born(
    potential: Potential,
    crystal: Crystal,
    orientation: Orientation | None = None,
    *,
    kind: str = "auto",
    order: int = 4,
    largest_strain: float = 0.03,
    comm: MPI.Comm | None = None,
) -> CauchyBorn:
    """Return W(F), P(F) and ∂P/∂F of a crystal from the potential that drives its atoms.

    Energies count from the same zero as the potential's: the undeformed crystal has W = (energy per atom)/(volume per atom).

    Args:
        potential: that drives the atoms.
        crystal: relaxed with the same potential.
        orientation: the axes of F; None for the crystal's own.
        kind: "exact" evaluates the functions of an embedded-atom potential; "expanded" is a polynomial of strain, for
            every potential (`expand_cauchy_born`); "evaluated" calls the potential at each distinct strain; "linear" is the
            crystal's elastic tensor; "auto" is exact where that exists, else expanded.
        order: of the polynomial of "expanded".
        largest_strain: the range of "expanded".
        comm: ranks among which evaluations are shared out.

    Raises:
        CauchyBornError: no such kind, the potential has no exact one, or the polynomial does not fit.
    """
    if kind not in KINDS:
        raise CauchyBornError(
            f"Unknown kind of Cauchy–Born continuum {kind!r}; expected {', '.join(KINDS)}.{nearest(str(kind), KINDS)}"
        )
    exact = _exact(potential, crystal, orientation)
    if exact is not None and kind in ("auto", "exact"):
        return exact
    if kind == "exact":
        raise CauchyBornError(
            f"{potential.capabilities.name!r} has no exact Cauchy–Born energy for {crystal.structure} "
            f"{'-'.join(crystal.symbols)}: only embedded-atom potentials of fcc and bcc crystals have. Take kind='expanded'."
        )
    if kind == "linear":
        return LinearCauchyBorn(
            crystal.stiffness if orientation is None else orientation.stiffness,
            rest_energy=crystal.energy_per_atom * len(crystal.atoms) / float(crystal.atoms.get_volume()),
        )
    if kind == "evaluated":
        return EvaluatedCauchyBorn(potential, crystal, orientation, comm=comm)
    return expand_cauchy_born(potential, crystal, orientation, order=order, largest_strain=largest_strain, comm=comm)


def _exact(potential: Potential, crystal: Crystal, orientation: Orientation | None) -> CauchyBorn | None:
    """Return the continuum of an embedded-atom potential, or None for other potentials and crystals with a basis."""
    model = potential.site_model
    if not isinstance(model, EAMModel) or len(crystal.atoms) != 1:
        return None
    vectors = crystal.atoms.cell.array
    return EAMCauchyBorn(
        model.functions(crystal.symbols[0]), vectors if orientation is None else vectors @ orientation.rotation.T
    )
