"""The case of the fracture study: a sharp crack in a crystal, its tip by atoms, its far field elastic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.common import StudyCase
from multiscale.config.crack import CrackBody, CrackModel, DiscBody
from multiscale.config.embedding_zone import ZoneEmbeddingModel, check_zone_embedding
from multiscale.config.handshake import LEAST_TOLERANCE, MaterialModel, ZoneModel, check_zone
from multiscale.config.impurity import ImpurityModel
from multiscale.config.learning_coupled import CoupledLearningModel, check_learning
from multiscale.units import Force, Length, Level, LoadLevel, format_length

START = Level(value=0.9, of="K_G")


class CrackZoneModel(ZoneModel):
    """The atoms about the tip."""

    radius: Length = Field(examples=["1.2 nm"])
    """radius of the core, where atoms are atoms"""
    ahead: Length | None = Field(default=None, examples=["0.5 nm"])
    """how far its middle lies ahead of the tip; by default it is the tip"""


class CrackMaterialModel(MaterialModel):
    """The continuum made from the potential: tips strain it more than point defects do."""

    largest_strain: float = Field(default=0.08, gt=0.0, le=0.2)
    """strain up to which the expansion is fitted, and to which elements may be strained"""
    order: int = Field(default=6, ge=2, le=6)
    """order of the expansion"""


class PathModel(CaseModel):
    """What all ways of loading share."""

    recentre: bool = False
    """move the zone with the tip instead of stopping where the tip reaches the blend"""


class FollowModel(PathModel):
    """Continuation: through the breaking of bonds, forwards and backwards in load, on stable and unstable branches."""

    path: Literal["follow"]
    start: LoadLevel = START
    """load at which the path begins"""
    advance: int = Field(default=1, ge=1)
    """periods of the lattice by which the crack shall grow"""
    heal: bool = False
    """from the start go the other way too, until the crack has closed by one period"""
    largest_step: Length = Field(default="0.1 angstrom", validate_default=True)
    """largest displacement of a core atom between two states"""
    max_states: int = Field(default=200, ge=3)
    """states at most, each way"""


class StepsModel(PathModel):
    """Loads one after the other, atoms relaxed at each: what potentials of single precision can do."""

    path: Literal["steps"]
    levels: tuple[LoadLevel, ...] | None = Field(default=None, examples=[["0.9 K_G", "1.1 K_G", "0.9 K_G"]])
    """the loads, up and down as wanted; instead of start, peak and step"""
    start: LoadLevel | None = Field(default=None, examples=["0.9 K_G"])
    """first load"""
    peak: LoadLevel | None = Field(default=None, examples=["1.2 K_G"])
    """largest load"""
    end: LoadLevel | None = Field(default=None, examples=["0.8 K_G"])
    """last load, after the peak; without one the run ends at the peak"""
    step: LoadLevel | None = Field(default=None, examples=["0.05 K_G"])
    """between two loads"""
    advance: int | None = Field(default=None, ge=1)
    """turn back as soon as the crack has grown by so many periods; by default only at the peak"""
    max_states: int = Field(default=60, ge=1)
    """states at most"""

    @model_validator(mode="after")
    def _one_list(self) -> StepsModel:
        ramp = [name for name in ("start", "peak", "step") if getattr(self, name) is not None]
        if self.levels is not None:
            if not self.levels:
                raise KeyedError("the list holds no load. Write, for example, [0.9 K_G, 1.0 K_G, 1.1 K_G]", "levels")
            if ramp or self.end is not None:
                raise KeyedError(
                    f"levels and {(ramp or ['end'])[0]} exclude each other: the list says every load. Leave one of them out",
                    "levels",
                )
            return self
        if missing := [name for name in ("start", "peak", "step") if name not in ramp]:
            raise KeyedError(
                f"steps need levels, or start, peak and step; missing: {', '.join(missing)}. Write, for example, levels: "
                "[0.9 K_G, 1.0 K_G, 1.1 K_G]"
            )
        for name in ("peak", "end", "step"):
            given = getattr(self, name)
            if given is not None and given.of != self.start.of:  # type: ignore[union-attr]
                raise KeyedError(
                    f"start is given as a {_kind(self.start)} and {name} as a {_kind(given)}. Give all in one unit",
                    name,
                )
        assert self.start is not None
        assert self.peak is not None
        assert self.step is not None
        if not self.step.value > 0.0:
            raise KeyedError("steps of nothing lead nowhere. Write, for example, step: 0.05 K_G", "step")
        if self.peak.value < self.start.value:
            raise KeyedError("the peak lies below the start. Exchange them, or write levels", "peak")
        return self

    @property
    def wanted(self) -> tuple[Level, ...]:
        """All loads in their order."""
        if self.levels is not None:
            return self.levels
        assert self.start is not None
        assert self.peak is not None
        assert self.step is not None
        of, step = self.start.of, self.step.value
        up = _ramp(self.start.value, self.peak.value, step)
        down = [] if self.end is None else _ramp(self.peak.value, self.end.value, step)[1:]
        return tuple(Level(value=value, of=of) for value in (*up, *down))


def _kind(level: Level | None) -> str:
    return "share of K_G" if level is None or level.of == "K_G" else level.of


def _ramp(first: float, last: float, step: float) -> list[float]:
    """Values from first to last, the last one whatever remains."""
    count = int(abs(last - first) / step * (1.0 - 1e-9))
    sign = 1.0 if last >= first else -1.0
    values = [round(first + sign * k * step, 12) for k in range(count + 1)]
    return [*values, last] if last != first else values


CrackLoad = Annotated[FollowModel | StepsModel, Field(discriminator="path")]


class CrackSolverModel(CaseModel):
    """How the equilibrium of each load is sought."""

    tolerance: Force = Field(default="1e-6 eV/angstrom", validate_default=True, examples=["1e-6 eV/angstrom"])
    """largest force left on an unknown"""
    type: Literal["auto", "newton", "fall"] = "auto"
    """newton: by second derivatives, the potential's own or differences of forces; fall: forces alone, stable states only;
    auto: newton for continuation and where the potential has derivatives of its own"""
    max_iterations: int = Field(default=80, ge=1)
    """for one state, each a call of the potential"""
    max_calls: int = Field(default=200_000, ge=1)
    """of the potential on the zone, in the whole run; there it stops with what it has"""
    depth: int = Field(default=20, ge=1, le=100)
    """vectors that the acceleration keeps"""

    @model_validator(mode="after")
    def _attainable(self) -> CrackSolverModel:
        if self.tolerance < LEAST_TOLERANCE:
            raise KeyedError(
                f"a force of {self.tolerance:.1e} eV/Å is lost in rounding. Write at least {LEAST_TOLERANCE:g} eV/angstrom",
                "tolerance",
            )
        return self


class FractureOutputModel(CaseModel):
    """What is written."""

    states_every: int = Field(default=10, ge=0)
    """write atoms and fields every so many states, and at the turning points; 0: at the start, the end and the turning points"""


class FractureCase(StudyCase):
    """A sharp crack in a crystal: its tip in a zone of atoms, its far field in finite elements of the same crystal."""

    study: Literal["fracture"] = "fracture"
    """kind of study"""
    crack: CrackModel = Field(examples=[{"plane": [1, 1, 1], "front": [1, -1, 0]}])
    """plane, front, cut and mode"""
    zone: CrackZoneModel = Field(examples=[{"radius": "1.2 nm"}])
    """the atoms about the tip"""
    body: CrackBody = Field(examples=[{"shape": "disc", "radius": "100 nm"}])
    """what surrounds them"""
    load: CrackLoad = Field(default=FollowModel(path="follow"), examples=[{"path": "follow", "start": "0.9 K_G"}])
    """what is done to the crack"""
    impurity: ImpurityModel | None = Field(default=None, examples=[{"element": "H"}])
    """a foreign atom at the tip, between the lattice sites or on one"""
    embedding: ZoneEmbeddingModel | None = Field(default=None, examples=[{"engine": "sevennet-l3i5"}])
    """a quantum region about the tip"""
    learning: CoupledLearningModel | None = Field(default=None, examples=[{"oracle": "sevennet-l3i5"}])
    """teach the potential where the crack's tip leaves what it knows"""
    material: CrackMaterialModel = CrackMaterialModel()
    """the continuum made from the potential"""
    solver: CrackSolverModel = CrackSolverModel()
    """how the equilibrium of each load is sought"""
    output: FractureOutputModel = FractureOutputModel()
    """what is written"""

    @property
    def gripped(self) -> bool:
        """Whether grips pull the body."""
        return not isinstance(self.body, DiscBody)

    @property
    def levels(self) -> tuple[Level, ...]:
        """All loads that the case names."""
        return self.load.wanted if isinstance(self.load, StepsModel) else (self.load.start,)

    @model_validator(mode="after")
    def _consistent(self) -> FractureCase:
        hexagonal = self.crystal.structure == "hcp"
        if len(self.crack.plane) == 4 and not hexagonal:
            raise KeyedError(
                f"plane {list(self.crack.plane)} has four indices, which only hcp has; the crystal is "
                f"{self.crystal.structure}. Write three Miller indices",
                "crack",
                "plane",
            )
        front, growth = self.crack.front, self.crack.growth
        if front and growth and not hexagonal and sum(a * b for a, b in zip(front, growth, strict=True)) != 0:
            raise KeyedError(
                f"front {list(front)} and growth {list(growth)} are not at right angles. Leave one of them out: the other "
                "follows from the plane",
                "crack",
                "growth",
            )
        check_zone(self.zone, method="bqcf", dimension=2)
        if self.solver.type == "fall" and isinstance(self.load, FollowModel):
            raise KeyedError(
                "continuation passes unstable states, which forces alone do not find. Write solver.type: newton, or load.path: "
                "steps",
                "solver",
                "type",
            )
        self._check_body()
        self._check_loads()
        self._check_embedding()
        check_learning(self)
        return self

    def _check_embedding(self) -> None:
        """Refuse quantum regions and impurities that the path cannot have."""
        check_zone_embedding(self.embedding, self.impurity, method="bqcf", crack=True, species=self.crystal.species)
        if self.impurity is not None and self.load.recentre:
            raise KeyedError(
                "a zone that moves along with the tip leaves its impurity behind. Leave recentre out, or enlarge zone.radius",
                "load",
                "recentre",
            )

    def _check_body(self) -> None:
        """Refuse a zone that the body cannot hold, as far as it can be told without the potential."""
        reach = self.zone.radius + (self.zone.blend or 0.0) + (self.zone.pad or 0.0)
        body = self.body
        if isinstance(body, DiscBody):
            room, what = body.radius, "the rim of the disc"
        else:
            room = min(0.5 * body.height, body.crack)
            what = "the nearest side of the body"
        if reach + (self.zone.ahead or 0.0) >= room:
            raise KeyedError(
                f"the zone, blend and pad as far as given, reaches {format_length(reach)} and {what} is "
                f"{format_length(room)} from the tip. Make the zone smaller or the body larger",
                "zone",
                "radius",
            )
        if self.gripped and not self.crack.mode.pure:
            raise KeyedError(
                "grips open the crack in mode I, and the case asks for another mode. Leave mode out, or take shape: disc",
                "crack",
                "mode",
            )

    def _check_loads(self) -> None:
        """Refuse openings of grips that are not there."""
        load = self.load
        where = "levels" if isinstance(load, StepsModel) and load.levels is not None else "start"
        if not self.gripped and any(level.of == "length" for level in self.levels):
            raise KeyedError(
                "a disc has no grips to open: its rim follows the K-field. Write 0.9 K_G or 0.6 MPa*m^0.5, or take "
                "another shape",
                "load",
                where,
            )
