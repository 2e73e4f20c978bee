"""Loads that are left after a step and gone on with from what was kept: the same steps, on one rank to the last bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mpi import run_mpi
from mpi4py import MPI

from continuum.laws import BilinearLaw
from continuum.materials import LinearElastic
from continuum.mesh import double_cantilever_beam
from continuum.options import SolverOptions
from continuum.solid import Solid
from continuum.solvers import follow
from continuum.supports import Displacement
from multiscale.codec import decode, encode

# The condensed zone is renewed early, so that states with a fresh and with an aged factor are met.
OPTIONS = SolverOptions(zone_renewal=20)
LOADS = [*np.linspace(10.0, 120.0, 12), 90.0, 124.0]


def beam(comm=MPI.COMM_SELF):
    bodies = double_cantilever_beam(
        comm, length=400.0, arm_height=40.0, initial_crack=100.0, fine_size=6.0, fine_from=90.0, fine_to=250.0
    )
    material = LinearElastic.isotropic(E=0.5, nu=0.3)
    law = BilinearLaw(fracture_energy=0.06, peak_traction=0.03, initial_stiffness=0.1)
    supports = [
        Displacement(group="upper grip", component="y", factor=0.5),
        Displacement(group="lower grip", component="y", factor=-0.5),
        Displacement(group="right", component="x", factor=0.0),
        Displacement(group="right", component="y", factor=0.0),
    ]
    return Solid(
        bodies,
        materials=dict.fromkeys(bodies.bodies, material),
        interfaces=dict.fromkeys(bodies.interfaces, law),
        supports=supports,
    )


def untimed(steps):
    return [replace(step, seconds=0.0) for step in steps]


def test_loads_go_on_from_any_step_to_the_last_bit():
    whole, states = beam(), []
    steps = follow(whole, LOADS, options=OPTIONS, keep=lambda state: states.append(encode(state())))
    # The crack has run, so the condensed zone has grown and been renewed on the way.
    assert steps[-1].crack_tip > steps[0].crack_tip + 20.0
    assert sum(step.factorisations for step in steps) > 2
    assert untimed(follow(beam(), LOADS, options=OPTIONS)) == untimed(steps)
    for taken in range(1, len(LOADS), 3):
        solid, told = beam(), []
        again = follow(solid, LOADS, options=OPTIONS, state=decode(states[taken - 1]), on_step=told.append)
        assert untimed(again) == untimed(steps)
        assert len(told) == len(LOADS) - taken
        np.testing.assert_array_equal(solid.u.x.array, whole.u.x.array)
        np.testing.assert_array_equal(solid.history, whole.history)


def test_loads_go_on_with_another_number_of_ranks(tmp_path):
    code = f"""
        import sys
        sys.path += [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
        from test_follow_state import *
        world = MPI.COMM_WORLD
        pair = world.Split(0 if world.rank < 2 else 1)
        kept, steps = None, []
        # 1 -> 2 -> 3 -> 1 ranks, some loads with each.
        for comm, upto in ((MPI.COMM_SELF, 4), (pair if world.rank < 2 else None, 8), (world, 12), (MPI.COMM_SELF, 14)):
            if comm is not None:
                taken = []
                steps = follow(
                    beam(comm), LOADS[:upto], options=OPTIONS, state=kept, keep=lambda state: taken.append(encode(state()))
                )
                kept = decode(taken[-1])
            kept = world.bcast(kept)
        if world.rank == 0:
            Path({str(tmp_path / "done")!r}).write_bytes(encode(steps))
    """
    run_mpi(3, code)
    steps = decode((tmp_path / "done").read_bytes())
    for found, wanted in zip(steps, follow(beam(), LOADS, options=OPTIONS), strict=True):
        assert found.reaction == pytest.approx(wanted.reaction, rel=1e-8)
        assert found.energies.total == pytest.approx(wanted.energies.total, rel=1e-8)
        assert found.crack_tip == pytest.approx(wanted.crack_tip, rel=1e-8)
