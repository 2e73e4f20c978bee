"""Dead loads, stress-free strains, initial gaps and axial symmetry, each against a closed form."""

import numpy as np
import pytest
from mpi4py import MPI

from continuum.errors import MaterialError, SupportError
from continuum.laws import AlfanoSaccoLaw, ExponentialLaw
from continuum.materials import Eigenstrain, LinearElastic
from continuum.mesh import block
from continuum.output import gather_fields
from continuum.solid import Solid
from continuum.solvers import follow
from continuum.supports import Displacement, Force

E, NU = 0.6, 0.3
METAL = LinearElastic.isotropic(E=E, nu=NU)
LAW = ExponentialLaw(fracture_energy=0.0743, peak_traction=0.0624, unloading="reversible")


def cylinder(**options):
    """A solid cylinder of radius 10 and height 20, two halves joined at mid-height."""
    mesh = block(MPI.COMM_WORLD, size=[10.0, 20.0], divisions=[6, 3])
    supports = [Displacement(group="bottom", component="y")]
    supports += options.pop("supports", [Displacement(group="top", component="y", factor=1.0)])
    return Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, METAL),
        interfaces={"interface": LAW},
        supports=supports,
        geometry="axisymmetric",
        **options,
    )


def test_a_pulled_cylinder_is_uniaxial_and_carries_the_force_of_the_whole_ring():
    solid = cylinder()
    step = follow(solid, [0.2])[-1]
    opening, traction = solid.jumps()[:, 0], solid.respond().traction[:, 0]
    assert np.ptp(traction) < 1e-10
    # Free to contract: Young's modulus, not C', and the law in series.
    assert E * (0.2 - opening.mean()) / 20.0 == pytest.approx(traction.mean(), rel=1e-9)
    assert step.reaction == pytest.approx(np.pi * 10.0**2 * traction.mean(), rel=1e-9)
    fields = gather_fields(solid)
    assert fields.stress[:, 1] == pytest.approx(traction.mean(), rel=1e-8)
    assert np.abs(fields.stress[:, [0, 2, 3, 4, 5]]).max() < 1e-10
    assert fields.displacement[:, 0] == pytest.approx(-NU * traction.mean() / E * fields.points[:, 0], abs=1e-10)


def test_a_thick_tube_under_pressure_is_lame():
    mesh = block(MPI.COMM_WORLD, size=[10.0, 2.0], divisions=[24, 2], cell="quadrilateral", interface_at=[])
    mesh.mesh.geometry.x[:, 0] += 5.0
    pressure, inner, outer = 0.01, 5.0, 15.0
    solid = Solid(
        mesh,
        materials={"block": METAL},
        interfaces={},
        supports=[Displacement(group=g, component="y") for g in ("bottom", "top")],
        forces=[Force(group="left", component="x", total=pressure * 2 * np.pi * inner * 2.0)],
        geometry="axisymmetric",
    )
    follow(solid, [1.0])
    r = solid.space.tabulate_dof_coordinates()[:, 0]
    ratio = pressure * inner**2 / (outer**2 - inner**2)
    exact = (1 + NU) / E * ratio * ((1 - 2 * NU) * r + outer**2 / r)
    assert solid.u.x.array.reshape(-1, 2)[:, 0] == pytest.approx(exact, rel=1e-5)
    # Work of a dead load is twice the elastic energy.
    energies = solid.energies()
    assert energies.loads == pytest.approx(-2.0 * energies.bulk, rel=1e-9)


@pytest.mark.parametrize("with_load", [False, True])
def test_a_free_block_expands_without_stress_and_a_held_one_is_pressed(with_load):
    grown = Eigenstrain.thermal(2e-3, with_load=with_load)
    mesh = block(MPI.COMM_WORLD, size=[10.0, 20.0], divisions=[3, 2])
    for held in (False, True):
        sides = ("left", "right", "bottom", "top") if held else ("left", "bottom")
        solid = Solid(
            mesh,
            materials=dict.fromkeys(mesh.bodies, METAL),
            interfaces={"interface": LAW},
            supports=[Displacement(group=g, component="xy"[g in ("bottom", "top")]) for g in sides],
            eigenstrains=dict.fromkeys(mesh.bodies, grown),
        )
        steps = follow(solid, [0.5, 1.0])
        stress = gather_fields(solid).stress
        # Plane strain: z is held in both cases.
        expected = [-E * 2e-3 / (1 - 2 * NU)] * 3 if held else [0.0, 0.0, -E * 2e-3]
        jump = solid.jumps()[:, 0].mean()
        relief = METAL.uniaxial_modulus * -jump / 20.0
        # Where it is held, what the interface gives way makes room.
        expected = [expected[0] + NU / (1 - NU) * relief, expected[1] + relief, expected[2] + NU / (1 - NU) * relief]
        assert stress[:, :3] == pytest.approx(np.tile(expected, (len(stress), 1)), abs=1e-9)
        if with_load:
            assert abs(sum(s.closure for s in steps)) < 1e-12
            energies = solid.energies()
            assert energies.total == pytest.approx(sum(s.work for s in steps), rel=1e-3)


