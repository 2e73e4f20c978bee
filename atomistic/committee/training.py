"""Training heads in closed form: ridge on energy, force and stress rows, then members that differ as far as data leave open.

The mean head is the ridge fit of all frames. Members are fits to frames weighted at random (Bayesian bootstrap, Rubin 1981), each
on a random part of the features, plus a draw from the posterior w ~ N(ŵ, s²(aᵀa + λ1)⁻¹); their deviations are centred on the
mean head, and put on the scale of the errors seen on held-out frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from atomistic.committee.features import FrameFeatures, HeadFeatures
from atomistic.committee.heads import Heads, SpeciesHead
from atomistic.committee.random_features import FeatureMap, make_feature_map
from atomistic.committee.ridge import RidgeFit, Rows, fit_ridge, refit
from atomistic.errors import CommitteeError
from atomistic.labelled import LabelledFrame

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """How heads are trained.

    Attributes:
        members: K, at least 2.
        components: principal components of the scalars that heads see, at most.
        cosines: random cosines of them, the nonlinear features.
        length: of the kernel that the cosines stand for, in standard deviations of the scalars: larger is more linear.
        part: of the features that each member sees.
        energy_noise: misfit that is allowed to an energy, eV per atom.
        force_noise: to a component of a force, eV/Å.
        stress_noise: to a component of the stress, eV/Å³.
        reference: "fitted": the reference's energies may lie above the model's by a constant for each species, which is found
            and recorded; "none": they are on one scale.
        seed: of all that is drawn; the same frames in the same order and seed give the same heads.
    """

    members: int = 4
    components: int = 100
    cosines: int = 256
    length: float = 4.0
    part: float = 0.7
    energy_noise: float = 0.003
    force_noise: float = 0.05
    stress_noise: float = 0.006
    reference: str = "fitted"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("members", 2), ("components", 1), ("cosines", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise CommitteeError(f"{name} is a whole number ≥ {least}; got {value!r}.")
        for name in ("length", "energy_noise", "force_noise", "stress_noise"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0.0 < value < np.inf:
                raise CommitteeError(f"{name} is a positive number; got {value!r}.")
        if not isinstance(self.part, int | float) or not 0.0 < self.part <= 1.0:
            raise CommitteeError(f"part is the part of the features that a member sees, in (0, 1]; got {self.part!r}.")
        if self.reference not in ("fitted", "none"):
            raise CommitteeError(f"reference is 'fitted' or 'none'; got {self.reference!r}.")


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where each species' features stand in a row."""

    maps: Mapping[str, FeatureMap]
    slices: Mapping[str, slice]
    size: int


def fit_heads(
    frames: Sequence[LabelledFrame],
    features: HeadFeatures,
    options: HeadOptions,
    *,
    held_out: Sequence[LabelledFrame] = (),
) -> Heads:
    """Train heads on labelled frames; members' deviations take the scale of the errors of held-out forces, if there are any.

    Raises:
        CommitteeError: fewer than two frames, frames without labels, or labels that are no finite numbers.
        UnknownElementError: the backbone does not know an element.
    """
    check_labels(frames)
    seen = [features.of(frame.atoms, counted=frame.counted) for frame in frames]
    offsets = _offsets(frames, seen, options)
    rng = np.random.default_rng(options.seed)
    layout = _layout(frames, seen, options, rng)
    rows = [_rows(f, s, layout, offsets, options) for f, s in zip(frames, seen, strict=True)]
    fit = fit_ridge(rows)
    deviations = _deviations(rows, fit, options, rng)
    held = _held_out(held_out, features, layout, options)
    told = {} if not held else _calibration(held, fit.weights, deviations, options.force_noise)
    deviations = deviations * told.get("scale", 1.0)
    species = {
        symbol: SpeciesHead(
            map=layout.maps[symbol],
            mean=fit.weights[place],
            deviations=deviations[place],
            offset=offsets[symbol],
            root=_novelty_root(frames, seen, symbol, layout.maps[symbol]),
        )
        for symbol, place in layout.slices.items()
    }
    record = {
        "frames": len(frames),
        "rows": sum(len(r.target) for r in rows),
        "penalty": fit.penalty,
        "noise": fit.noise,
        "options": asdict(options),
        "held_out": told,
    }
    backbone = features.backbone
    return Heads(
        species=species,
        backbone=backbone.spec,
        layers=backbone.layers,
        identity=backbone.identity,
        record=record,
    )


