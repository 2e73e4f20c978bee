"""Properties of crystals against published values of the same potentials and against ASE's own relaxations of the same cells.

    python benchmarks/properties.py [--picture FILE] [--short]

Published: copper of Mishin et al. (2001, Phys. Rev. B 63, 224106), within 0.1%; aluminium of Voter and Chen as tabulated by
Mishin et al. (1999, Phys. Rev. B 59, 3393) and the glide set of Stillinger–Weber silicon (Juan and Kaxiras 1996, Philos. Mag.
A 74, 1367), within 1%. Two published faults are not met, and reported without a bound: the unstable one of copper, 158 mJ/m², in
whose place ASE's slab is bounded, and the stable one of aluminium, 76 mJ/m², to 1.1%. ASE: a vacancy and its cell by FIRE with
FrechetCellFilter from displaced sites, a surface and a fault by BFGS on slabs of ase.build. SevenNet-0's (111) surface against
half of its work of separation in the main job; --short leaves it out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from _report import report
from ase.build import bulk, fcc111
from ase.constraints import FixedLine
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE
from ase.units import J, m

from atomistic.potentials import load_potential
from atomistic.properties import (
    FaultRequest,
    GammaLine,
    PropertyRequest,
    PropertySet,
    bulk_modulus,
    gamma_line,
    measure_properties,
    resolved,
)

MILLI = 1e-3 * J / m**2
COPPER = {
    "cohesive_energy": 3.54, "vacancy": 1.272, "surface(111)": 1239.0, "surface(100)": 1345.0, "surface(110)": 1475.0,
    "stacking_fault(111)": 44.4,
}  # fmt: skip
ALUMINIUM = {
    "vacancy": 0.63, "surface(111)": 823.0, "surface(100)": 855.0, "surface(110)": 959.0, "stacking_fault(111)": 76.0,
}  # fmt: skip
UNSTABLE = 158.0
UNMET = {"al_stacking_fault_111_error_percent"}
VOTER_CHEN = {"name": "lammps", "pair_style": "eam/alloy", "files": ["CoAl.eam.alloy"], "elements": ["Al"]}
#: The main job's work of separation of SevenNet-0's Al(111), J/m².
WORK = 1.193


def told(found: PropertySet, key: str) -> float:
    """A property in eV or mJ/m²."""
    value = next(p for p in found.properties if p.key == key)
    return value.value / (MILLI if value.kind == "energy per area" else 1.0)


def against(name: str, found: PropertySet, published: dict[str, float]) -> dict[str, float]:
    """Deviations from published values, percent."""
    return {
        f"{name}_{key.replace('(', '_').replace(')', '')}_error_percent": 100.0 * abs(told(found, key) / value - 1.0)
        for key, value in published.items()
    }


def ase_vacancy(spec: str, a: float, cohesive: float, count: int) -> float:
    """A vacancy's formation energy (eV) at zero pressure by ASE."""
    atoms = bulk("Cu", "fcc", a=a, cubic=True).repeat(count)
    sites = len(atoms)
    del atoms[0]
    atoms.rattle(0.01, seed=1)
    atoms.calc = load_potential(spec).calculator
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=2000)
    return float(atoms.get_potential_energy() + (sites - 1) * cohesive)


def ase_surface(spec: str, a: float, energy_per_atom: float, layers: int) -> float:
    """A relaxed (111) surface (mJ/m²) by ASE, from a slab's own energy."""
    slab = fcc111("Cu", (1, 1, layers), a=a, vacuum=8.0, periodic=True)
    slab.calc = load_potential(spec).calculator
    BFGS(slab, logfile=None).run(fmax=1e-4, steps=500)
    area = float(np.linalg.norm(np.cross(*slab.cell.array[:2])))
    return float((slab.get_potential_energy() - layers * energy_per_atom) / (2.0 * area)) / MILLI


