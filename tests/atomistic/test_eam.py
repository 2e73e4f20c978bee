"""Our own embedded-atom evaluator: LAMMPS's numbers, derivatives, images, lists of pairs, Cauchy–Born."""

import numpy as np
import pytest
from ase.build import bulk

from atomistic.errors import AtomisticError, EvaluationError, ModelFileError, UnknownElementError
from atomistic.pair_list import PairList
from atomistic.potentials import load_potential
from atomistic.potentials.eam import EAMCauchyBorn
from atomistic.potentials.setfl import read_setfl
from tests.mpi import run_mpi

ALFE = {"name": "lammps", "pair_style": "eam/fs", "files": ["AlFe_mm.eam.fs"], "elements": ["Fe", "Al"]}
SAME = [("eam-al", "Al", 3), ("eam-fe", "Fe", 3), ("eam-w", "W", 1), ("eam-nial", "Ni", 2), (ALFE, "Fe", 2)]


@pytest.fixture(scope="module")
def al():
    return load_potential("eam-al")


def rattled(symbol, size, *, other=None, seed=0):
    atoms = bulk(symbol, cubic=True) * (size, size, size)
    atoms.rattle(0.1, seed=seed)
    if other:
        atoms.symbols[::3] = other
    return atoms


@pytest.mark.parametrize(("spec", "symbol", "size"), SAME, ids=[str(s[0])[:12] for s in SAME])
@pytest.mark.parametrize("pbc", [(True, True, True), (False, False, True), (False, False, False)])
def test_same_numbers_as_lammps(spec, symbol, size, pbc):
    """The cubic pieces are LAMMPS's own, so only the order of sums differs: 1e-14 was seen, up to 200 images per atom."""
    potential = load_potential(spec)
    others = sorted(potential.capabilities.elements - {symbol})
    atoms = rattled(symbol, size, other=others[0] if others else None)
    atoms.pbc = pbc
    theirs = potential.evaluate(atoms)
    ours = potential.evaluate_weighted(atoms)
    assert ours.energy == pytest.approx(theirs.energy, rel=1e-13)
    np.testing.assert_allclose(ours.gradient, -theirs.forces, atol=1e-12)
    np.testing.assert_allclose(ours.site_energies, potential.calculator.results["energies"], atol=1e-12)
    assert potential.counter.calls == 2


@pytest.mark.parametrize(("spec", "symbol", "other"), [("eam-al", "Al", None), (ALFE, "Fe", "Al")])
def test_weighted_gradient_and_hessian_are_derivatives(spec, symbol, other):
    model = load_potential(spec).site_model
    atoms = rattled(symbol, 2, other=other)
    cluster = model.cluster(atoms.symbols, cell=atoms.cell.array, periodic=(False, False, True))
    w = np.linspace(0.0, 1.0, len(atoms))
    energy, gradient, sites = cluster.evaluate(atoms.positions, w)
    assert energy == pytest.approx(w @ sites, rel=1e-13)
    hessian = cluster.hessian(atoms.positions, w)
    assert abs(hessian - hessian.T).max() < 1e-13
    assert np.abs(gradient.sum(axis=0)).max() < 1e-13
    step = 1e-5
    for k in range(0, 3 * len(atoms), 7):
        sides = []
        for sign in (1, -1):
            moved = atoms.positions.copy()
            moved.reshape(-1)[k] += sign * step
            sides.append(cluster.energy_and_gradient(moved, w))
        slope = (sides[0][0] - sides[1][0]) / (2 * step)
        assert slope == pytest.approx(gradient.reshape(-1)[k], rel=1e-6, abs=1e-8)
        # Second derivatives of the cubic pieces jump at their ends: 1e-4 where one falls into the step.
        column = (sides[0][1] - sides[1][1]).reshape(-1) / (2 * step)
        np.testing.assert_allclose(hessian[:, [k]].toarray()[:, 0], column, atol=1e-4)


def test_pairs_without_weight_are_left_out(al):
    atoms = rattled("Al", 3)
    cluster = al.site_model.cluster(atoms.symbols)
    w = np.where(atoms.positions[:, 0] < 3.0, 0.7, 0.0)
    energy, gradient, sites = cluster.evaluate(atoms.positions, w)
    fewer = len(cluster._first)
    everything = cluster.evaluate(atoms.positions)[2]
    assert fewer < 0.6 * len(cluster._first)
    np.testing.assert_allclose(sites[w > 0], everything[w > 0], atol=1e-13)
    assert energy == pytest.approx(w @ everything, rel=1e-13)
    parts = [cluster.evaluate(atoms.positions, v)[1] for v in (w, 1.0 - w)]
    np.testing.assert_allclose(gradient, parts[0], atol=1e-14)
    np.testing.assert_allclose(parts[0] + parts[1], cluster.evaluate(atoms.positions)[1], atol=1e-13)


def test_list_is_kept_and_renewed(al):
    atoms = rattled("Al", 3)
    kept = al.site_model.cluster(atoms.symbols, cell=atoms.cell.array, periodic=True * np.ones(3, bool))
    rng = np.random.default_rng(3)
    y = atoms.positions.copy()
    for _ in range(12):
        y += 0.08 * rng.normal(size=y.shape)
        fresh = al.site_model.cluster(atoms.symbols, cell=atoms.cell.array, periodic=(True, True, True))
        np.testing.assert_allclose(kept.evaluate(y)[1], fresh.evaluate(y)[1], atol=1e-11)
    assert 2 < kept._pairs.builds < 12


