"""Errors are what they were planted to be, doubt is judged by its definition, a contract passes only what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from mpi4py import MPI
from scipy.integrate import quad
from scipy.stats import norm, spearmanr

from atomistic.committee import Committee, committee_potential, disagreement
from atomistic.errors import EvaluationError, UnknownElementError, ValidationError
from atomistic.labelled import LabelledFrame, write_frames
from atomistic.potentials import load_potential
from atomistic.potentials.base import Potential
from atomistic.validation import (
    Contract,
    calibration,
    energy_shifts,
    rank_correlation,
    threshold_catching,
    validate,
)
from tests.mpi import run_mpi


class Wrong(Calculator):
    """EMT with planted errors: eV per atom by species, eV/Å on atoms, eV/Å³ on the stress; may refuse a structure."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, *, energy=None, force=0.0, stress=0.0, refuse=None):
        super().__init__()
        self.planted = (energy or {}, force, stress)
        self.refuse = refuse
        self.inner = EMT()

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.refuse is not None and len(atoms) == self.refuse:
            raise RuntimeError("no such structure")
        energy, force, stress = self.planted
        bare = atoms.copy()
        bare.calc = self.inner
        forces = bare.get_forces()
        self.results = {
            "energy": bare.get_potential_energy() + sum(energy.get(s, 0.0) for s in atoms.symbols),
            "forces": forces + atoms.info.get("scale", 1.0) * np.asarray(force),
        }
        if atoms.pbc.all():
            self.results["stress"] = bare.get_stress() + stress


def potential(elements=("Al", "Cu"), **planted):
    capabilities = replace(load_potential("emt").capabilities, elements=frozenset(elements), name="wrong")
    return Potential(calculator=Wrong(**planted), capabilities=capabilities, comm=MPI.COMM_SELF)


def labelled(atoms, **changes):
    """A frame with EMT's labels."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    labels = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(voigt=False) if atoms.pbc.all() else None,
    }
    atoms.calc = None
    return LabelledFrame(atoms=atoms, **{**labels, **changes})


def rattled(seed=0, symbols=None, size=0.1):
    atoms = bulk("Cu", cubic=True)
    if symbols:
        atoms.set_chemical_symbols(symbols)
    atoms.rattle(size, seed=seed)
    return atoms


def data():
    """Six frames in two groups, one of them an alloy's."""
    pure = [labelled(rattled(k), config_type="pure") for k in range(3)]
    mixed = [
        labelled(rattled(k + 3, symbols), config_type="alloy")
        for k, symbols in enumerate((["Cu", "Cu", "Cu", "Al"], ["Cu", "Al", "Cu", "Al"], ["Al", "Al", "Cu", "Al"]))
    ]
    return [*pure, *mixed]