def ase_fault(spec: str, a: float, shift: float, layers: int) -> float:
    """The energy (mJ/m²) of a (111) slab whose upper half is shifted along [11-2], relaxed along the normal by ASE."""
    energies = []
    for distance in (0.0, shift):
        slab = fcc111("Cu", (1, 1, layers), a=a, vacuum=8.0, periodic=True)
        upper = slab.positions[:, 2] > slab.positions[:, 2].mean()
        along = (slab.cell.array[0] + slab.cell.array[1]) / np.linalg.norm(slab.cell.array[0] + slab.cell.array[1])
        slab.positions[upper] += distance * along
        slab.set_constraint(FixedLine(range(len(slab)), (0, 0, 1)))
        slab.calc = load_potential(spec).calculator
        BFGS(slab, logfile=None).run(fmax=1e-4, steps=500)
        energies.append(slab.get_potential_energy())
    area = float(np.linalg.norm(np.cross(*slab.cell.array[:2])))
    return float(energies[1] - energies[0]) / area / MILLI


def glide(relax: bool) -> GammaLine:
    """The glide set of Stillinger–Weber silicon along [11-2]."""
    potential = load_potential("sw-si")
    fault = FaultRequest(plane=(1, 1, 1), direction=(1, 1, -2), cut="narrowest", relax="normal" if relax else False)
    request = PropertyRequest(symbols=("Si",), structure="diamond", parts=("faults",), faults=(fault,))
    return measure_properties(potential, request).lines[0]


def unstable(line: GammaLine) -> float:
    """The unstable fault of a line, mJ/m²."""
    assert line.unstable is not None
    return line.unstable.energy / MILLI


def draw(path: Path, sets: dict[str, PropertySet], lines: dict[str, GammaLine]) -> None:
    """Vacancies over 1/N, slabs over their thickness, and γ-lines."""
    from multiscale.plots import BLUE, RED, house_style, new_figure

    with house_style():
        figure = new_figure(11.4, 3.7)
        first, second, third = figure.subplots(1, 3)
        for (name, found), colour in zip(sets.items(), (BLUE, RED), strict=True):
            assert found.vacancy is not None
            inverse = np.array([0.0, *(1.0 / c.sites for c in reversed(found.vacancy.cells))])
            for kind, mark in (("zero_pressure", {}), ("fixed_volume", {"markerfacecolor": "none"})):
                values = [getattr(c, kind) - found.vacancy.energy for c in reversed(found.vacancy.cells)]
                label = f"{name}, {kind.replace('_', ' ')}"
                first.plot(
                    inverse[1:],
                    1e3 * np.array(values),
                    "o-",
                    color=colour,
                    markersize=5,
                    linewidth=1.0,
                    label=label,
                    **mark,
                )
            surface = found.surfaces[-1]
            assert surface.relaxed is not None
            works = 0.5 * surface.relaxed.work / MILLI - surface.relaxed.energy / MILLI
            second.plot(surface.planes, works, "o-", color=colour, markersize=5, linewidth=1.0, label=name)
            line = lines[name]
            fine = np.linspace(0.0, line.shift[-1], 300)
            third.plot(fine / line.shift[-1], line.energy_at(fine) / MILLI, color=colour, label=name)
            third.plot(line.shift / line.shift[-1], line.energy / MILLI, "o", color=colour, markersize=3)
        first.set(title="Vacancy", xlabel="1/N", ylabel="energy above the limit (meV)", xlim=(0.0, None))
        second.set(title="(110) slabs, each by itself", xlabel="planes", ylabel="above the fit (mJ/m²)")
        third.set(title="(111) along [11-2]", xlabel="shift over the period", ylabel="energy (mJ/m²)", xlim=(0.0, 1.0))
        for axes in (first, second, third):
            axes.legend(loc="best", fontsize=8)
        figure.savefig(path, dpi=120)


