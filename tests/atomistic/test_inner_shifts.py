"""Inner shifts of motifs under strain: Kleinman's parameter, forces that vanish, and the optical vibration."""

import numpy as np
import pytest
from ase import Atoms

from atomistic.columns import crack_columns
from atomistic.elasticity import force_constants
from atomistic.errors import LatticeError
from atomistic.inner_shifts import inner_shifts
from atomistic.orientation import orient


def shifts_of(crystals, name, plane, growth, periods=1):
    """Inner shifts of a crystal with what they were measured from."""
    potential, crystal = crystals(name)
    orientation = orient(crystal, plane=plane, growth=growth)
    columns = crack_columns(crystal, orientation, periods=periods)
    return potential, columns, inner_shifts(potential, crystal, orientation, columns)


def harmonic_silicon(a):
    """Bond stiffness k (eV/Å²), angle stiffness κ (eV) and bond length of the Stillinger–Weber crystal (1985), analytically.

    Only first neighbours interact in it, and all angle terms κ/2 (cos θ + 1/3)² vanish at rest.
    """
    sigma, epsilon, big_a, big_b, reach, lam, gamma = 2.0951, 2.1683, 7.049556277, 0.6022245584, 1.8, 21.0, 1.2
    r = a * np.sqrt(3.0) / 4.0 / sigma
    u, u1, u2 = big_b * r**-4 - 1.0, -4.0 * big_b * r**-5, 20.0 * big_b * r**-6
    d1, d2 = -1.0 / (r - reach) ** 2, 2.0 / (r - reach) ** 3
    k = epsilon / sigma**2 * big_a * np.exp(1.0 / (r - reach)) * (u2 + 2.0 * u1 * d1 + u * (d1**2 + d2))
    return k, 2.0 * lam * epsilon * np.exp(2.0 * gamma / (r - reach)), r * sigma


def test_kleinmans_parameter_of_silicon(crystals):
    # In the cube's axes a shear γ_xy moves the sublattices apart by −ζ a γ/4 along z (Kleinman 1962), and nothing else does.
    # With a bond of length r stretched by n_z (aγ/4)(1 − ζ) and the cosines of two angles changed by ±(4/9)(1 + 2ζ)γ, the
    # energy is least at ζ = (9 k r² − 32 κ)/(9 k r² + 64 κ), 0.629 here.
    _, crystal = crystals("Si")
    _, columns, found = shifts_of(crystals, "Si", (0, 1, 0), (1, 0, 0))
    relative = found.linear[1] - found.linear[0]
    k, kappa, r = harmonic_silicon(crystal.a)
    zeta = (9.0 * k * r**2 - 32.0 * kappa) / (9.0 * k * r**2 + 64.0 * kappa)
    assert zeta == pytest.approx(0.63, abs=0.002)  # as it is quoted for this potential
    expected = np.zeros((3, 6))
    expected[[0, 1, 2], [3, 4, 5]] = -0.25 * zeta * crystal.a
    # Second order of the strain of the differences, 2e-3, on 0.85 Å.
    np.testing.assert_allclose(relative, expected, atol=2e-5)
    np.testing.assert_allclose(found.linear.sum(axis=0), 0.0, atol=1e-12)
    assert columns.atoms_per_site == 2


def test_stiffness_of_silicon(crystals):
    # Sublattices at ±p stretch bonds by 2 p n_z and change cosines by 16 p/(3√3 r): S = 8 (2k/3 + 128 κ/(27 r²)), isotropic.
    _, crystal = crystals("Si")
    _, _, found = shifts_of(crystals, "Si", (1, 1, 1), None)
    k, kappa, r = harmonic_silicon(crystal.a)
    expected = 8.0 * (2.0 * k / 3.0 + 128.0 * kappa / (27.0 * r**2))
    # Differences by ±0.01 Å: relative errors of second order in 0.01 Å over the range of bonds.
    np.testing.assert_allclose(found.stiffness, expected * np.eye(3), atol=1e-3 * expected)
    # The same number as the optical vibration at Γ, S = 2 m ω²; 17.8 THz for this potential.
    omega = np.sqrt(found.stiffness[0, 0] * 16.0217663 / (2.0 * 28.0855 * 1.66053907e-27))
    assert omega / (2.0 * np.pi) == pytest.approx(17.8e12, rel=0.01)