def test_planted_errors_are_measured():
    planted = np.array([[0.3, 0.0, 0.0], [0.0, -0.4, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    wrong = potential(energy={"Cu": 0.02, "Al": 0.06}, force=planted, stress=np.array([0.01, 0, 0, 0, 0, -0.02]))
    metrics = validate(data(), wrong).metrics
    forces, vectors = metrics.of("forces"), metrics.of("force_vectors")
    assert forces.rmse == pytest.approx(np.sqrt(0.25 / 12))
    assert forces.mae == pytest.approx(0.7 / 12)
    assert forces.max == pytest.approx(0.4)
    assert forces.bias == pytest.approx(-0.1 / 12)
    assert (forces.count, forces.atom) == (72, 1)
    assert vectors.rmse == pytest.approx(np.sqrt(0.25 / 4))
    assert vectors.mae == pytest.approx(0.7 / 4)
    assert vectors.max == pytest.approx(0.4)
    stress = metrics.of("stress")
    assert stress.rmse == pytest.approx(np.sqrt(5e-4 / 6))
    assert stress.max == pytest.approx(0.02)
    assert stress.bias == pytest.approx(-0.01 / 6)
    pure, alloy = metrics.of("energy", config_type="pure"), metrics.of("energy", config_type="alloy")
    assert pure.rmse == pytest.approx(0.02)
    assert alloy.mae == pytest.approx((0.03 + 0.04 + 0.05) / 3)
    assert alloy.frame == 5
    # The wrong atoms are Cu in the pure frames; in the alloy the second atom is Al in two of three.
    assert metrics.of("forces", species="Al").max == pytest.approx(0.4)
    assert metrics.value("forces_rmse", species="Al") == pytest.approx(np.sqrt((2 * 0.16 + 0.09) / 18))
    assert metrics.of("forces", species="Ni") is None
    ungrouped = validate([replace(frame, config_type="") for frame in data()], wrong).metrics
    assert ungrouped.groups("config_type") == []
    with pytest.raises(ValidationError, match="QUANTITY_STATISTIC"):
        metrics.value("force_error")


def test_errors_do_not_depend_on_order_or_orientation():
    wrong = load_potential("eam-al")
    frames = [labelled(rattled(k, ["Al"] * 4)) for k in range(4)]
    turned = []
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.rotate(37.0, (1, 2, 3), rotate_cell=True)
        turned.append(labelled(atoms))
    first, second = validate(frames, wrong).metrics, validate(turned[::-1], wrong).metrics
    for name in ("energy_rmse", "force_vectors_rmse", "force_vectors_max"):
        assert first.value(name) == pytest.approx(second.value(name), abs=1e-9)
    assert first.value("forces_rmse") > 0.01


def test_shifts_are_recovered_reported_and_never_silent():
    wrong = potential(energy={"Cu": 3.0, "Al": -1.5})
    plain = validate(data(), wrong)
    assert plain.metrics.value("energy_max") > 2.9
    assert not plain.metrics.shifts.per_species
    fitted = validate(data(), wrong, shift="species")
    assert fitted.metrics.shifts.per_species == pytest.approx({"Cu": -3.0, "Al": 1.5}, abs=1e-10)
    assert fitted.metrics.shifts.fitted
    assert fitted.metrics.shifts.determined
    assert fitted.metrics.value("energy_max") < 1e-10
    given = validate(data(), wrong, shift={"Cu": -3.0, "Al": 1.0})
    assert not given.metrics.shifts.fitted
    assert given.metrics.value("energy_max") == pytest.approx(0.5 * 3 / 4)
    pure = validate(data()[:3], wrong)
    assert "different zeros" in pure.notes[0]


def test_shifts_that_the_data_cannot_give():
    frames = [labelled(rattled(k, ["Cu", "Al", "Cu", "Al"])) for k in range(3)]
    found = validate(frames, potential(energy={"Cu": 3.0, "Al": -1.0}), shift="species")
    assert not found.metrics.shifts.determined
    assert found.metrics.value("energy_max") < 1e-10
    assert any("only their sums" in note for note in found.notes)
    with pytest.raises(ValidationError, match="zero whatever the potential"):
        validate(frames[:1], potential(), shift="species")
    with pytest.raises(ValidationError, match="given for Al"):
        validate(frames, potential(), shift={"Cu": 1.0})
    with pytest.raises(ValidationError, match="got 'atoms'"):
        energy_shifts("atoms", [frames[0].atoms], np.zeros(1))


def test_only_what_means_something_is_compared():
    core = np.array([True, False, False, False])
    slab = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    frames = [
        labelled(rattled(0)),
        labelled(rattled(1), counted=core),
        labelled(slab, stress=np.eye(3)),
        labelled(rattled(2), energy=None, stress=None),
        LabelledFrame(atoms=rattled(3)),
    ]
    found = validate(frames, potential(force=np.array([1.0, 0, 0])))
    assert found.metrics.of("energy").count == 2
    assert found.metrics.of("forces").count == 3 * (4 + 1 + 3 + 4)
    assert found.metrics.of("stress").count == 6
    assert found.metrics.frames == 4
    notes = "\n".join(found.notes)
    assert "1 of 5 frames have no labels" in notes
    assert "energies of 1 frames" in notes
    assert "stresses of 2 frames" in notes


def test_every_kind_of_label_that_is_missing_is_told():
    frames = [labelled(rattled(k)) for k in range(4)]
    for name, told in (("energy", "energies"), ("forces", "forces"), ("stress", "stresses")):
        missing = [replace(frames[0], **{name: None}), *frames[1:]]
        assert validate(missing, potential()).notes == (f"1 of 4 frames have no {told}",)


def test_a_frame_that_fails_is_told_and_breaks_every_contract():
    frames = [labelled(rattled(0)), labelled(rattled(1) * (2, 1, 1)), labelled(rattled(2))]
    found = validate(frames, potential(refuse=8))
    assert (found.metrics.frames, found.metrics.failed) == (2, 1)
    assert "failed on Cu8: RuntimeError: no such structure" in found.predictions[1].failure
    assert found.comparisons["forces"].frame.max() == 2
    assert "failed on 1 of 3 frames (1)" in found.notes[0]
    named = validate(frames, potential(refuse=8), names=["5 of a.db", "6 of a.db", "0 of b.db"])
    assert "failed on 1 of 3 frames (6 of a.db)" in named.notes[0]
    outcome = Contract.from_mapping({"forces_rmse": "1 eV/A"}).check(found.metrics)
    assert not outcome.passed
    assert outcome.broken[0].bound.name == "failed frames"
    with pytest.raises(EvaluationError, match="all 1 labelled frames"):
        validate(frames[1:2], potential(refuse=8))


def test_mistakes_before_any_evaluation():
    gold = labelled(bulk("Au", cubic=True))
    with pytest.raises(UnknownElementError, match=r"1 of 2 frames have them, first frame 1 \(Au4\)"):
        validate([labelled(rattled()), gold], potential())
    with pytest.raises(ValidationError, match="nothing to compare"):
        validate([LabelledFrame(atoms=rattled())], potential())
    with pytest.raises(ValidationError, match="nothing to compare"):
        validate([], potential())


def test_other_units_and_signs_are_suspected():
    frames = [labelled(rattled(k)) for k in range(4)]
    changed = [replace(f, forces=-f.forces, stress=-1602.176634 * f.stress, energy=f.energy / 4 - 3) for f in frames]
    notes = "\n".join(validate(changed, potential(energy={"Cu": -3.0})).notes)
    assert "−F" in notes
    assert "in kbar and positive in compression" in notes
    assert "per atom" in notes
    atomic = [replace(f, forces=f.forces / 51.4220675) for f in frames]
    assert "in Hartree/bohr" in validate(atomic, potential()).notes[0]
    molecular = [replace(f, forces=1.04 * 23.06055 * f.forces) for f in frames]  # Ry/bohr is 11 % away
    assert "in kcal/mol/angstrom" in validate(molecular, potential()).notes[0]
    assert validate(frames, potential(force=0.01)).notes == ()


def test_doubt_beside_error():
    random = np.random.default_rng(0)
    size = np.array([0.01, 0.05, 0.2, 0.8])
    members = random.normal(size=(6, 4, 3)) * size[:, None]
    mean = members.mean(axis=0)
    committee = committee_potential(Committee([potential(force=errors) for errors in members]))
    frames = [labelled(rattled(k)) for k in range(3)]
    for frame, scale in zip(frames, (1.0, 1.7, 0.6), strict=True):
        frame.atoms.info["scale"] = scale
    found = validate(frames, committee)
    scales = np.array([1.0, 1.7, 0.6])
    doubts = np.outer(scales, disagreement(members).per_atom).ravel()
    errors = np.outer(scales, np.linalg.norm(mean, axis=1)).ravel()
    spread = np.sqrt(np.sum((members - mean) ** 2, axis=(0, 2)) / 5)
    doubt = found.metrics.doubt
    assert doubt.rank_correlation == pytest.approx(spearmanr(doubts, errors).statistic)
    assert doubt.rank_correlation_frames == pytest.approx(1.0)
    assert doubt.largest == pytest.approx(doubts.max())
    assert doubt.scale == pytest.approx(np.sqrt(np.mean((mean / (spread[:, None] / np.sqrt(3))) ** 2)))
    assert found.metrics.value("miscalibration_area") == pytest.approx(found.calibration.area)
    assert doubt.unspread == 0
    assert validate(frames, committee, doubts=False).metrics.doubt is None
    assert validate(frames, potential()).metrics.doubt is None


def test_members_that_agree_are_told():
    planted = np.array([[0.1, 0.0, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    frames = [labelled(rattled(k)) for k in range(3)]

    def found(*factors):
        members = [potential(force=np.asarray(factor)[:, None] * planted) for factor in factors]
        return validate(frames, committee_potential(Committee(members)))

    same = found(*[np.ones(4)] * 3)  # the mean of three equal numbers is theirs to rounding only
    assert same.metrics.doubt.unspread == 12
    assert np.isinf(same.metrics.doubt.scale)
    assert "spread is zero on all 12 atoms" in same.notes[0]
    some = found([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 2.0, 2.0])  # the first atom: certain and wrong; the third: right
    assert some.metrics.doubt.unspread == 6
    assert "zero on 6 of 12 atoms, also where the error is not" in some.notes[0]
    right = found([0.0, 1.0, 1.0, 1.0], [0.0, 2.0, 2.0, 2.0])
    assert np.isfinite(right.metrics.doubt.scale)
    assert right.notes == ("the committee's spread is zero on 6 of 12 atoms",)


def test_calibration_of_known_distributions():
    random = np.random.default_rng(1)
    spreads = random.uniform(0.5, 2.0, size=200_000)
    errors = random.normal(size=spreads.size) * spreads
    right = calibration(errors, spreads)
    assert right.area < 2e-3  # the noise of 200,000 numbers
    assert right.scale == pytest.approx(1.0, abs=0.01)
    for factor in (0.5, 3.0):
        expected = quad(lambda p, f=factor: abs(2 * norm.cdf(f * norm.ppf(0.5 * (1 + p))) - 1 - p), 0, 1)[0]
        found = calibration(errors, factor * spreads)
        assert found.area == pytest.approx(expected, abs=3e-3)
        assert found.scale == pytest.approx(1.0 / factor, rel=0.01)
        assert np.all((found.observed < found.expected)[1:-1] == (factor < 1.0))


def test_calibration_of_a_few_numbers_is_exact():
    u = 2 * norm.cdf(1.0) - 1
    assert calibration([2.0], [2.0]).area == pytest.approx(0.5 * u**2 + 0.5 * (1 - u) ** 2)
    assert calibration([1.0], [0.0]).area == pytest.approx(0.5)  # certain and wrong
    assert calibration([0.0], [0.0]).area == pytest.approx(0.5)  # every error zero: as far from Gaussian
    assert calibration([0.0], [0.0]).scale == 0.0
    fine = norm.ppf(0.5 * (1 + (np.arange(1000) + 0.5) / 1000))
    assert calibration(fine, np.ones(1000)).area == pytest.approx(0.25 / 1000, rel=1e-6)
    for errors, spreads in (([], []), ([1.0], [1.0, 2.0]), ([1.0], [-1.0]), ([np.nan], [1.0])):
        with pytest.raises(ValidationError):
            calibration(errors, spreads)


def test_rank_correlation_and_threshold():
    doubts = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rank_correlation(doubts, -(doubts**3)) == pytest.approx(1.0)  # sizes of errors
    assert rank_correlation(doubts, 1.0 - doubts) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(doubts, np.ones(5)))
    errors = np.array([0.0, 0.9, 0.1, 0.8, 0.9])
    every = threshold_catching(doubts, errors, error=0.5, share=1.0)
    assert np.array_equal(doubts > every, [False, True, True, True, True])
    two = threshold_catching(doubts, errors, error=0.5, share=0.6)
    assert np.count_nonzero(doubts > two) == 2
    with pytest.raises(ValidationError, match=r"largest is 0\.9"):
        threshold_catching(doubts, errors, error=1.0)


def test_a_contract_is_kept_or_broken_at_its_bounds(tmp_path):
    metrics = validate(data(), potential(force=np.array([0.1, 0, 0]), stress=1.0 / 160.2176634)).metrics
    for limit, kept in (("0.1001 eV/angstrom", True), ("99.9 meV/Å", False)):
        assert Contract.from_mapping({"forces_max": limit}).check(metrics).passed is kept
    assert Contract.from_mapping({"stress_mae": "1.001 GPa", "frames": 6}).check(metrics).passed
    assert not Contract.from_mapping({"stress_mae": "9.99 kbar"}).check(metrics).passed
    assert not Contract.from_mapping({"frames": 7}).check(metrics).passed
    groups = Contract.from_mapping(
        {
            "by_config_type": {"pure": {"forces_rmse": "1 eV/A"}, "allay": {"forces_rmse": "1 eV/A"}},
            "rank_correlation": 0.5,
        }
    ).check(metrics)
    assert [row.passed for row in groups.rows] == [True, False, False]
    assert "Did you mean 'alloy'?" in groups.rows[1].line
    assert "no committee" in groups.rows[2].line
    path = tmp_path / "contract.json"
    path.write_text(
        json.dumps(
            {"energy_rmse": "5 meV/atom", "energy_shift": {"Al": 1}, "by_species": {"Al": {"forces_max": "1 eV/A"}}}
        )
    )
    contract = Contract.read(path)
    assert contract.energy_shift == {"Al": 1.0}
    assert contract.bounds[0].limit == pytest.approx(0.005)
    assert contract.check(metrics).rows[1].line.startswith("forces_max of Al 0.1 eV/A, bound <= 1 eV/A: kept")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("forces_rms: 1 eV/A", ":1: there is no metric 'forces_rms' to bound. Did you mean 'forces_rmse'?"),
        ("frames: 3\nforces_rmse: 0.1", ":2: 0.1 has no unit. Write forces_rmse: 0.1 eV/angstrom"),
        ("forces_rmse: 1 GPa", "Unknown unit 'GPa'"),
        ("energy_rmse: 1 meV", "per atom"),
        ("forces_rmse: -1 eV/A", "greater than zero"),
        ("frames: many", "plain number"),
        ("miscalibration_area: 0.6", "[0, 0.5]"),
        ("by_species:\n  H:\n    stress_rmse: 1 GPa", ":3: there is no metric 'stress_rmse' to bound here"),
        ("by_species: H", "by name"),
        ("energy_shift: species", "bounds nothing"),
        ("energy_shift: atom\nframes: 1", ":1: energy_shift is none"),
        ("a: [", "not valid YAML"),
        ("", "is empty"),
        ("- 1", "a contract is a mapping"),
    ],
)
def test_contracts_that_make_no_sense(tmp_path, text, told):
    path = tmp_path / "contract.yaml"
    path.write_text(text)
    with pytest.raises(ValidationError) as caught:
        Contract.read(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_contract_that_is_not_there(tmp_path):
    (tmp_path / "contract.yaml").write_text("frames: 1")
    with pytest.raises(ValidationError, match=r"Did you mean 'contract.yaml'\?"):
        Contract.read(tmp_path / "contrakt.yaml")


def test_ranks_share_the_frames_and_agree(tmp_path):
    frames = [labelled(rattled(k, ["Al"] * 4)) for k in range(7)]
    write_frames(tmp_path / "data.extxyz", frames)
    script = f"""
        from mpi4py import MPI
        from atomistic.labelled import read_frames
        from atomistic.potentials import load_potential
        from atomistic.validation import validate
        potential = load_potential("eam-al", comm=MPI.COMM_SELF)
        found = validate(read_frames({str(tmp_path / "data.extxyz")!r}), potential, comm=MPI.COMM_WORLD)
        calls = MPI.COMM_WORLD.allreduce(potential.counter.calls)
        values = MPI.COMM_WORLD.allgather([repr(row.errors) for row in found.metrics.rows])
        assert all(value == values[0] for value in values)
        if MPI.COMM_WORLD.rank == 0:
            print(calls, repr(found.metrics.of("forces").rmse))
    """
    calls, rmse = run_mpi(3, script, timeout=60).stdout.split()
    assert calls == "7"
    # LAMMPS sums in another order after other frames.
    alone = validate(frames, load_potential("eam-al")).metrics.value("forces_rmse")
    assert float(rmse) == pytest.approx(alone, rel=1e-12)
