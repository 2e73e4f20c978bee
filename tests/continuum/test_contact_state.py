"""The path of an indenter left in any of its legs and gone on with: the same states, to the last bit."""

import numpy as np
import pytest
from test_adhesive_contact import E, contact

from continuum import contact_path
from continuum.adhesive_contact import SphereContact
from continuum.contact_bodies import build_contact, dugdale_law, plan_contact
from continuum.contact_path import ContactRun
from continuum.materials import LinearElastic
from continuum.solvers import ConvergenceError
from multiscale.codec import decode, encode

WHAT = contact(SphereContact, 1.5)
LAW = dugdale_law(WHAT)
PLAN = plan_contact(WHAT, largest=1.1 * WHAT.jkr_radius, tail=LAW.final_opening, facets_in_zone=3.0)


def run():
    material = LinearElastic.isotropic(E=0.91 * E, nu=0.3)
    return ContactRun(WHAT, build_contact(WHAT, LAW, material, PLAN, degree=1), PLAN, steps=8)


def walked(indenter, **how):
    """States, profiles and iterations of a path, and the solid at its end, as text and bytes."""
    path = indenter.follow(**how)
    arrays = [a.tobytes() for name in sorted(path.profiles) for a in path.profiles[name]]
    arrays += [path.snapshots[name].displacement.tobytes() for name in sorted(path.snapshots)]
    return repr(path.states), path.iterations, arrays, indenter.solid.u.x.array.tobytes()


def legs(states):
    return [state["numbers"][2] for state in states]


def test_a_path_goes_on_from_every_leg_to_the_last_bit():
    kept = []
    whole = walked(run(), keep=lambda state: kept.append(encode(state())))
    # Taking states changes nothing.
    assert walked(run()) == whole
    at = legs(map(decode, kept))
    # The surfaces jump into contact at once: nothing is kept before they are pressed.
    assert list(dict.fromkeys(at)) == ["press", "release", "close in", None]
    # Where a leg begins, and within each: there its solver has begun.
    for number in sorted(
        {at.index("release"), at.index("close in"), *(len(at) - 1 - at[::-1].index(leg) for leg in at)}
    ):
        indenter, told = run(), []
        indenter.on_state = told.append
        assert walked(indenter, state=decode(kept[number])) == whole
        known = len(decode(kept[number])["states"])
        assert told == [] if at[number] is None else len(told) >= len(indenter.states) - known


def test_a_path_that_fails_to_close_in_goes_back_to_the_jump_that_it_found(monkeypatch):
    """Newton's method may find no side of the jump: the longer step stands, also after a stop in between."""
    calm, begun = contact_path.follow, []

    def follow(solid, loads, **how):
        if abs(loads[1] - loads[0]) < 0.5 * run_step / 8.0:
            raise ConvergenceError(solid, [], loads[0], 1.0, 6)
        begun.append(loads[0])
        return calm(solid, loads, **how)

    indenter = run()
    run_step = indenter.step
    monkeypatch.setattr(contact_path, "follow", follow)
    kept = []
    whole = walked(indenter, keep=lambda state: kept.append(encode(state())))
    assert indenter.states[-1].gap >= indenter.gone
    # Closed in on once; the second time no state was found, and the one of the first time stands.
    assert decode(kept[-1])["jumped"] is not None
    at = legs(map(decode, kept))
    again = run()
    assert walked(again, state=decode(kept[at.index("close in") + 1])) == whole


def test_states_are_their_own():
    indenter, kept = run(), []

    class Enough(Exception):
        pass

    def keep(state):
        kept.append(state())
        if len(kept) == 4:
            raise Enough

    with pytest.raises(Enough):
        indenter.follow(keep=keep)
    # What was kept did not move with the path.
    assert [len(state["states"]) for state in kept] == [1, 2, 3, 4]
    assert not np.array_equal(kept[0]["solid"]["displacement"], kept[3]["solid"]["displacement"])