def test_pair_list_does_not_mind_where_atoms_are_in_the_cell():
    atoms = rattled("Al", 1)
    counts = []
    for shift in (0, 3):
        pairs = PairList(cutoff=6.0, skin=0.0, cell=atoms.cell.array, periodic=(True, True, True))
        y = atoms.positions.copy()
        y[1] += shift * atoms.cell.array[0] - 2 * shift * atoms.cell.array[2]
        pairs.update(y)
        vectors = y[pairs.second] - y[pairs.first] + pairs.shift
        counts.append(np.sort(np.linalg.norm(vectors, axis=1)))
    np.testing.assert_allclose(counts[0], counts[1], atol=1e-12)
    with pytest.raises(AtomisticError, match="must be independent"):
        PairList(cutoff=1.0, skin=0.1, periodic=(False, False, True))
    with pytest.raises(EvaluationError, match="not finite"):
        pairs.update(np.full((4, 3), np.nan))


@pytest.mark.parametrize(("name", "symbol"), [("eam-al", "Al"), ("eam-fe", "Fe")])
def test_cauchy_born_is_the_crystals_own_energy(name, symbol):
    """W Ω and P against LAMMPS's energy and stress of the deformed cell, strong shears and compression included."""
    potential = load_potential(name)
    cell = bulk(symbol)
    material = EAMCauchyBorn(potential.site_model.functions(symbol), cell.cell.array)
    rng = np.random.default_rng(0)
    deformations = np.concatenate([np.eye(3) + 0.08 * rng.normal(size=(4, 3, 3)), 0.75 * np.eye(3)[None]])
    stress, tangent = material.stress(deformations), material.tangent(deformations)
    for k, deformation in enumerate(deformations):
        deformed = cell.copy()
        deformed.set_cell(cell.cell.array @ deformation.T, scale_atoms=True)
        result = potential.evaluate(deformed)
        assert material.energy(deformation[None])[0] * material.site_volume == pytest.approx(result.energy, rel=1e-12)
        piola = np.linalg.det(deformation) * result.stress @ np.linalg.inv(deformation).T
        np.testing.assert_allclose(stress[k], piola, atol=1e-12)
    step = 1e-6
    for i in range(3):
        for j in range(3):
            change = np.zeros((3, 3))
            change[i, j] = step
            slope = (material.stress(deformations + change) - material.stress(deformations - change)) / (2 * step)
            np.testing.assert_allclose(tangent[:, :, :, i, j], slope, atol=1e-4)  # jumps at the pieces' ends
    with pytest.raises(AtomisticError, match="no crystal is left"):
        material.energy(0.1 * np.eye(3)[None])


def test_far_beyond_the_tables(al):
    """Atoms squeezed beyond the densities of the table: F goes on by its last slope, as in LAMMPS."""
    atoms = bulk("Al", a=2.0, cubic=True)
    atoms.rattle(0.02, seed=1)
    assert al.evaluate_weighted(atoms).energy == pytest.approx(al.evaluate(atoms).energy, rel=1e-12)
    np.testing.assert_allclose(al.evaluate_weighted(atoms).gradient, -al.evaluate(atoms).forces, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_the_pairs(ranks):
    script = """
        import numpy as np
        from ase.build import bulk
        from mpi4py import MPI
        from atomistic.potentials import load_potential
        from atomistic.site_energies import AtomCluster

        comm = MPI.COMM_WORLD
        atoms = bulk("Al", cubic=True) * (3, 3, 1)
        atoms.rattle(0.1, seed=0)
        w = np.linspace(0.0, 1.0, len(atoms))
        shared = AtomCluster(load_potential("eam-al", comm=comm), symbols="Al", thickness=4.05, comm=comm)
        alone = AtomCluster(load_potential("eam-al"), symbols="Al", thickness=4.05)
        for weights in (None, w):
            (e, g), (f, h) = (c.energy_and_gradient(atoms.positions, weights) for c in (shared, alone))
            assert abs(e - f) < 1e-12 * abs(f)
            assert np.abs(g - h).max() < 1e-12
            assert all(np.array_equal(g, other) for other in comm.allgather(g))
            assert abs(shared.hessian(atoms.positions, weights) - alone.hessian(atoms.positions, weights)).max() < 1e-12
        forces_only = AtomCluster(load_potential("emt"), symbols="Al", comm=comm)
        e, g = forces_only.energy_and_gradient(atoms.positions)
        assert all(np.array_equal(g, other) for other in comm.allgather(g))
        assert comm.allgather(forces_only.counter.calls) == [1] * comm.size
    """
    run_mpi(ranks, script, timeout=60)


def test_files_that_are_no_tables(tmp_path, al):
    good = al.capabilities.model_file
    assert read_setfl(good, style="eam/alloy").elements == ("Al", "Cu")
    with pytest.raises(UnknownElementError, match="no Fe; it holds Al, Cu"):
        read_setfl(good, style="eam/alloy").only(("Fe",))
    with pytest.raises(ModelFileError, match="expected eam/alloy or eam/fs"):
        read_setfl(good, style="eam")
    text = good.read_text().splitlines()
    cut = tmp_path / "cut.eam.alloy"
    cut.write_text("\n".join(text[:200]))
    with pytest.raises(ModelFileError, match="ends too early"):
        read_setfl(cut, style="eam/alloy")
    cut.write_text("\n".join(["", "", "", "3 Al Cu", *text[4:]]))
    with pytest.raises(ModelFileError, match="announces 3 elements and names 2"):
        read_setfl(cut, style="eam/alloy")
