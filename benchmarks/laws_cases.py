"""One of each traction–separation law, of the same fracture energy and strength where it has them."""

from __future__ import annotations

import numpy as np

from continuum.laws import (
    AlfanoSaccoLaw,
    BilinearLaw,
    CohesiveLaw,
    DugdaleMaugisLaw,
    ExponentialLaw,
    GammaSurfaceLaw,
    LennardJonesLaw,
    MixedBilinearLaw,
    ParkPaulinoRoeslerLaw,
    TabulatedLaw,
    TrapezoidalLaw,
    UberLaw,
    VanDenBoschLaw,
    XuNeedlemanLaw,
)

WORK, PEAK = 0.0743, 0.0624  # eV/Å² and eV/Å³: 1.19 J/m² and 10 GPa
BOTH = {
    "fracture_energy": WORK,
    "shear_fracture_energy": 2.0 * WORK,
    "peak_traction": PEAK,
    "shear_peak": 1.3 * PEAK,
}
_EQUAL = BOTH | {"shear_fracture_energy": WORK}
_SHEAR = {"unstable_energies": (0.3 * WORK, 0.2 * WORK), "periods": (2.8, 4.9)}


def table() -> TabulatedLaw:
    """Fifty points of the universal binding-energy relation."""
    law = UberLaw(work=WORK, length=WORK / (np.e * PEAK))
    nodes = np.concatenate([[0.0], np.geomspace(0.02, 8.0, 50)])
    psi, force, slope = law.curve(nodes)
    force[-1] = slope[-1] = 0.0
    return TabulatedLaw(opening=nodes, potential=psi, traction=force, stiffness=slope)


def laws() -> dict[str, CohesiveLaw]:
    """All of them by a short name."""
    bilinear = {"fracture_energy": WORK, "peak_traction": PEAK, "initial_stiffness": 1.0}
    return {
        "bilinear": BilinearLaw(**bilinear),
        "trapezoidal": TrapezoidalLaw(**bilinear, plateau=0.6),
        "exponential": ExponentialLaw(fracture_energy=WORK, peak_traction=PEAK),
        "uber_reversible": UberLaw(work=WORK, length=0.5, unloading="reversible"),
        "tabulated": table(),
        "mixed_bilinear_bk": MixedBilinearLaw(**BOTH, initial_stiffness=1.0, exponent=1.45),
        "mixed_bilinear_power": MixedBilinearLaw(**BOTH, initial_stiffness=1.0, criterion="power", exponent=1.0),
        "xu_needleman": XuNeedlemanLaw(fracture_energy=WORK, peak_traction=PEAK, q=0.5),
        "xu_needleman_reversible": XuNeedlemanLaw(
            fracture_energy=WORK, peak_traction=PEAK, q=0.5, r=0.3, unloading="reversible"
        ),
        "van_den_bosch": VanDenBoschLaw(**BOTH),
        "park_paulino_roesler": ParkPaulinoRoeslerLaw(**BOTH, shape=5.0, shear_shape=2.5, shear_slope=0.2),
        "park_paulino_roesler_reversible": ParkPaulinoRoeslerLaw(**_EQUAL, unloading="reversible"),
        "dugdale_maugis": DugdaleMaugisLaw(work=WORK, peak_traction=PEAK),
        "lennard_jones": LennardJonesLaw(work=WORK, distance=2.5),
        "gamma_surface": GammaSurfaceLaw(work=WORK, length=WORK / (np.e * PEAK), **_SHEAR, dilation=0.1),
        "alfano_sacco": AlfanoSaccoLaw(**BOTH, initial_stiffness=1.0, friction=0.4),
    }
