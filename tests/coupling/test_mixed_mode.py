"""The coupled law: interpolation against atoms, Rice's relation in three components, paths, frames, mode I."""

import functools
import itertools

import numpy as np
import pytest
from mpi4py import MPI

from atomistic.builders import build_stack
from atomistic.crystal import relax_crystal
from atomistic.decohesion import rigid_separation
from atomistic.potentials import load_potential
from atomistic.shear import separated_and_sheared, shear_opening
from continuum.errors import LawError
from continuum.interface import _frames
from continuum.laws import CoupledTableLaw
from continuum.laws.coupled import TANGENTS
from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.solid import Solid
from continuum.solvers import SolverOptions, follow
from continuum.supports import Displacement
from coupling.cohesive import extract_law
from coupling.elasticity import LinearUniaxial
from coupling.errors import CouplingError
from coupling.errors import InvalidCurveError as ShortCurveError
from coupling.mixed_mode import extract_coupled_law, plane_compliance

PLANE = (1, 1, 1)


@functools.cache
def aluminium():
    potential = load_potential("eam-al-zhou")
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    return potential, crystal, shear_opening(potential, crystal, plane=PLANE)


@functools.cache
def extraction(dimension=2, folds="avoid"):
    return extract_coupled_law(aluminium()[2], dimension=dimension, folds=folds)


def random_jumps(count, dim, seed=0):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-0.05, 3.5, count), rng.uniform(-4.0, 4.0, (count, dim - 1))])


def test_table_is_what_atoms_give_between_its_nodes():
    potential, crystal, table = aluminium()
    stack = build_stack(crystal, plane=PLANE, n_planes=10)
    to_stack = stack.rotation @ table.orientation.rotation.T
    law = extraction().bare_law()
    places = random_jumps(60, 3)
    places[:, 0] += 0.3
    closed = separated_and_sheared(potential, stack, np.zeros(3))[0]
    atoms = [separated_and_sheared(potential, stack, to_stack @ p[[1, 0, 2]]) for p in places]
    energy, traction, _ = law.table(places)
    # Twelve shifts and 26 openings: a few 1e-5 of the work, 1e-3 of the peak.
    assert np.abs(energy - [a[0] - closed for a in atoms]).max() < 1e-4 * law.fracture_energy
    assert np.abs(traction - [(to_stack.T @ a[1])[[1, 0, 2]] for a in atoms]).max() < 2e-3 * law.peak_traction