def main() -> int:
    """Measure and report."""
    copper = load_potential("eam-cu")
    cu = measure_properties(copper, resolved(PropertyRequest(symbols=("Cu",), structure="fcc")))
    al = measure_properties(
        load_potential(VOTER_CHEN),
        resolved(PropertyRequest(symbols=("Al",), structure="fcc")),
        label="Al, Voter and Chen",
    )
    assert cu.crystal is not None
    assert cu.vacancy is not None
    assert cu.state is not None
    figures: dict[str, float] = {**against("cu", cu, COPPER), **against("al", al, ALUMINIUM)}
    figures["si_glide_rigid_error_percent"] = 100.0 * abs(unstable(glide(relax=False)) / 4780.0 - 1.0)
    figures["si_glide_relaxed_error_percent"] = 100.0 * abs(unstable(glide(relax=True)) / 3080.0 - 1.0)
    cell = cu.vacancy.cells[1]
    ours = ase_vacancy("eam-cu", cu.crystal.a, -cu.crystal.energy_per_atom, 3)
    figures["cu_vacancy_against_ase_mev"] = 1e3 * abs(cell.zero_pressure - ours)
    figures["cu_vacancy_calls"] = cell.calls
    slab = ase_surface("eam-cu", cu.crystal.a, cu.crystal.energy_per_atom, 12)
    figures["cu_surface_against_ase_mj_per_m2"] = abs(told(cu, "surface(111)") - slab)
    place = cu.lines[0].unstable
    assert place is not None
    # ASE's slab slips over its stable fault one way or the other.
    faults = [ase_fault("eam-cu", cu.crystal.a, way * place.shift, 16) for way in (1.0, -1.0)]
    figures["cu_unstable_fault_against_ase_mj_per_m2"] = abs(told(cu, "unstable_fault(111)") - min(faults))
    figures["cu_unstable_fault_against_published_percent"] = 100.0 * abs(
        told(cu, "unstable_fault(111)") / UNSTABLE - 1.0
    )
    figures["cu_vacancy_two_limits_mev"] = 1e3 * abs(cu.vacancy.energy - cu.vacancy.energy_fixed_volume)
    short = gamma_line(copper, cu.crystal, plane=(1, 1, 1), direction=(1, 1, -2), points=13)
    figures["cu_fault_coarse_line_error_percent"] = 100.0 * abs(unstable(short) / told(cu, "unstable_fault(111)") - 1.0)
    figures["cu_bulk_modulus_two_ways_percent"] = 100.0 * abs(cu.state.bulk_modulus / bulk_modulus(cu.crystal) - 1.0)
    bounds: dict[str, tuple[str, float]] = {}
    for name in figures:
        if name.endswith("error_percent") and name not in UNMET:
            bounds[name] = ("<=", 0.1 if name.startswith("cu") else 1.0)
    bounds |= {
        "cu_vacancy_against_ase_mev": ("<=", 0.1),
        "cu_surface_against_ase_mj_per_m2": ("<=", 0.1),
        "cu_unstable_fault_against_ase_mj_per_m2": ("<=", 0.1),
        "cu_vacancy_two_limits_mev": ("<=", 1.0),
        "cu_bulk_modulus_two_ways_percent": ("<=", 2.0),
    }
    if "--short" not in sys.argv:
        request = PropertyRequest(
            symbols=("Al",), structure="fcc", parts=("surfaces",), planes=((1, 1, 1),), relax=False
        )
        found = measure_properties(load_potential("sevennet-0"), request)
        figures["sevennet_surface_against_work_percent"] = 100.0 * abs(
            2e-3 * told(found, "surface_unrelaxed(111)") / WORK - 1.0
        )
        bounds["sevennet_surface_against_work_percent"] = ("<=", 0.2)
    if "--picture" in sys.argv:
        path = Path(sys.argv[sys.argv.index("--picture") + 1])
        draw(
            path,
            {"Cu, Mishin": cu, "Al, Voter and Chen": al},
            {"Cu, Mishin": cu.lines[0], "Al, Voter and Chen": al.lines[0]},
        )
    return report("properties", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
