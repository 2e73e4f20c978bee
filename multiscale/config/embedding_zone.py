"""A quantum region inside a zone of atoms that lies in finite elements."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.embedding import EmbeddingModel, none_by_name
from multiscale.config.impurity import ImpurityModel

MOST_POINTS = 6
"""Single points that a case may ask for: quantum calculations are dear."""


class ZoneCellModel(CaseModel):
    """A periodic quantum cell cut out of a plane zone of atoms, in periods of its own lattice."""

    along: int = Field(default=1, ge=1, le=8)
    """periods of the lattice along x that it spans, and with which it repeats"""
    planes: int = Field(default=6, ge=1, le=40)
    """planes of atoms along y, half on either side of the core, with vacuum beyond"""
    deep: int = Field(default=1, ge=1, le=8)
    """periods of the body along z that it spans; its energy counts for one of them"""

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Along x and z."""
        return True, False, True


class ZoneEmbeddingModel(EmbeddingModel):
    """A quantum region inside the core of a zone of atoms."""

    cell: Annotated[ZoneCellModel | None, BeforeValidator(none_by_name)] = None  # type: ignore[assignment]
    """periodic cell of the quantum region, for plane bodies, which repeat along z; by default a cluster in vacuum"""
    states: tuple[int, ...] | None = Field(default=None, min_length=1, examples=[[0, 10, -1]])
    """single points: numbers of the states to compute, from 0, −1 for the last; by default the first and the last"""
    largest: int = Field(default=100, ge=1, examples=[25])
    """refuse a quantum region of more atoms, caps included"""

    @model_validator(mode="after")
    def _few_points(self) -> ZoneEmbeddingModel:
        if self.states is None:
            return self
        if self.mode == "in the loop":
            raise KeyedError(
                "in the loop every state is computed. Write mode: single points, or leave states out", "states"
            )
        if len(set(self.states)) > MOST_POINTS:
            raise KeyedError(
                f"{len(set(self.states))} quantum calculations are asked for, more than the {MOST_POINTS} that a run makes. "
                "Name fewer states",
                "states",
            )
        return self


def check_zone_embedding(
    embedding: ZoneEmbeddingModel | None,
    impurity: ImpurityModel | None,
    *,
    method: str,
    dimension: int = 2,
    crack: bool = False,
    species: Any = (),
) -> None:
    """Refuse what the zone of a case cannot have.

    Args:
        embedding: the block of the case.
        impurity: the block of the case.
        method: by which atoms and elements are joined.
        dimension: of the body.
        crack: whether there is a crack's tip.
        species: of the crystal.

    Raises:
        KeyedError: pointing at the key.
    """
    if impurity is not None:
        if "repeat" in impurity.model_fields_set:
            raise KeyedError(
                "repeat is the coverage of a stack; in a zone the impurity repeats with the body. Leave it out",
                "impurity",
                "repeat",
            )
        if impurity.site == "substitutional" and impurity.element in species:
            raise KeyedError(
                f"{impurity.element} in place of {impurity.element} is no impurity. Choose another element, or a hole",
                "impurity",
                "element",
            )
        if impurity.at is not None and len(impurity.at) != dimension:
            raise KeyedError(
                f"at has {len(impurity.at)} coordinates for a body of dimension {dimension}. Write {dimension}",
                "impurity",
                "at",
            )
    if embedding is None:
        return
    if embedding.needs_tip and not crack:
        raise KeyedError(
            "the core lies about a crack's tip, and this study has none. Choose it by near, species or indices",
            "embedding",
            "core",
        )
    if embedding.scheme == "force mixing" and embedding.mode == "single points":
        raise KeyedError(
            "single points are energies, which mixed forces don't have. Write scheme: subtractive",
            "embedding",
            "scheme",
        )
    if embedding.scheme == "force mixing" and method not in ("bqcf", "schwarz"):
        raise KeyedError(
            f"mixed forces have no energy, and the method {method} minimises one. Write method: bqcf, or scheme: subtractive",
            "embedding",
            "scheme",
        )
    if embedding.cell is not None and dimension == 3:
        raise KeyedError(
            "a periodic quantum cell along planes belongs to a plane body. Leave cell out: a cluster in vacuum fits a body of "
            "dimension 3",
            "embedding",
            "cell",
        )