def test_nodes_are_reproduced_with_their_tractions():
    table, law = aluminium()[2], extraction().bare_law()
    level = int(np.argmin(np.abs(table.openings - 0.5)))
    places = np.concatenate([np.full((*table.shifts.shape[:2], 1), table.openings[level]), table.shifts], axis=-1)
    energy, traction, _ = law.table(places.reshape(-1, 3))
    # The law's origin is where its own traction vanishes, some 1e-5 Å beside the table's.
    assert np.abs(energy - table.energy[level].ravel()).max() < 5e-5 * law.fracture_energy
    assert np.abs(traction - table.traction[level].reshape(-1, 3)).max() < 2e-4 * law.peak_traction


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("folds", ["avoid", "accept"])
def test_traction_and_tangent_are_derivatives(dim, folds):
    law = extraction(dim, folds).law()
    jumps = random_jumps(300, dim)
    if folds == "accept":
        jumps[:, 1:] *= 0.05  # where nothing folds
    answer = law.evaluate(jumps, law.fresh(300))
    step = 1e-5
    for k, e in enumerate(step * np.eye(dim)):
        up, down = (law.evaluate(jumps + s * e, answer.history_new) for s in (1, -1))
        slope = (up.stored - down.stored) / (2 * step)
        assert np.abs(slope - answer.traction[:, k]).max() < 1e-5 * law.peak_traction
        bend = (up.traction - down.traction) / (2 * step)
        assert np.abs(bend - answer.tangent[:, :, k]).max() < 1e-4 * law.initial_stiffness
    np.testing.assert_allclose(answer.tangent, np.swapaxes(answer.tangent, 1, 2), atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
def test_rices_relation_in_all_components(dim):
    """From Δ: δ = Δ − S T and ψ = φ − ½ T·S T, whatever the law does to find Δ from δ."""
    found = extraction(dim)
    law, bare, taken = found.law(), found.bare_law(), found.compliance
    rng = np.random.default_rng(2)
    separations = np.column_stack([rng.uniform(0.3, 3.0, 200), rng.uniform(-1.0, 1.0, (200, 2))])
    if dim == 2:
        separations[:, 2] = 0.0
    separations = separations[bare.table(separations)[1][:, 0] > 0.0]
    energy, traction, _ = bare.table(separations)
    traction[:, dim:] = 0.0
    jumps = separations - traction @ taken
    turn = np.zeros((dim, 3))
    turn[0, 0], turn[1:, 1:] = 1.0, TANGENTS[dim]
    answer = law.evaluate(jumps @ turn.T, law.fresh(len(jumps)))
    assert np.abs(answer.traction - traction @ turn.T).max() < 1e-8 * law.peak_traction
    wanted = energy - 0.5 * np.einsum("ni,ij,nj->n", traction, taken, traction)
    assert np.abs(answer.stored - wanted).max() < 1e-9 * law.fracture_energy


def test_work_of_separation_does_not_depend_on_the_path():
    law, table = extraction().law(), aluminium()[2]
    far = law.final_opening + 0.1

    def work(corners, pieces=400):
        total = 0.0
        x, w = np.polynomial.legendre.leggauss(4)
        for a, b in itertools.pairwise(corners):
            ends = np.linspace(a, b, pieces + 1)
            places = ends[:-1, None] + (ends[1:] - ends[:-1])[:, None] * (0.5 * (x + 1))[:, None]
            traction = law.evaluate(places.reshape(-1, 2), law.fresh(4 * pieces)).traction
            total += float(np.einsum("pqi,q,pi->", traction.reshape(pieces, 4, 2), 0.5 * w, ends[1:] - ends[:-1]))
        return total

    straight = work([np.zeros(2), np.array([far, 0.0])])
    slid = work([np.zeros(2), np.array([0.1, 0.0]), np.array([0.1, 1.666]), np.array([far, 1.666])])
    slanted = work([np.zeros(2), np.array([1.0, 3.0]), np.array([far, -2.0])])
    assert straight == pytest.approx(table.work_of_separation, rel=1e-6)
    assert (slid, slanted) == pytest.approx((straight, straight), rel=1e-6)
    loop = work([np.zeros(2), np.array([0.4, 1.0]), np.array([1.0, -0.5]), np.zeros(2)])
    assert abs(loop) < 1e-6 * straight


def test_a_slip_by_a_lattice_vector_heals():
    law, table = extraction(3).law(), aluminium()[2]
    jumps = random_jumps(50, 3)
    moved = jumps.copy()
    x, z = table.lattice[0] + 2 * table.lattice[1]
    moved[:, 1:] += TANGENTS[3] @ np.array([x, z])
    here, there = (law.evaluate(j, law.fresh(50)) for j in (jumps, moved))
    np.testing.assert_allclose(there.traction, here.traction, atol=1e-8 * law.peak_traction)


def test_threefold_symmetry_survives():
    law = extraction(3).bare_law()
    places = random_jumps(80, 3)
    cosine, sine = -0.5, np.sqrt(0.75)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    energy, traction, _ = law.table(places)
    turned = law.table(places @ turn.T)
    # Interpolation on the oblique grid keeps the symmetry up to its own error.
    assert np.abs(turned[0] - energy).max() < 2e-4 * law.fracture_energy
    assert np.abs(turned[1] - traction @ turn.T).max() < 4e-3 * law.peak_traction


def test_plain_opening_is_the_scalar_law():
    potential, crystal, _ = aluminium()
    curve, found = rigid_separation(potential, crystal, plane=PLANE), extraction()
    body = LinearUniaxial(1.0 / found.plane_compliance[0, 0] * curve.length)
    scalar = extract_law(curve, body, length=found.share[0] * curve.length).law()
    law = found.law()
    openings = np.linspace(0.0, 4.0, 161)
    # The scalar law fits 24 data by a cubic and ends where the traction is 2e-4 of its peak: parts per thousand.
    assert np.abs(law.traction(openings) - scalar.traction(openings)).max() < 8e-3 * scalar.peak_traction
    assert np.abs(law.potential(openings) - scalar.potential(openings)).max() < 1e-3 * scalar.fracture_energy
    assert law.fracture_energy == pytest.approx(curve.work_of_separation, rel=1e-12)


@pytest.mark.parametrize("direction", ["y", "x"])
def test_bodies_and_law_together_are_as_compliant_as_the_crystal(direction):
    """At a small load N planes of elements and the law give N − 1 planes of the body and one of the atoms' own gap."""
    table, found = aluminium()[2], extraction(2, "accept")
    stiffness = table.orientation.stiffness.copy()
    # Without the coupling of shear and stretch, a sheared body needs no tractions at its sides.
    stiffness[[0, 1, 2, 3, 4], 5] = stiffness[5, [0, 1, 2, 3, 4]] = 0.0
    metal = LinearElastic(stiffness)
    height = 20 * table.length
    mesh = block(MPI.COMM_SELF, size=[10.0, height], divisions=[2, 4], cell="quadrilateral")
    other = "x" if direction == "y" else "y"
    sides = [Displacement(group=g, component=other) for g in ("left", "right")] if direction == "y" else []
    supports = [
        Displacement(group=g, component=c) for g in ("top", "bottom") for c in "xy" if (g, c) != ("top", direction)
    ]
    supports.append(Displacement(group="top", component=direction, factor=1.0))
    if direction == "x":
        sides = [Displacement(group=g, component="y") for g in ("left", "right")]
    solid = Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, metal),
        interfaces=dict.fromkeys(mesh.interfaces, found.law()),
        supports=[*supports, *sides],
    )
    load = 1e-4
    follow(solid, [load], options=SolverOptions(rtol=1e-10))
    traction = solid.interface_state("interface").traction[:, 0 if direction == "y" else 1].mean()
    k = 0 if direction == "y" else 1
    own, gap = found.plane_compliance[k, k], 1.0 / found.crystal_stiffness[k, k]
    left = 1.0 - found.share[k]
    expected = 19 * own + gap + left * own  # what is not taken out counts twice: the stated defect
    assert load / traction == pytest.approx(expected, rel=1e-3)
    assert left <= 0.02


