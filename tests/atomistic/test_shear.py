"""γ-surfaces and combined separation against symmetry, independent slabs, published faults and differences of energy."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.units import J, m

from atomistic.builders import build_stack
from atomistic.decohesion import rigid_separation
from atomistic.errors import InvalidCurveError
from atomistic.orientation import orient
from atomistic.plane_symmetry import shift_symmetry
from atomistic.shear import gamma_surface, separated_and_sheared, shear_opening
from tests.mpi import run_mpi

MILLI = 1e-3 * J / m**2  # mJ/m² in eV/Å²


def test_copper_stacking_fault_is_the_published_one(crystals):
    # Mishin et al. 2001, Phys. Rev. B 63, 224106: 44.4 mJ/m².
    potential, crystal = crystals("Cu")
    surface = gamma_surface(potential, crystal, plane=(1, 1, 1), relax="normal")
    assert surface.intrinsic.energy / MILLI == pytest.approx(44.4, abs=0.1)
    # a/6 [112]: a partial of length a/√6 along the growth direction.
    assert np.linalg.norm(surface.intrinsic.shift) == pytest.approx(crystal.a / np.sqrt(6), rel=1e-6)
    # Relaxation lowers the energy everywhere and opens the plane where atoms ride over atoms.
    rigid = gamma_surface(potential, crystal, plane=(1, 1, 1))
    assert (surface.energy <= rigid.energy + 1e-7).all()
    assert surface.opening.max() > 0.3
    assert surface.intrinsic.energy < surface.unstable.energy < rigid.unstable.energy


@pytest.mark.parametrize("name", ["Cu", "Al"])
def test_rigid_fault_is_that_of_a_slab_built_otherwise(crystals, name):
    potential, crystal = crystals(name)
    surface = gamma_surface(potential, crystal, plane=(1, 1, 1), grid=6)
    slab = fcc111(name, (1, 1, 12), a=crystal.a, vacuum=8.0, periodic=True)
    shifted = slab.copy()
    upper = slab.positions[:, 2] > slab.positions[:, 2].mean()
    # In ABC stacking the upper half goes from hollow to hollow: a third of the cell's long diagonal, one way or the other.
    step = (slab.cell.array[0] + slab.cell.array[1])[:2] / 3.0
    energies = []
    for way in (step, -step):
        shifted.positions[:, :2] = slab.positions[:, :2] + np.where(upper[:, None], way, 0.0)
        energies.append(potential.evaluate(shifted).energy - potential.evaluate(slab).energy)
    area = np.linalg.norm(np.cross(*slab.cell.array[:2]))
    assert surface.intrinsic.energy == pytest.approx(min(energies) / area, abs=1e-9)
    # The other way atoms stand on atoms.
    assert surface.energy.max() == pytest.approx(max(energies) / area, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "plane", "order"),
    [("Cu", (1, 1, 1), 6), ("Cu", (1, 0, 0), 8), ("Cu", (1, 1, 0), 4), ("W", (1, 1, 0), 4), ("Si", (1, 1, 1), 6),
     ("NiAl", (1, 1, 0), 4), ("SiC", (1, 1, 1), 6), ("Mg", (0, 0, 0, 1), 6)],
    ids=str,
)  # fmt: skip
def test_symmetry_of_the_shifts(crystals, name, plane, order):
    """The operations are those that the energies themselves show, and there are as many as the plane's group holds."""
    potential, crystal = crystals(name)
    stack = build_stack(crystal, plane=plane, n_planes=6)
    operations = shift_symmetry(crystal, stack)
    assert len(operations) == order
    shift = np.array([0.31, 0.17])
    here, pull = separated_and_sheared(potential, stack, [*shift, 0.4])
    for operation in operations:
        there, turned = separated_and_sheared(potential, stack, [*(operation @ shift), 0.4])
        assert there == pytest.approx(here, abs=1e-9)
        np.testing.assert_allclose(turned[:2], operation @ pull[:2], atol=1e-8)
        assert turned[2] == pytest.approx(pull[2], abs=1e-8)


def test_what_symmetry_fills_in_is_what_atoms_give(crystals):
    potential, crystal = crystals("Cu")
    before = potential.counter.calls
    table = shear_opening(
        potential, crystal, plane=(1, 1, 1), growth=(1, 1, -2), openings=[0.0, 0.5, 1.0, 2.0], grid=6, n_planes=6
    )
    assert potential.counter.calls - before == table.evaluated == 4 * 10 + 1 < 4 * 36
    stack = build_stack(crystal, plane=(1, 1, 1), n_planes=6)
    to_stack = stack.rotation @ orient(crystal, plane=(1, 1, 1), growth=(1, 1, -2)).rotation.T
    closed = separated_and_sheared(potential, stack, np.zeros(3))[0]
    for i, j in ((1, 4), (5, 2), (3, 3), (4, 0)):
        x, z = table.shifts[i, j]
        energy, traction = separated_and_sheared(potential, stack, to_stack @ np.array([x, 0.5, z]))
        assert table.energy[1, i, j] == pytest.approx(energy - closed, abs=1e-10)
        np.testing.assert_allclose(table.traction[1, i, j], (to_stack.T @ traction)[[1, 0, 2]], atol=1e-9)


