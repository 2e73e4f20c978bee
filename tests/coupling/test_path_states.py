"""Paths of coupled bodies that are left after any step and gone on with by objects made anew: the same steps, to the last bit."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from atomistic.potentials import load_potential
from continuum.crack_bodies import Disc
from coupling.crack import CrackForces, CrackSolver, follow, intensity_load
from coupling.handshake.loading import LoadPath
from multiscale.codec import decode, encode
from tests.coupling import test_crack as cracks
from tests.coupling import test_loading as bodies

#: What differs from one process to the next.
TIMES = ("seconds", "potential_seconds")


def bits(value: object) -> object:
    """Something in which every bit counts, and times do not."""
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), value.tobytes()
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: bits(getattr(value, f.name)) for f in fields(value) if f.name not in TIMES}
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return [bits(item) for item in value] if isinstance(value, list | tuple) else repr(value)


LOADS = [0.4, 1.2, 2.0, 24.0]


def path(method: str, **options: object) -> LoadPath:
    """A block with potential, model and method of its own."""
    model = bodies.block(half=5.0, width=8.0, pad=7.0, potential=load_potential("eam-cu"))
    return bodies.path(model, method, max_cutbacks=1, options=replace(bodies.TIGHT, tolerance=1e-4), **options)


@pytest.mark.parametrize("method", ["bgfc", pytest.param("bqcf", marks=pytest.mark.slow)])
def test_a_load_path_goes_on_from_any_step(method):
    """The last step falls apart: cut back, then from a guess of its own."""
    kept: list[bytes] = []
    steps = path(method, keep=lambda state: kept.append(encode(state()))).follow(LOADS)
    assert len(kept) == len(steps) == 5
    assert steps[-1].jumped
    assert not steps[1].jumped
    for done in (1, 3):
        again = path(method, state=decode(kept[done]))
        rest = again.follow(LOADS[done:])
        assert bits(rest) == bits(steps[done + 1 :])


def crack(name: str) -> CrackSolver:
    """A solver with potential, model, tangent and springs of its own."""
    of = replace(cracks.crystal(name), potential=load_potential(name))
    method = CrackForces(of.couple(Disc(radius=200.0), cracks.ZONES[name]))
    return cracks.solver(name, method, intensity_load(method.model, of.field, cracks.OPENING), max_states=8)


@pytest.mark.parametrize("name", [pytest.param("eam-fe", marks=pytest.mark.slow), "sw-si-brittle"])
def test_a_crack_goes_on_from_any_state(name):
    """Iron with analytic second derivatives; silicon by LAMMPS with differences of forces, taken anew where bonds change."""
    kept: list[bytes] = []
    solver = crack(name)
    first = solver.at_load(1.05 * cracks.crystal(name).griffith)
    states = list(follow(solver, first, keep=lambda state: kept.append(encode(state()))))
    assert len(states) == 8
    assert len(kept) == 7
    for done in (1, 5):
        again = crack(name)
        rest = list(follow(again, first, state=decode(kept[done - 1])))
        assert bits(rest) == bits(states[done:])
        assert again.model.atoms.counter.calls == solver.model.atoms.counter.calls
