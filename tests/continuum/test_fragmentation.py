"""Cohesive surfaces between all elements: patch test, onset, a bar that breaks, crack paths, intrinsic surfaces beside it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from mpi4py import MPI
from scipy.sparse.linalg import spsolve

from continuum.errors import ContinuumError, LawError, MeshError, SupportError
from continuum.fragmentation import Fragmentation
from continuum.fragmentation_law import ExtrinsicLaw
from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.supports import Displacement
from tests.mpi import run_mpi

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import fragmentation
finally:
    sys.path.pop(0)

METAL = LinearElastic.isotropic(E=1.0, nu=0.3)
SLACK = LinearElastic.isotropic(E=1.0, nu=0.0)
TOUGHNESS, STRENGTH = 0.02, 0.05
WIDTH = 4.0


def bar(length, *, per_side=1.0, law=None, degree=1, comm=MPI.COMM_SELF, **options):
    """A bar of unit modulus, ν = 0, held at its left end, pulled at the right."""
    n = round(length * per_side)
    mesh = block(comm, size=[length, WIDTH], divisions=[n, round(WIDTH * per_side)], interface_at=[])
    supports = [Displacement(group="left", component="x"), Displacement(group="bottom", component="y")]
    return Fragmentation(
        mesh,
        material=SLACK,
        law=law or ExtrinsicLaw(fracture_energy=TOUGHNESS, strength=STRENGTH),
        supports=[*supports, Displacement(group="right", component="x", factor=1.0)],
        degree=degree,
        **options,
    )


@pytest.mark.parametrize("beta", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("dim", [2, 3])
def test_law(dim, beta):
    """Openings are the maximiser's derivative, their derivative is exact and symmetric; t + rδ = p within the strength."""
    random = np.random.default_rng(0)
    law, n = ExtrinsicLaw(fracture_energy=0.5, strength=1.0, shear_weight=beta), 400
    penalty, p, along = np.full(n, 7.0), 2.0 * random.normal(size=(n, dim)), random.normal(size=(n, dim))
    history = np.where(random.random(n) < 0.5, 0.0, 1.3 * random.random(n))

    def gained(trial):
        a = law.open(trial, penalty, history)
        return (
            ((trial - 0.5 * law.penalties(penalty, dim) * a.opening) * a.opening).sum(axis=1) - a.stored - a.dissipated
        )

    answer, h = law.open(p, penalty, history), 1e-6
    ahead, behind = (law.open(p + s * h * along, penalty, history) for s in (1.0, -1.0))
    assert (gained(p + h * along) - gained(p - h * along)) / (2 * h) == pytest.approx(
        (answer.opening * along).sum(axis=1), abs=1e-7
    )
    moved = np.einsum("nij,nj->ni", answer.derivative, along)
    assert (ahead.opening - behind.opening) / (2 * h) == pytest.approx(moved, abs=1e-7)
    assert answer.derivative == pytest.approx(np.swapaxes(answer.derivative, 1, 2), abs=1e-14)
    traction = p - law.penalties(penalty, dim) * answer.opening
    assert (law.effective(traction) <= 1.0 + 1e-12).all()
    assert (answer.opening[:, 0] >= 0.0).all()
    assert (answer.history_new >= history).all()


def test_law_spends_its_energy():
    """Opened to the end in steps, with unloading between: ∫t·dδ = G_c, in any direction; starts at the strength."""
    law = ExtrinsicLaw(fracture_energy=0.5, strength=1.0, shear_weight=0.7)
    for direction in ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8]):
        history, work, last = np.zeros(1), 0.0, (np.zeros(2), None)
        for size in [*np.linspace(0.5, 9.0, 600), *np.linspace(9.0, 2.0, 50), *np.linspace(2.0, 30.0, 1200)]:
            trial = size * np.array([direction]) / law.effective(np.array([direction]))[0]
            answer = law.open(trial, np.full(1, 7.0), history)
            traction = (trial - law.penalties(np.full(1, 7.0), 2) * answer.opening)[0]
            if last[1] is None or not answer.opening.any():
                assert traction == pytest.approx(trial[0])
            else:
                work += 0.5 * float((traction + last[1]) @ (answer.opening[0] - last[0]))
            history, last = answer.history_new, (answer.opening[0], traction)
        assert work == pytest.approx(0.5, rel=1e-3)
        assert answer.dissipated[0] == pytest.approx(0.5)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("cell", ["triangle", "tetrahedron"])
