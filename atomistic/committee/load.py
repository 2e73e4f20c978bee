"""Committees from data, from files and from specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

from atomistic.committee.backbone import Backbone
from atomistic.committee.committee import Committee, HeadSource, committee_potential
from atomistic.committee.features import HeadFeatures
from atomistic.committee.head_model import HeadModel, head_potential
from atomistic.committee.heads import Heads
from atomistic.committee.training import HeadOptions, fit_heads
from atomistic.errors import CommitteeError, UnknownPotentialError
from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential, sha256


def train_heads(
    frames: Sequence[LabelledFrame],
    features: HeadFeatures,
    *,
    options: HeadOptions | None = None,
    held_out: Sequence[LabelledFrame] = (),
    name: str | None = None,
) -> Potential:
    """Teach a SevenNet model from labelled frames: a committee of heads on its early layers, trained in closed form.

    The same frames in the same order, options and backbone give the same heads. What was found is in
    `training_record(potential)`.

    Args:
        frames: at least two, with any of energy, forces and stress.
        features: the frozen backbone; it keeps what it has computed, so that a training with one frame more computes that one.
        options: how; the defaults suit cells of tens of atoms.
        held_out: frames on whose forces the members' spread is calibrated; none of `frames`.
        name: of the potential that comes of it.

    Raises:
        CommitteeError: too few frames, labels that are missing or no numbers, elements that no training frame holds.
        UnknownElementError: the backbone does not know an element.
    """
    heads = fit_heads(frames, features, options or HeadOptions(), held_out=held_out)
    return _of_heads(heads, features.backbone, name=name)


def load_heads(
    path: str | Path, *, backbone: Backbone | None = None, device: str = "cpu", comm: MPI.Comm | None = None
) -> Potential:
    """Load heads that were saved, on their backbone: the one given, which must be theirs, or one that is loaded too.

    Raises:
        ModelFileError: the file is missing, damaged, or belongs to another model than the one installed.
        MissingEngineError: SevenNet is not installed.
    """
    heads = Heads.load(path)
    if backbone is None:
        backbone = Backbone(heads.backbone, layers=heads.layers, device=device, comm=comm)
    potential = _of_heads(heads, backbone, name=Path(path).name)
    potential.capabilities = replace(
        potential.capabilities, model_file=Path(path).resolve(), model_sha256=sha256(Path(path))
    )
    return potential


def load_committee(spec: Mapping[str, Any], *, device: str = "cpu") -> Potential:
    """Load {committee: [first, second, ...], voting: [0, 1]}: members are specifications of their own.

    Each is evaluated on the calling rank alone, LAMMPS too: members that share an evaluation among ranks and members that don't
    would wait for each other.

    Raises:
        UnknownPotentialError: no list of members.
        CommitteeError: as `Committee` raises it.
    """
    from atomistic.potentials.registry import load_potential

    members = spec["committee"]
    if isinstance(members, str | Mapping) or not isinstance(members, Sequence):
        raise UnknownPotentialError(
            f"A committee is a list of potentials, as in {{committee: [eam-al, eam-al-zhou]}}; got {members!r}."
        )
    for number, member in enumerate(members):
        if member in members[:number]:
            raise CommitteeError(
                f"Members {members.index(member)} and {number} are both {member!r}: they would always agree. Give different ones."
            )
    loaded = [load_potential(member, device=device) for member in members]
    return committee_potential(Committee(loaded, voting=spec.get("voting")))


def _of_heads(heads: Heads, backbone: Backbone, *, name: str | None) -> Potential:
    title = name or f"{backbone.name} with heads"
    model = HeadModel(heads, backbone)
    if heads.size == 1:
        return head_potential(model, name=title)
    return committee_potential(Committee([HeadSource(model, name=title).potential]), name=title)


def training_record(potential: Potential) -> Mapping[str, Any]:
    """Return what was found in the training of heads: frames, penalty, noise, errors on held-out forces.

    Raises:
        CommitteeError: no heads.
    """
    calculator = potential.calculator
    sources = calculator.sources if isinstance(calculator, Committee) else ()
    if len(sources) != 1 or not isinstance(sources[0], HeadSource):
        raise CommitteeError(f"{potential.capabilities.name!r} was not trained here: it is no committee of heads.")
    return sources[0].model.heads.record
