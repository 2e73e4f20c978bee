"""A sphere and a cylinder on a half space with Dugdale's law against Maugis (1992), 2D JKR, and Baney and Hui (1997).

python benchmarks/contact.py [--picture FILE]
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _report import report
from mpi4py import MPI

from continuum.adhesive_contact import CylinderContact, SphereContact
from continuum.contact_bodies import Contact, build_contact, dugdale_law, plan_contact
from continuum.contact_path import ContactPath, ContactRun
from continuum.laws import CohesiveLaw, LennardJonesLaw
from continuum.materials import LinearElastic
from multiscale import ContactCase, Progress
from multiscale.studies.contact_system import describe_contact

# Any units: a shallow contact, a/R of some 6%.
RADIUS, MODULUS, POISSON, WORK = 1000.0, 1.0, 0.3, 0.05
SPHERES = (0.1, 0.3, 0.7, 1.5, 3.0)
CYLINDERS = (0.2, 0.5, 1.0, 3.0)
#: Spheres on Al(111), half space and law of one potential, nm.
ATOMS = (5, 20, 100)
#: The smallest λ of a cylinder at which 2D JKR holds to a tenth of a percent.
JKR_FROM = 3.0


def contact(kind: type[SphereContact] | type[CylinderContact], parameter: float) -> Contact:
    """A contact of the Maugis parameter λ."""
    strength = 0.5 * parameter * (np.pi * WORK * (4.0 * MODULUS / 3.0) ** 2 / RADIUS) ** (1 / 3)
    return kind(radius=RADIUS, modulus=MODULUS, work=WORK, strength=strength)


def follow(what: Contact, *, law: CohesiveLaw | None = None, size: float = 20.0, steps: int = 30) -> ContactPath:
    """In to 1.6 times the contact radius of JKR at pull-off, and back; a cylinder jumps to 2.5 times it by itself."""
    reach = 1.6 if isinstance(what, SphereContact) else 2.6
    law = law or dugdale_law(what)
    plan = plan_contact(what, largest=reach * what.jkr_radius, tail=law.final_opening, size=size)
    half_space = LinearElastic.isotropic(E=MODULUS * (1.0 - POISSON**2), nu=POISSON)
    return ContactRun(what, build_contact(what, law, half_space, plan), plan, steps=steps).follow()


def follow_atoms(radius: int) -> tuple[Contact, ContactPath]:
    """A sphere on Al(111) with the law of its own atoms (EAM), somewhat beyond the contact radius of JKR at pull-off."""
    case = ContactCase(
        potential="eam-al",
        crystal={"element": "Al", "structure": "fcc"},
        interface={"plane": [1, 1, 1]},
        indenter={"shape": "sphere", "radius": f"{radius} nm"},
        law={"type": "atoms"},
    )
    system = describe_contact(case, comm=MPI.COMM_SELF, progress=Progress.silent())
    plan = plan_contact(system.contact, largest=1.3 * system.contact.jkr_radius, tail=system.law.final_opening)
    solid = build_contact(system.contact, system.law, system.material, plan)
    return system.contact, ContactRun(system.contact, solid, plan, steps=30).follow()


def radius_error(path: ContactPath, what: Contact) -> float:
    """Largest relative difference of contact radii at equal loads, of all states above 95% of the pull-off force."""
    radius = np.geomspace(max(what.pull_off_radius, 0.02 * what.jkr_radius), 3.0 * what.jkr_radius, 600)
    exact = what.dugdale(radius).load
    found = [s for s in path.states if s.radius > radius[0] and s.load > -0.95 * what.pull_off]
    # In the DMT limit a vanishing contact carries the pull-off force: radii are held against that of JKR at least.
    return max(abs(s.radius - np.interp(s.load, exact, radius)) / max(s.radius, what.jkr_radius) for s in found)


def load_error(path: ContactPath, what: SphereContact) -> float:
    """Largest difference of loads at equal approaches over the pull-off force, on the branch beyond pull-off."""
    radius = np.geomspace(max(what.pull_off_radius, 1e-3 * what.jkr_radius), 2.0 * what.jkr_radius, 400)
    exact = what.dugdale(radius)
    found = [s for s in path.states if s.approach > exact.approach[0] and s.radius > 0.0]
    return max(abs(s.load - np.interp(s.approach, exact.approach, exact.load)) for s in found) / what.pull_off


def main() -> int:
    """Follow all contacts and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path)
    picture = parser.parse_args().picture
    begun, paths = time.perf_counter(), {}
    figures: dict[str, float | int | str] = {}
    bounds: dict[str, tuple[str, float]] = {}

    def note(name: str, value: float, bound: float | None = None) -> None:
        figures[name] = value
        if bound is not None:
            bounds[name] = ("<=", bound)

    for parameter in SPHERES:
        what = contact(SphereContact, parameter)
        path = paths["sphere", parameter] = follow(what)
        note(f"sphere_{parameter}_pull_off_over_pi_w_R", -path.pull_off.load / (np.pi * WORK * RADIUS))
        note(f"sphere_{parameter}_pull_off_error_percent", 100 * abs(-path.pull_off.load / what.pull_off - 1), 2.0)
        note(f"sphere_{parameter}_radius_error_percent", 100 * radius_error(path, what), 2.0)
        note(f"sphere_{parameter}_load_at_equal_approach_error_percent", 100 * load_error(path, what), 2.0)
    for parameter in CYLINDERS:
        what = contact(CylinderContact, parameter)
        path = paths["cylinder", parameter] = follow(what)
        note(f"cylinder_{parameter}_pull_off_error_percent", 100 * abs(-path.pull_off.load / what.pull_off - 1), 2.0)
        note(f"cylinder_{parameter}_radius_error_percent", 100 * radius_error(path, what), 2.0)
        if parameter >= JKR_FROM:
            note(f"cylinder_{parameter}_jkr_error_percent", 100 * abs(-path.pull_off.load / what.jkr_pull_off - 1), 2.0)
    what = contact(SphereContact, 1.5)
    for size in (10.0, 40.0):
        share = -follow(what, size=size).pull_off.load / -paths["sphere", 1.5].pull_off.load
        note(f"size_{size:.0f}_against_20_percent", 100 * abs(share - 1.0), 0.5)
    # z₀ of the law with exponents 3 and 9 whose largest stress is σ₀: 16w/(9√3 σ₀).
    pairs = follow(what, law=LennardJonesLaw(work=WORK, distance=16.0 / (9.0 * np.sqrt(3.0)) * what.range))
    paths["Lennard-Jones", 1.5] = pairs
    note("lennard_jones_1.5_against_maugis_percent", 100 * (-pairs.pull_off.load / what.pull_off - 1.0))
    atoms = {radius: follow_atoms(radius) for radius in ATOMS}
    for radius, (what, path) in atoms.items():
        note(f"al111_{radius}_nm_lambda", what.maugis_lambda)
        note(f"al111_{radius}_nm_pull_off_over_pi_w_R", -path.pull_off.load / (np.pi * what.work * what.radius))
        note(f"al111_{radius}_nm_against_maugis_percent", 100 * (-path.pull_off.load / what.pull_off - 1.0))
    figures["iterations"] = sum(path.iterations for path in paths.values())
    figures["seconds"] = time.perf_counter() - begun
    if picture is not None and MPI.COMM_WORLD.rank == 0:
        draw(picture, paths, list(atoms.values()))
    return report("contact", figures, bounds)