def test_shares_leave_the_law_below_its_cap():
    for dim in (2, 3):
        found = extraction(dim)
        assert found.folded == 0.0
        assert 0.9 < found.share[0] <= 1.0
        assert 0.8 < found.share[1] <= 1.0
    accepted = extraction(2, "accept")
    assert accepted.share[1] > extraction(2).share[1]


def test_tangents_are_those_of_interfaces():
    for dim in (2, 3):
        normal = np.eye(dim)[1]
        frame = _frames(normal)
        in_plane = frame[1:][:, [0, 2]] if dim == 3 else frame[1:, :1]
        np.testing.assert_allclose(in_plane, TANGENTS[dim][:, : dim - 1], atol=1e-15)


def test_nothing_taken_out_is_the_table():
    table = aluminium()[2]
    found = extract_coupled_law(table, length=0.0)
    law = found.law()
    jumps = random_jumps(20, 2)
    np.testing.assert_allclose(
        law.evaluate(jumps, law.fresh(20)).stored, found.bare_law().table(np.pad(jumps, ((0, 0), (0, 1))))[0]
    )


def test_plane_compliance_of_an_isotropic_body():
    metal = LinearElastic.isotropic(E=0.6, nu=0.3)
    shear, modulus = 0.6 / 2.6, metal.uniaxial_modulus
    np.testing.assert_allclose(
        plane_compliance(metal.stiffness, 2.0), np.diag([2 / modulus, 2 / shear, 2 / shear]), atol=1e-14
    )


def test_mistakes_are_named():
    table = aluminium()[2]
    with pytest.raises(CouplingError, match="a cap above 1"):
        extract_coupled_law(table, stiffness_cap=1.0)
    with pytest.raises(CouplingError, match="length"):
        extract_coupled_law(table, length=-1.0)
    short = type(table)(
        **{**table.__dict__, "openings": table.openings[:8], "energy": table.energy[:8], "traction": table.traction[:8]}
    )
    with pytest.raises(ShortCurveError, match="larger openings"):
        extract_coupled_law(short)
    with pytest.raises(LawError, match="this law was made for 2"):
        extraction().law().evaluate(np.zeros((1, 3)), np.zeros((1, 4)))
    found = extraction()
    with pytest.raises(LawError, match="take out less"):
        CoupledTableLaw(
            opening=found.opening,
            potential=found.potential,
            lattice=found.lattice,
            compliance=2 * found.plane_compliance,
        )
    with pytest.raises(LawError, match="even steps"):
        CoupledTableLaw(opening=found.opening**3, potential=found.potential, lattice=found.lattice)
