"""Laws for tests, and what many tests do with them."""

from itertools import pairwise

import numpy as np

from continuum.laws import (
    AlfanoSaccoLaw,
    DugdaleMaugisLaw,
    GammaSurfaceLaw,
    LennardJonesLaw,
    MixedBilinearLaw,
    ParkPaulinoRoeslerLaw,
    VanDenBoschLaw,
    XuNeedlemanLaw,
)

WORK, PEAK = 0.0743, 0.0624  # eV/Å² and eV/Å³: 1.19 J/m² and 10 GPa


def turon(criterion="benzeggagh-kenane", exponent=1.45):
    return MixedBilinearLaw(
        fracture_energy=WORK,
        shear_fracture_energy=2 * WORK,
        peak_traction=PEAK,
        shear_peak=1.3 * PEAK,
        initial_stiffness=1.0,
        criterion=criterion,
        exponent=exponent,
        penalty=2.5,
    )


def xu_needleman(q=1.0, r=0.0, unloading="damaging"):
    return XuNeedlemanLaw(
        fracture_energy=WORK, peak_traction=PEAK, shear_peak=0.8 * PEAK, q=q, r=r, unloading=unloading
    )


def van_den_bosch():
    return VanDenBoschLaw(
        fracture_energy=WORK, shear_fracture_energy=2 * WORK, peak_traction=PEAK, shear_peak=1.3 * PEAK
    )


def ppr(first=1.0, second=2.0, unloading="damaging"):
    return ParkPaulinoRoeslerLaw(
        fracture_energy=first * WORK,
        shear_fracture_energy=second * WORK,
        peak_traction=PEAK,
        shear_peak=1.3 * PEAK,
        shape=5.0,
        shear_shape=2.5,
        slope=0.1,
        shear_slope=0.2,
        unloading=unloading,
    )


def dugdale():
    return DugdaleMaugisLaw(work=WORK, peak_traction=PEAK)


def lennard_jones(exponents=(3.0, 9.0)):
    return LennardJonesLaw(work=WORK, distance=2.5, exponents=exponents)


def gamma_surface(dilation=0.1):
    return GammaSurfaceLaw(
        work=WORK, length=0.5, unstable_energies=(0.3 * WORK, 0.2 * WORK), periods=(2.8, 4.9), dilation=dilation
    )


def alfano_sacco(friction=0.4):
    return AlfanoSaccoLaw(
        fracture_energy=WORK,
        shear_fracture_energy=2 * WORK,
        peak_traction=PEAK,
        shear_peak=1.3 * PEAK,
        initial_stiffness=1.0,
        friction=friction,
        penalty=2.0,
    )


def damaging():
    """One of each law that keeps track of damage."""
    return [
        turon(),
        turon("power", 1.0),
        xu_needleman(),
        xu_needleman(q=0.5),
        van_den_bosch(),
        ppr(),
        ppr(2.0, 1.0),
        alfano_sacco(),
        alfano_sacco(friction=0.0),
    ]


def reversible():
    """One of each law that goes back along its curve."""
    return [
        xu_needleman(unloading="reversible"),
        xu_needleman(0.5, 0.3, "reversible"),
        ppr(1.0, 1.0, "reversible"),
        dugdale(),
        lennard_jones(),
        lennard_jones((4.0, 10.0)),
        gamma_surface(),
    ]


def named(law):
    """The class and what tells laws of one class apart."""
    more = [
        f"{name}={getattr(law, name)}" for name in ("q", "criterion", "friction", "exponents") if hasattr(law, name)
    ]
    return "-".join([type(law).__name__, law.unloading, f"{law.fracture_energy / WORK:g}", *more])


def energy_spent(law, direction, end, panels=4000):
    """∫T·dδ of a first opening along a direction (dim,) up to `end` Å, four Gauss points in each graded panel."""
    edges = np.concatenate([[0.0], np.geomspace(1e-7, 1.0, panels)]) * end
    places, weights = np.polynomial.legendre.leggauss(4)
    width = np.diff(edges)[:, None]
    along = (edges[:-1, None] + 0.5 * width * (places + 1.0)).ravel()
    direction = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    traction = law.evaluate(along[:, None] * direction, law.fresh(len(along))).traction
    return float((0.5 * width * weights).ravel() @ (traction @ direction))


def travel(law, path):
    """Walks the path (steps, n, dim) and commits each step: work by the trapezoidal rule (n,), all answers."""
    history = law.fresh(path.shape[1])
    answers = [law.evaluate(path[0], history)]
    work = np.zeros(path.shape[1])
    for before, after in pairwise(path):
        answers.append(law.evaluate(after, answers[-1].history_new))
        mean = 0.5 * (answers[-1].traction + answers[-2].traction)
        work += np.einsum("ij,ij->i", mean, after - before)
    return work, answers


def winding(count, dim, steps, seed=0, size=1.0):
    """Smooth random closed paths (steps + 1, n, dim) that start and end at zero; the normal component changes sign."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0.0, 1.0, steps + 1)[:, None, None]
    waves = sum(
        rng.normal(size=(count, dim)) * np.sin(2.0 * np.pi * k * time)
        + rng.normal(size=(count, dim)) * (1.0 - np.cos(2.0 * np.pi * k * time))
        for k in (1, 2)
    )
    return size * waves