@pytest.mark.parametrize(
    ("name", "plane", "growth", "periods"),
    [("Si", (1, 1, 1), None, 1), ("Si", (1, 1, 0), (0, 0, 1), 2), ("SiC", (1, 1, 2), (1, 1, -1), 1), ("Mg", (1, 0, 0), None, 1)],
)  # fmt: skip
def test_strained_columns_are_at_rest(crystals, name, plane, growth, periods):
    # Atoms at site + o + p of a random displacement gradient by x and y: forces are of second order in it, without p of first.
    potential, columns, found = shifts_of(crystals, name, plane, growth, periods)
    gradient = 2e-4 * np.random.default_rng(3).uniform(-1.0, 1.0, (1, 3, 2))
    full = np.eye(3) + np.hstack([gradient[0], np.zeros((3, 1))])
    site = columns.lattice.positions([[0, 0]])
    cell = columns.lattice.vectors @ full.T

    def force(inner):
        positions = (site @ full.T)[:, None] + columns.offsets + inner
        atoms = Atoms(columns.symbols, positions=positions[0], cell=cell, pbc=True)
        return np.abs(potential.evaluate(atoms).forces).max()

    held = force(np.zeros_like(columns.offsets))
    rigid = force(found.inner_displacements(gradient) - found.positions_shift(strain_of(full)))
    relaxed = force(found.inner_displacements(gradient))
    # 2% of the forces of the affine cell: second order of 2e-4, and differences of ±2e-3 on splines (eam-mg).
    assert relaxed < 0.02 * rigid
    assert relaxed < 0.02 * held


def strain_of(full):
    """Voigt strain (1, 6) of a deformation gradient."""
    e = full + full.T - 2.0 * np.eye(3)
    return np.array([[0.5 * e[0, 0], 0.5 * e[1, 1], 0.5 * e[2, 2], e[1, 2], e[0, 2], e[0, 1]]])


def test_shifts_follow_from_force_constants(crystals):
    # The same response by linear algebra, s = K⁺ Λ: two ways that share only the potential.
    potential, columns, found = shifts_of(crystals, "SiC", (1, 1, 0), (1, -1, 0))
    motif = Atoms(columns.symbols, positions=columns.positions([[0, 0]])[0], cell=columns.lattice.vectors, pbc=True)
    constants = force_constants(potential, motif)
    step = 1e-4
    slopes = np.zeros((6, 6))
    for k, (p, q) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        for sign in (1.0, -1.0):
            change = np.eye(3)
            change[p, q] += 0.5 * sign * step
            change[q, p] += 0.5 * sign * step
            strained = motif.copy()
            strained.set_cell(motif.cell.array @ change, scale_atoms=True)
            slopes[:, k] += sign * potential.evaluate(strained).forces.ravel() / (2.0 * step)
    expected = (np.linalg.pinv(constants, rcond=1e-6) @ slopes).reshape(2, 3, 6)
    # Carbon and silicon: force constants by ±0.01 Å, hence 1e-3 of the largest.
    np.testing.assert_allclose(found.linear, expected - expected.mean(axis=0), atol=1e-3 * np.abs(expected).max())


def test_lattices_of_single_atoms_do_not_shift(crystals):
    _, _, single = shifts_of(crystals, "Al", (1, 1, 1), None)
    assert single.linear.shape == (1, 3, 6)
    assert single.stiffness.shape == (0, 0)
    assert not np.any(single.linear)
    _, _, double = shifts_of(crystals, "Al", (1, 1, 1), None, periods=2)
    assert not np.any(double.linear)
    # Two atoms of a column against each other: positive, as every vibration of the crystal.
    assert np.linalg.eigvalsh(double.stiffness).min() > 0.0
    # Inversion through every atom of CsCl forbids shifts.
    _, _, centred = shifts_of(crystals, "NiAl", (1, 1, 0), None)
    assert not np.any(centred.linear)


def test_periods_shift_alike(crystals):
    _, columns, found = shifts_of(crystals, "Si", (1, 1, 1), None, periods=2)
    assert columns.atoms_per_site == 4
    np.testing.assert_array_equal(found.linear[:2], found.linear[2:])
    assert found.stiffness.shape == (9, 9)
    p = found.inner_displacements([[[0.01, 0.0], [0.0, 0.02], [0.003, 0.0]]])
    np.testing.assert_allclose(p[0, :2], p[0, 2:], atol=1e-15)


def test_bad_shapes_are_refused(crystals):
    _, _, found = shifts_of(crystals, "Al", (1, 1, 1), None)
    with pytest.raises(LatticeError, match=r"\(n, 6\)"):
        found.positions_shift([0.0] * 6)
    with pytest.raises(LatticeError, match=r"\(n, 3, 2\)"):
        found.inner_displacements(np.zeros((1, 3, 3)))