def test_patch(cell, degree):
    """Half of the cells broken up: a linear field is exact, there are no jumps, the ties hold no energy."""
    dim = 2 if cell == "triangle" else 3
    mesh = block(MPI.COMM_SELF, size=[4.0, 3.0, 2.0][:dim], divisions=[4, 3, 2][:dim], cell=cell, interface_at=[])
    supports = [Displacement(group=g, component=c) for g, c in (("left", "x"), ("bottom", "y"), ("back", "z"))[:dim]]
    body = Fragmentation(
        mesh,
        material=METAL,
        law=ExtrinsicLaw(fracture_energy=10.0, strength=2.0),
        supports=[*supports, Displacement(group="top", component="y", factor=1.0)],
        degree=degree,
        region=lambda x: x[:, 0] < 2.0,
    )
    step = body.follow([0.3])[0]
    places = np.column_stack([body.body.places, np.ones(len(body.body.places))])
    u = body.u.reshape(-1, dim)
    assert places @ np.linalg.lstsq(places, u, rcond=None)[0] == pytest.approx(u, abs=1e-10 * 0.3)
    assert np.abs(body.body.jump @ body.u).max() < 1e-10 * 0.3
    modulus = 1.0 if dim == 3 else 1.0 / (1.0 - 0.3**2)
    assert step.reaction == pytest.approx(modulus * 0.1 * (8.0 if dim == 3 else 4.0), rel=1e-10)
    assert abs(step.energies.ties) < 1e-12 * step.energies.bulk


def test_tangent_against_differences():
    body = bar(4.0, cracked=lambda m: (np.abs(m[:, 0] - 2.0) < 1e-9) & (m[:, 1] < 1.0))
    random = np.random.default_rng(4)
    body.active[:] = True
    body.history[:] = np.where(random.random(len(body.history)) < 0.5, 0.0, 0.5 * random.random(len(body.history)))
    body.u[:] = 0.05 * random.normal(size=len(body.u))
    along, base, h = random.normal(size=len(body.u)), body.u.copy(), 1e-6
    tangent = body.tangent() @ along
    ends = []
    for sign in (1.0, -1.0):
        body.u = base + sign * h * along
        ends.append((body.internal_force(), body.energies().total))
    difference = (ends[0][0] - ends[1][0]) / (2 * h)
    assert tangent == pytest.approx(difference, abs=1e-6 * np.abs(tangent).max())
    body.u = base
    assert (ends[0][1] - ends[1][1]) / (2 * h) == pytest.approx(body.internal_force() @ along, rel=1e-6)


@pytest.mark.parametrize("degree", [1, 2])
def test_short_bar_softens_along_the_law(degree):
    """L < 2EG_c/σ_c² = 16: one cross-section opens, u = σL/E + δ_f(1 − σ/σ_c), the ledger closes."""
    body = bar(6.0, degree=degree)
    steps = body.follow([0.15, 0.29, 0.3, 0.301, 0.35, 0.45, 0.6, 0.5, 0.6, 0.75, 0.8, 0.85])
    for load, step in zip((0.15, 0.29), steps, strict=False):
        assert step.reaction == pytest.approx(WIDTH * load / 6.0, rel=1e-9)
        assert step.activated == 0
    assert steps[3].activated == round(WIDTH)
    for step in (*steps[3:7], *steps[8:10]):
        # σ of a bar and a straight law in series.
        stress = (body.law.final_opening - step.load) / (body.law.final_opening / STRENGTH - 6.0)
        assert step.load < body.law.final_opening
        assert step.reaction == pytest.approx(WIDTH * stress, rel=1e-8)
    # Unloaded, along the secant.
    assert steps[7].reaction == pytest.approx(steps[6].reaction * 0.5 / 0.6, rel=1e-8)
    assert steps[-1].crack_area == pytest.approx(WIDTH, rel=5e-3)
    assert abs(steps[-1].reaction) < 1e-8
    # Within the trapezoidal rule's error over the two kinks of the curve.
    assert sum(step.work for step in steps) == pytest.approx(steps[-1].energies.total, abs=5e-3 * TOUGHNESS * WIDTH)


@pytest.mark.parametrize("per_side", [1.0, 2.0])
def test_long_bar_breaks_at_the_strength(per_side):
    """L > 16: it breaks at σ_c at once in one section and spends G_c × width; the rest of its energy is set free."""
    body = bar(20.0, per_side=per_side)
    steps = body.follow([0.5, 0.98, 0.999, 1.001, 1.2])
    assert steps[2].reaction == pytest.approx(WIDTH * STRENGTH * 0.999, rel=1e-9)
    assert steps[2].activated == 0
    assert steps[3].activated == round(WIDTH * per_side)
    assert abs(steps[3].reaction) < 1e-9
    assert steps[3].energies.dissipated == pytest.approx(TOUGHNESS * WIDTH, rel=1e-6)
    released = sum(step.released for step in steps)
    assert released == pytest.approx(0.5 * STRENGTH * 1.0 * WIDTH - TOUGHNESS * WIDTH, rel=5e-3)


def test_broken_halves_press_on_each_other():
    """Broken and pushed together: as stiff as whole, no overlap beyond the ties'."""
    body = bar(6.0)
    body.follow([0.35, 0.85])
    pressed = body.follow([-0.3])[0]
    assert pressed.reaction == pytest.approx(-WIDTH * 0.3 / 6.0, rel=1e-8)
    assert pressed.energies.dissipated == pytest.approx(TOUGHNESS * WIDTH, rel=1e-6)