def draw(file: Path, paths: dict[tuple[str, float], ContactPath], atoms: list[tuple[Contact, ContactPath]]) -> None:
    """Pull-off force over λ, and load over contact radius from DMT to JKR, of spheres and cylinders."""
    from multiscale.plots import AMBER, BLUE, GREY, INK, RED, TEAL, house_style, new_figure

    with house_style():
        figure = new_figure(12.6, 4.2)
        left, right, last = figure.subplots(1, 3)
        parameters, unit = np.geomspace(0.03, 10.0, 80), np.pi * WORK * RADIUS
        curve = [contact(SphereContact, p).pull_off / unit for p in parameters]
        left.semilogx(parameters, curve, color=GREY, linewidth=1.4, label="Maugis (1992)")
        for name, level in (("DMT", 2.0), ("JKR", 1.5)):
            left.axhline(level, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
            left.text(0.032 if name == "JKR" else 6.0, level + 0.008, name, color=GREY)
        found = [(p, -path.pull_off.load / unit) for (kind, p), path in paths.items() if kind == "sphere"]
        left.plot(*zip(*found, strict=True), "o", color=RED, label="elements, Dugdale")
        left.plot(1.5, -paths["Lennard-Jones", 1.5].pull_off.load / unit, "D", color=TEAL, label="Lennard-Jones")
        al = [(w.maugis_lambda, -p.pull_off.load / (np.pi * w.work * w.radius)) for w, p in atoms]
        left.plot(*zip(*al, strict=True), "s", color=BLUE, label="Al(111) by its atoms")
        left.set(title="Pull-off force of a sphere", xlabel="Maugis parameter λ", ylabel="pull-off force / πwR")
        left.legend(loc="upper right", bbox_to_anchor=(1.0, 0.92))
        for parameter, colour in zip((0.1, 0.7, 3.0), (BLUE, AMBER, RED), strict=True):
            what = contact(SphereContact, parameter)
            radius = np.linspace(1e-3, 1.65, 200) * what.jkr_radius
            scale = (np.pi * WORK * RADIUS**2 / (4.0 * MODULUS / 3.0)) ** (1 / 3)
            right.plot(radius / scale, what.dugdale(radius).load / unit, color=colour, linewidth=1.2)
            states = [s for s in paths["sphere", parameter].states if s.stage == "retract" and s.radius > 0.0]
            x, y = [s.radius / scale for s in states], [s.load / unit for s in states]
            right.plot(x, y, "o", color=colour, markersize=3.2, label=f"λ = {parameter}")
        right.axhline(0.0, color=INK, linewidth=0.8)
        right.set(title="Load over contact radius, spheres", xlabel=r"$a\,/\,(\pi w R^2/K)^{1/3}$", ylabel="load / πwR")
        right.legend(loc="upper left")
        _draw_cylinders(last, paths)
        figure.savefig(file)


def _draw_cylinders(axes: Any, paths: dict[tuple[str, float], ContactPath]) -> None:
    """Load over half width against Baney and Hui, and 2D JKR."""
    from multiscale.plots import AMBER, BLUE, GREY, INK, RED

    for parameter, colour in zip((0.2, 0.5, 3.0), (BLUE, AMBER, RED), strict=True):
        what = contact(CylinderContact, parameter)
        radius, unit = np.linspace(1e-3, 2.7, 200) * what.jkr_radius, what.jkr_pull_off
        if parameter == JKR_FROM:
            axes.plot(radius / what.jkr_radius, what.jkr(radius).load / unit, "--", color=GREY, label="2D JKR")
        axes.plot(radius / what.jkr_radius, what.dugdale(radius).load / unit, color=colour, linewidth=1.2)
        states = [s for s in paths["cylinder", parameter].states if s.stage == "retract" and s.radius > 0.0]
        x, y = [s.radius / what.jkr_radius for s in states], [s.load / unit for s in states]
        axes.plot(x, y, "o", color=colour, markersize=2.6, label=f"λ = {parameter}")
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set(title="The same of cylinders", xlabel="half width / that of 2D JKR at pull-off")
    axes.set_ylabel("load / pull-off force of 2D JKR")
    axes.legend(loc="upper left")


if __name__ == "__main__":
    sys.exit(main())
