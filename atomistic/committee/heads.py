"""Heads: small functions of a backbone's scalars, several side by side, that correct the backbone's energies of atoms."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomistic.committee.random_features import FeatureMap
from atomistic.errors import CommitteeError, ModelFileError
from atomistic.whole_file import write_whole

Array = NDArray[np.float64]
FORMAT = 1
#: The entry by which a file of heads is known.
MARK = "multiscale_heads"


@dataclass(frozen=True, kw_only=True)
class SpeciesHead:
    """The heads of one species.

    Attributes:
        map: from scalars to features.
        mean: (d,), weights of the mean head, eV.
        deviations: (d, K), of each member about it, eV; they add up to zero.
        offset: eV, how far the reference's energy of such an atom lies above the model's.
        root: (d, d), lower triangle; |root⁻¹φ| says how unlike the training atoms an atom is, 1 for the farthest of them.
    """

    map: FeatureMap
    mean: Array
    deviations: Array
    offset: float
    root: Array


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Trained heads and what they belong to.

    Attributes:
        species: of each chemical symbol, its heads.
        backbone: the model, as `load_potential` takes it.
        layers: how many of its layers they see.
        identity: name and hash of the model's file, so that another is not taken for it.
        record: of the training: frames, penalty, noise, scale of the deviations.
    """

    species: Mapping[str, SpeciesHead]
    backbone: str | Mapping[str, Any]
    layers: int
    identity: Mapping[str, Any]
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of members."""
        return next(iter(self.species.values())).deviations.shape[1]

    def member(self, k: int) -> Heads:
        """Return the heads whose mean is member k, with no others beside it."""
        if not 0 <= k < self.size:
            raise CommitteeError(f"There is no member {k}; the committee has members 0 to {self.size - 1}.")
        alone = {
            symbol: SpeciesHead(
                map=head.map,
                mean=head.mean + head.deviations[:, k],
                deviations=np.zeros((len(head.mean), 1)),
                offset=head.offset,
                root=head.root,
            )
            for symbol, head in self.species.items()
        }
        return Heads(
            species=alone,
            backbone=self.backbone,
            layers=self.layers,
            identity=self.identity,
            record={**self.record, "member": k},
        )

    def save(self, path: str | Path) -> Path:
        """Write the heads as .npz, whole or not at all.

        Raises:
            ModelFileError: another suffix than .npz, or a file that cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ModelFileError(f"Heads are saved as .npz, by which they are known again; got {path.name!r}.")
        header = {
            "format": FORMAT,
            "backbone": self.backbone,
            "layers": self.layers,
            "identity": dict(self.identity),
            "record": dict(self.record),
            "species": {s: {"offset": h.offset, "length": h.map.length} for s, h in self.species.items()},
        }
        arrays: dict[str, Any] = {MARK: np.array(json.dumps(header, sort_keys=True))}
        for symbol, head in self.species.items():
            for name in ("centre", "projection", "frequencies", "phases"):
                arrays[f"{symbol}_{name}"] = getattr(head.map, name)
            for name in ("mean", "deviations", "root"):
                arrays[f"{symbol}_{name}"] = getattr(head, name)
        try:
            packed = io.BytesIO()
            np.savez(packed, **arrays)
            write_whole(path, packed.getvalue())
        except OSError as error:
            raise ModelFileError(
                f"The heads cannot be written to {path} ({error.strerror}). Choose another file."
            ) from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Heads:
        """Read heads that `save` wrote.

        Raises:
            ModelFileError: no such file, another kind of file, or one of another format.
        """
        path = Path(path)
        if not is_heads(path):
            raise ModelFileError(f"{path} holds no heads: expected the .npz file that training has saved.")
        try:
            with np.load(path) as archive:
                header = json.loads(str(archive[MARK]))
                if header["format"] != FORMAT:
                    raise ModelFileError(
                        f"{path} has format {header['format']}, and this version reads {FORMAT}. Train the heads again from "
                        "their data set."
                    )
                species = {s: _species(archive, s, known) for s, known in header["species"].items()}
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"{path} is damaged ({error}). Train the heads again from their data set.") from error
        return cls(
            species=species,
            backbone=header["backbone"],
            layers=header["layers"],
            identity=header["identity"],
            record=header["record"],
        )


def _species(archive: Any, symbol: str, known: Mapping[str, float]) -> SpeciesHead:
    def read(name: str) -> Array:
        values: Array = archive[f"{symbol}_{name}"]
        return values

    return SpeciesHead(
        map=FeatureMap(
            centre=read("centre"),
            projection=read("projection"),
            frequencies=read("frequencies"),
            phases=read("phases"),
            length=known["length"],
        ),
        mean=read("mean"),
        deviations=read("deviations"),
        offset=known["offset"],
        root=read("root"),
    )


def is_heads(path: Path) -> bool:
    """Whether a file holds heads, told from its contents."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return f"{MARK}.npy" in archive.namelist()