def test_intrinsic_surfaces_make_a_body_softer():
    """Springs K₀ on the same facets: softer by more than E n/(K₀ L); the ties leave the modulus as it is."""
    loss = {}
    for per_side in (1.0, 2.0):
        body = bar(8.0, per_side=per_side)
        tied = body.follow([0.1])[0].reaction / (WIDTH * 0.1 / 8.0)
        assert tied == pytest.approx(1.0, rel=1e-10)
        springs = 20.0 * np.repeat(body.body.weights, 2)
        matrix = (body.body.stiffness + body.body.jump.T @ sp.diags(springs) @ body.body.jump).tocsr()
        fixed, factors = body._fixed, body._factors
        free = np.setdiff1d(np.arange(matrix.shape[0]), fixed)
        u = np.zeros(matrix.shape[0])
        u[fixed] = 0.1 * factors
        u[free] = spsolve(matrix[free][:, free].tocsc(), -(matrix @ u)[free])
        soft = float((matrix @ u)[fixed] @ factors) / (WIDTH * 0.1 / 8.0)
        loss[per_side] = 1.0 / soft - 1.0
        assert loss[per_side] > per_side / 20.0
    # With half the cells' size the artificial compliance doubles.
    assert loss[2.0] == pytest.approx(2.0 * loss[1.0], rel=0.1)


def test_peak_of_a_notched_plate_does_not_depend_on_the_mesh():
    """Random meshes of 20 and 30 cells along a side, a process zone EG_c/σ_c² of 4: peaks within 2%."""
    peaks = []
    for size, seed in ((1.0, 0), (2.0 / 3.0, 1)):
        plate = fragmentation.notched_plate(size, seed)
        steps = plate.follow([0.4, 0.6, 0.7, *np.arange(0.74, 0.83, 0.02)])
        peaks.append(max(step.reaction for step in steps))
        # The ligament of 12, a little longer along the edges of cells; nothing but G_c has been spent on it.
        assert 12.0 < steps[-1].crack_area < 1.15 * 12.0
        assert steps[-1].reaction < 0.5 * peaks[-1]
    assert peaks[1] == pytest.approx(peaks[0], rel=0.02)


def test_crack_along_an_unknown_path():
    """From a notch beside the middle the crack leans towards the load, on two random meshes alike."""
    for size, seed in ((1.0, 0), (2.0 / 3.0, 1)):
        beam = fragmentation.notched_beam(size, seed)
        steps = beam.follow([0.5, 1.2, 1.5, 1.8, 2.2])
        gone = beam.body.midpoints[fragmentation.spent(beam) >= 0.5]
        head = gone[np.argmax(gone[:, 1])]
        assert 13.5 < head[0] < 16.0
        assert head[1] > 7.5
        assert (np.diff([step.energies.dissipated for step in steps]) >= -1e-12).all()
        assert steps[-1].reaction < max(step.reaction for step in steps)


RANKS = """
import sys
sys.path.insert(0, "tests/continuum")
from test_fragmentation import bar
from mpi4py import MPI
steps = bar(6.0).follow([0.29, 0.35, 0.6])
every = MPI.COMM_WORLD.gather([s.reaction for s in steps])
if MPI.COMM_WORLD.rank == 0:
    assert all(e == every[0] for e in every)
    print(" ".join(repr(r) for r in every[0]))
"""


def test_every_rank_does_the_same():
    """Whole on every rank: two give what one gives."""
    one, two = (run_mpi(n, RANKS).stdout for n in (1, 2))
    assert one == two


def test_mistakes_are_named():
    with pytest.raises(LawError, match="strength"):
        ExtrinsicLaw(fracture_energy=1.0, strength=0.0)
    with pytest.raises(ContinuumError, match="process zone"):
        bar(6.0, law=ExtrinsicLaw(fracture_energy=1e-4, strength=0.5))
    with pytest.raises(ContinuumError, match="penalty = 1"):
        bar(6.0, penalty=1.0)
    mesh = block(MPI.COMM_SELF, size=[4.0, 4.0], divisions=[2, 2], cell="quadrilateral", interface_at=[])
    law = ExtrinsicLaw(fracture_energy=TOUGHNESS, strength=STRENGTH)
    with pytest.raises(MeshError, match="triangles or tetrahedra"):
        Fragmentation(mesh, material=METAL, law=law, supports=[])
    mesh = block(MPI.COMM_SELF, size=[4.0, 4.0], divisions=[2, 2], interface_at=[])
    with pytest.raises(SupportError, match="topp"):
        Fragmentation(mesh, material=METAL, law=law, supports=[Displacement(group="topp", component="y")])
    with pytest.raises(ContinuumError, match="finite number"):
        bar(6.0).follow([np.nan])