def check_labels(frames: Sequence[LabelledFrame]) -> None:
    """Refuse data from which nothing can be learnt.

    Raises:
        CommitteeError: which frame, and what is wrong with it.
    """
    if not frames:
        raise CommitteeError("There are no labelled frames to train on. Give a data set that holds some.")
    for number, frame in enumerate(frames):
        if not isinstance(frame, LabelledFrame):
            raise CommitteeError(
                f"Frame {number} is a {type(frame).__name__}; expected LabelledFrame, which atomistic.labelled.read_frames gives."
            )
        labels = {"energy": frame.energy, "forces": frame.forces, "stress": frame.stress}
        if all(value is None for value in labels.values()):
            raise CommitteeError(f"Frame {number} ({frame.atoms.symbols}) has no label: no energy, forces or stress.")
        for name, value in labels.items():
            if value is not None and not np.all(np.isfinite(value)):
                raise CommitteeError(
                    f"Frame {number} ({frame.atoms.symbols}) has {name} that is not a finite number. Leave it out, or label it "
                    "again."
                )
        if frame.forces is not None and np.shape(frame.forces) != (len(frame.atoms), 3):
            raise CommitteeError(
                f"Frame {number} has {len(frame.atoms)} atoms, and forces of shape {np.shape(frame.forces)}; expected "
                f"({len(frame.atoms)}, 3)."
            )


def _offsets(frames: Sequence[LabelledFrame], seen: Sequence[FrameFeatures], options: HeadOptions) -> dict[str, float]:
    """How far the reference's energies lie above the model's, a constant for each species (least squares), eV."""
    symbols = sorted({s for frame in frames for s in frame.atoms.get_chemical_symbols()})
    known = [(f.atoms, f.energy - s.energy) for f, s in zip(frames, seen, strict=True) if f.energy is not None]
    if options.reference == "none" or not known:
        return dict.fromkeys(symbols, 0.0)
    counts = np.array([[a.get_chemical_symbols().count(s) for s in symbols] for a, _ in known], dtype=float)
    above = np.array([difference for _, difference in known])
    atoms = counts.sum(axis=1, keepdims=True)
    found = np.linalg.lstsq(counts / atoms, above / atoms[:, 0], rcond=1e-8)[0]
    return {symbol: float(value) for symbol, value in zip(symbols, found, strict=True)}


def _layout(
    frames: Sequence[LabelledFrame],
    seen: Sequence[FrameFeatures],
    options: HeadOptions,
    rng: np.random.Generator,
) -> _Layout:
    maps: dict[str, FeatureMap] = {}
    slices: dict[str, slice] = {}
    end = 0
    for symbol in sorted({s for frame in frames for s in frame.atoms.get_chemical_symbols()}):
        scalars = np.concatenate([s.scalars[_of(f, symbol)] for f, s in zip(frames, seen, strict=True)])
        maps[symbol] = make_feature_map(
            scalars, components=options.components, cosines=options.cosines, length=options.length, rng=rng
        )
        slices[symbol] = slice(end, end + maps[symbol].size)
        end += maps[symbol].size
    return _Layout(maps=maps, slices=slices, size=end)


def _rows(
    frame: LabelledFrame,
    seen: FrameFeatures,
    layout: _Layout,
    offsets: Mapping[str, float],
    options: HeadOptions,
) -> Rows:
    """The rows of one frame: reference − model, each over the noise that is allowed for it."""
    count = len(frame.atoms)
    summed = np.zeros(layout.size)
    moved = np.zeros((len(seen.directions), layout.size))
    strained = np.zeros((6, layout.size))
    above = 0.0
    for symbol, place in layout.slices.items():
        rows = _of(frame, symbol)
        if not len(rows):
            continue
        scalars, chosen = seen.scalars[rows], layout.maps[symbol]
        summed[place] = chosen.of(scalars).sum(axis=0)
        moved[:, place] = chosen.summed_tangents(scalars, seen.moved[:, rows])
        strained[:, place] = chosen.summed_tangents(scalars, seen.strained[:, rows])
        above += offsets[symbol] * len(rows)
    matrix, target = [], []
    if frame.energy is not None:
        scale = count * options.energy_noise
        matrix.append(summed[None] / scale)
        target.append([(frame.energy - seen.energy - above) / scale])
    if frame.forces is not None:
        matrix.append(-moved / options.force_noise)
        target.append(np.einsum("mni,ni->m", seen.directions, frame.forces - seen.forces) / options.force_noise)
    if frame.stress is not None and frame.atoms.pbc.all():
        matrix.append(strained / (frame.atoms.get_volume() * options.stress_noise))
        target.append(full_3x3_to_voigt_6_stress(frame.stress - seen.stress) / options.stress_noise)
    return Rows(matrix=np.concatenate(matrix), target=np.concatenate(target))


