"""The energy of an embedded system, term by term, with what the cut environments leave uncancelled.

With site energies, E_ML = Σ ε_i, and

    E = Σ_{i∉C} ε_i(all) + E_QM(C) + R,     R = Σ_{i∈C} [ε_i(all) − ε_i(C)] − Σ_caps ε(C).

Where the environment of an atom of C reaches no farther than C, its two site energies are equal and it counts once, by the
quantum engine. R is the rest. Its part from the core is a true miscount and vanishes with the buffer; that from the buffer and
the caps is what ML says about the surface by which E_QM(C) is too high, and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.potentials import Potential
from coupling.embedding.cluster import Cluster
from coupling.ledger import Term

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Remainder:
    """What of the ML energy of C does not cancel, eV.

    Attributes:
        core: Σ [ε_i(all) − ε_i(C)] over the core.
        buffer: the same over the rest of C.
        caps: −Σ ε over the caps.
        largest_core: largest |ε_i(all) − ε_i(C)| of a core atom.
    """

    core: float
    buffer: float
    caps: float
    largest_core: float

    @property
    def total(self) -> float:
        """Of core, buffer and caps."""
        return self.core + self.buffer + self.caps


@dataclass(frozen=True, kw_only=True)
class RegionAccount:
    """One region's terms, eV.

    Attributes:
        name: of the region.
        atoms: of C, without caps.
        caps: their number.
        quantum: E_QM(C).
        ml: E_ML(C), which enters with the weight −1.
        remainder: what does not cancel; None where the potential has no energies of sites.
    """

    name: str
    atoms: int
    caps: int
    quantum: float
    ml: float
    remainder: Remainder | None


@dataclass(frozen=True, kw_only=True)
class EmbeddingAccount:
    """Every term of E = E_ML(all) + Σ_k [E_QM(C_k) − E_ML(C_k)], eV.

    Attributes:
        whole: E_ML(all).
        regions: the others, by region.
    """

    whole: float
    regions: Sequence[RegionAccount]

    @property
    def total(self) -> float:
        """E."""
        return self.whole + sum(region.quantum - region.ml for region in self.regions)

    def rows(self) -> list[tuple[str, str, float, float]]:
        """Return (term, domain, weight, energy in eV): weights 1 and −1 make the total, 0 is shown and not counted."""
        found = [("E_ML(all)", "all atoms", 1.0, self.whole)]
        for region in self.regions:
            where = f"{region.name}: {region.atoms} atoms" + (f", {region.caps} caps" if region.caps else "")
            found.append(("E_QM(C)", where, 1.0, region.quantum))
            found.append(("E_ML(C)", where, -1.0, region.ml))
            if region.remainder is not None:
                rest = region.remainder
                found.append(("remainder, core", where, 0.0, rest.core))
                found.append(("remainder, buffer", where, 0.0, rest.buffer))
                found.append(("remainder, caps", where, 0.0, rest.caps))
        return found

    def terms(self) -> list[Term]:
        """Return the same as terms of an energy ledger."""
        notes = {
            "E_ML(all)": "Σ of all site energies",
            "E_QM(C)": "core and buffer, capped, by the quantum engine",
            "E_ML(C)": "the same atoms by the ML potential: taken out, so that the core counts once",
            "remainder, core": "site energies that the cut has changed although they should cancel; part of the terms above",
            "remainder, buffer": "what ML says of the cut surface of C; part of the terms above",
            "remainder, caps": "site energies of the caps; part of the terms above",
        }
        several = len(self.regions) > 1
        found = []
        for name, domain, weight, _ in self.rows():
            label = f"{name} {domain.split(':')[0]}" if several and name != "E_ML(all)" else name
            found.append(Term(name=label, domain=domain, weight=weight, note=notes[name]))
        return found

    def text(self) -> str:
        """Return the account as lines for a terminal."""
        lines = [
            f"{name:<20} {weight:+.0f} × {energy:16.6f} eV   {where}" for name, where, weight, energy in self.rows()
        ]
        return "\n".join([*lines, f"{'total':<20}      {self.total:16.6f} eV"])


def site_energies(potential: Potential, atoms: Atoms) -> Array | None:
    """Return ε_i (n,), eV, or None where the potential does not say what each atom's energy is."""
    if potential.site_model is not None:
        return potential.evaluate_weighted(atoms).site_energies
    if not potential.capabilities.energies_per_atom:
        return None
    potential.evaluate(atoms, stress=False)
    found = potential.calculator.results.get("energies")
    return None if found is None else np.array(found, dtype=float)


def remainder_of(whole: Potential, region: Potential, atoms: Atoms, cluster: Cluster) -> Remainder | None:
    """Return what of E_ML(all) − E_ML(C) does not cancel, from the site energies of both."""
    return remainder_between(
        site_energies(whole, atoms), site_energies(region, cluster.structure(atoms)), cluster=cluster
    )


def remainder_between(full: Array | None, cut: Array | None, *, cluster: Cluster) -> Remainder | None:
    """Return what does not cancel between ε(all) of all atoms and ε(C) of C with its caps; None where one is not known."""
    if full is None or cut is None:
        return None
    own = len(cluster)
    change = full[cluster.indices] - cut[:own]
    return Remainder(
        core=float(change[cluster.core].sum()),
        buffer=float(change[~cluster.core].sum()),
        caps=-float(cut[own:].sum()),
        largest_core=float(np.abs(change[cluster.core]).max()),
    )