@pytest.mark.parametrize(("name", "plane"), [("Al", (1, 1, 1)), ("Mg", (1, 0, -1, 1)), ("NiAl", (1, 1, 0))], ids=str)
def test_traction_is_the_gradient_of_the_energy(crystals, name, plane):
    potential, crystal = crystals(name)
    stack = build_stack(crystal, plane=plane, n_planes=6)
    place, step = np.array([0.4, -0.3, 0.6]), 1e-4
    _, traction = separated_and_sheared(potential, stack, place)
    for axis, e in enumerate(np.eye(3)):
        up, down = (separated_and_sheared(potential, stack, place + s * step * e)[0] for s in (1, -1))
        assert traction[axis] == pytest.approx((up - down) / (2 * step), abs=2e-7)


def test_plain_opening_is_rigid_separation(crystals):
    potential, crystal = crystals("Al")
    openings = [0.0, 0.3, 0.8, 1.5]
    table = shear_opening(potential, crystal, plane=(1, 1, 1), openings=openings, grid=4)
    curve = rigid_separation(potential, crystal, plane=(1, 1, 1), openings=openings)
    np.testing.assert_allclose(table.energy[:, 0, 0], curve.energy, atol=1e-12)
    np.testing.assert_allclose(table.traction[:, 0, 0, 0], curve.traction, atol=1e-10)
    assert table.work_of_separation == pytest.approx(curve.work_of_separation, abs=1e-12)


def test_axes_are_the_laboratorys(crystals):
    """Turning growth by 180° about the normal turns the table: the easy way to slip then points backwards."""
    potential, crystal = crystals("Cu")
    one = gamma_surface(potential, crystal, plane=(1, 1, 1), growth=(1, 1, -2), grid=6)
    other = gamma_surface(potential, crystal, plane=(1, 1, 1), growth=(-1, -1, 2), grid=6)
    assert one.intrinsic.shift[0] > 1.4
    assert abs(other.intrinsic.shift[0]) == pytest.approx(0.5 * one.intrinsic.shift[0], rel=1e-6)
    assert other.intrinsic.energy == pytest.approx(one.intrinsic.energy, abs=1e-10)


def test_ranks_share_the_shifts():
    script = """
        import numpy as np
        from mpi4py import MPI
        from atomistic.crystal import relax_crystal
        from atomistic.potentials import load_potential
        from atomistic.shear import gamma_surface

        comm = MPI.COMM_WORLD
        potential = load_potential("eam-cu")
        crystal = relax_crystal(potential, symbols="Cu", structure="fcc", comm=comm)
        before = potential.counter.calls
        together = gamma_surface(potential, crystal, plane=(1, 1, 1), grid=6, comm=comm)
        mine = potential.counter.calls - before
        alone = gamma_surface(potential, crystal, plane=(1, 1, 1), grid=6)
        assert mine <= 0.7 * (potential.counter.calls - before - mine)
        assert np.abs(together.energy - alone.energy).max() < 1e-13
        assert together.intrinsic.energy == alone.intrinsic.energy
    """
    run_mpi(2, script, timeout=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"openings": [0.0, 1.0, 2.0]}, "at least four"),
        ({"openings": [0.1, 1.0, 2.0, 3.0]}, "hold 0"),
        ({"grid": 3}, "at least 4"),
        ({"grid": (6, 2)}, "at least 4"),
    ],
)
def test_mistakes_are_named(crystals, options, message):
    potential, crystal = crystals("Al")
    with pytest.raises(InvalidCurveError, match=message):
        shear_opening(potential, crystal, plane=(1, 1, 1), **options)


def test_unknown_relaxation_is_named(crystals):
    potential, crystal = crystals("Al")
    with pytest.raises(InvalidCurveError, match="relax = 'all'"):
        gamma_surface(potential, crystal, plane=(1, 1, 1), relax="all")


def test_positions_do_not_matter_only_the_crystal_does(crystals):
    """A stack whose atoms were moved by a common vector has the same tractions: forces and stress balance."""
    potential, crystal = crystals("Cu")
    stack = build_stack(crystal, plane=(1, 1, 1), n_planes=6)
    moved = Atoms(stack.atoms, positions=stack.atoms.positions + np.array([0.3, 0.2, 0.7]))
    other = type(stack)(**{**stack.__dict__, "atoms": moved})
    place = [0.4, 0.3, 0.5]
    np.testing.assert_allclose(
        separated_and_sheared(potential, other, place)[1], separated_and_sheared(potential, stack, place)[1], atol=1e-9
    )