def _deviations(rows: Sequence[Rows], fit: RidgeFit, options: HeadOptions, rng: np.random.Generator) -> Array:
    """The members' weights about the mean head's (d, K); they add up to zero."""
    d = len(fit.weights)
    root = cholesky(fit.hessian, lower=True)
    drawn = np.empty((d, options.members))
    for k in range(options.members):
        shares = rng.dirichlet(np.ones(len(rows))) * len(rows)
        kept = rng.random(d) < options.part
        kept[rng.integers(d)] = True
        drawn[:, k] = refit(rows, penalty=fit.penalty, shares=shares, kept=kept)
        drawn[:, k] += fit.noise * solve_triangular(root, rng.standard_normal(d), lower=True, trans="T")
    centred: Array = drawn - drawn.mean(axis=1, keepdims=True)
    return centred


def _held_out(
    frames: Sequence[LabelledFrame], features: HeadFeatures, layout: _Layout, options: HeadOptions
) -> list[Rows]:
    """The force rows of each held-out frame that has forces."""
    rows = []
    zero = dict.fromkeys(layout.slices, 0.0)
    for number, frame in enumerate(frames):
        if frame.forces is None:
            continue
        check_labels([frame])
        unknown = sorted(set(frame.atoms.symbols) - set(layout.slices))
        if unknown:
            raise CommitteeError(
                f"Held-out frame {number} holds {', '.join(unknown)}, which no training frame does. "
                "Train on frames with all elements."
            )
        forces = LabelledFrame(atoms=frame.atoms, forces=frame.forces, counted=frame.counted)
        rows.append(_rows(forces, features.of(frame.atoms, counted=frame.counted), layout, zero, options))
    return rows


def _calibration(held: Sequence[Rows], mean: Array, deviations: Array, noise: float) -> dict[str, float]:
    """Compare errors of held-out forces with the members' spread.

    `scale` puts 68.3 % of the errors within one spread, as of a normal distribution. (Equal mean squares would let a few large
    errors, where the spread is large too, make it far too wide for the rest.)
    """
    errors = np.concatenate([rows.target - rows.matrix @ mean for rows in held])
    spread = np.concatenate([_spread(rows, deviations) for rows in held])
    ratio = float(np.quantile(np.abs(errors) / np.maximum(spread, 1e-300), math.erf(math.sqrt(0.5))))
    before, after = (float(np.sqrt(np.mean(v**2))) for v in (np.concatenate([r.target for r in held]), errors))
    return {
        "scale": ratio if 0.0 < ratio < 1e12 else 1.0,
        "force_rmse_before": before * noise,
        "force_rmse": after * noise,
    }


def _spread(rows: Rows, deviations: Array) -> Array:
    """The members' standard deviation for each row; one for the three components of an atom where rows are such."""
    single = (rows.matrix @ deviations).std(axis=1, ddof=1)
    if len(single) % 3:  # random directions: no three of them belong together
        return single
    return np.repeat(np.sqrt(np.mean(single.reshape(-1, 3) ** 2, axis=1)), 3)


def _novelty_root(
    frames: Sequence[LabelledFrame], seen: Sequence[FrameFeatures], symbol: str, chosen: FeatureMap
) -> Array:
    """The root of the training atoms' features, scaled so that the farthest of them is at 1."""
    scalars = np.concatenate([s.scalars[_of(f, symbol)] for f, s in zip(frames, seen, strict=True)])
    features = chosen.of(scalars)
    gram = features.T @ features
    # A thousandth of the mean: directions in which the training atoms hardly differ count as new, but not without bound.
    gram += 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram))
    root = cholesky(gram, lower=True)
    farthest = np.sqrt(np.max(np.sum(solve_triangular(root, features.T, lower=True) ** 2, axis=0)))
    scaled: Array = root * farthest
    return scaled


def _of(frame: LabelledFrame, symbol: str) -> NDArray[np.int64]:
    return np.flatnonzero(np.array(frame.atoms.get_chemical_symbols()) == symbol)