def test_two_materials_cooled_together_bend_as_timoshenko_says():
    # Timoshenko (1925): equal thickness and modulus; curvature (3/2)(1 + ν)Δα/h in plane strain, h the whole height.
    length, height, misfit = 400.0, 20.0, 1e-3
    mesh = block(MPI.COMM_WORLD, size=[length, height], divisions=[80, 4], cell="quadrilateral")
    stiff = ExponentialLaw(fracture_energy=1e3, peak_traction=100.0)
    solid = Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, METAL),
        interfaces={"interface": stiff},
        supports=[Displacement(group="left", component="x"), Displacement(group="left", component="y")],
        eigenstrains={"upper": Eigenstrain.thermal(misfit)},
    )
    follow(solid, [1.0])
    curvature = 1.5 * (1 + NU) * misfit / height
    # End effects reach one height from each end.
    assert solid.rotation("right") == pytest.approx(-curvature * length, rel=0.02)


def test_a_gap_is_an_opening_that_is_there_from_the_start():
    mesh = block(MPI.COMM_WORLD, size=[10.0, 20.0], divisions=[3, 2])
    supports = [Displacement(group=g, component="y", factor=f) for g, f in (("lower", 0.0), ("upper", 1.0))]
    supports += [Displacement(group=g, component="x") for g in ("lower", "upper")]
    solid = Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, METAL),
        interfaces={"interface": LAW},
        supports=supports,
        gaps={"interface": lambda x: 0.1 + 0.01 * x[:, 0]},
    )
    follow(solid, [0.3])
    part = solid.interfaces.parts[0]
    gap = 0.4 + 0.01 * part.places[..., 0].ravel()
    assert solid.jumps()[:, 0] == pytest.approx(gap, abs=1e-14)
    assert solid.reaction() == pytest.approx(part.weights.ravel() @ LAW.traction(gap), rel=1e-12)


def test_laws_without_a_potential_are_followed_too():
    law = AlfanoSaccoLaw(
        fracture_energy=0.0743,
        peak_traction=0.02,
        shear_fracture_energy=0.0743,
        shear_peak=0.02,
        initial_stiffness=0.1,
        friction=0.5,
    )
    mesh = block(MPI.COMM_WORLD, size=[10.0, 20.0], divisions=[3, 2])
    supports = [Displacement(group="bottom", component=c) for c in "xy"]
    supports += [
        Displacement(group="top", component="x", factor=1.0),
        Displacement(group="top", component="y", factor=-0.02),
    ]
    solid = Solid(mesh, materials=dict.fromkeys(mesh.bodies, METAL), interfaces={"interface": law}, supports=supports)
    steps = follow(solid, np.linspace(0.25, 15.0, 60).tolist())
    traction = solid.respond().traction
    middle = np.abs(solid.interfaces.parts[0].places[..., 0].ravel() - 5.0) < 2.0
    # Broken and pressed together: Coulomb.
    assert solid.respond().damage.min() > 0.999
    assert np.abs(traction[middle, 1]) == pytest.approx(-0.5 * traction[middle, 0], rel=1e-6)
    assert max(abs(s.closure) for s in steps) < 1e-9
    assert np.diff([s.energies.dissipated for s in steps]).min() >= -1e-12


def test_mistakes_are_named():
    with pytest.raises(MaterialError, match="six finite numbers"):
        Eigenstrain([0.0, 1.0])
    with pytest.raises(SupportError, match="eigenstrains"):
        cylinder(eigenstrains={"middle": Eigenstrain.thermal(1e-3)})
    with pytest.raises(SupportError, match="gap of interface"):
        cylinder(gaps={"interface": lambda x: np.array([1.0])})
    with pytest.raises(SupportError, match="force on group"):
        cylinder(forces=[Force(group="lid", component="y", total=1.0)])
    mesh = block(MPI.COMM_WORLD, size=[10.0, 20.0], divisions=[3, 2])
    floating = {
        "materials": dict.fromkeys(mesh.bodies, METAL),
        "interfaces": {"interface": LAW},
        "supports": [Displacement(group="right", component="x")],
        "geometry": "axisymmetric",
    }
    with pytest.raises(SupportError, match="free to move"):
        Solid(mesh, **floating)
    tensor = METAL.stiffness.copy()
    tensor[0, 0] *= 1.2
    with pytest.raises(MaterialError, match="turned about y"):
        _ = LinearElastic(tensor).axisymmetric_stiffness
