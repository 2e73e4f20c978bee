"""From the embedding and impurity blocks of a case with a zone to the zone's atoms with a quantum region among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.interstitials import find_interstitials
from atomistic.lattice import SiteTable
from atomistic.potentials import Potential
from atomistic.potentials.eam import EAMModel
from atomistic.site_energies import AtomCluster, SiteEnergies
from coupling.embedding import Links, Region, SubCell
from coupling.embedding.extra import ExtraAtoms, RestOptions, Surrogate
from coupling.embedding.sites import EmbeddedSites, check_inside
from coupling.embedding.zone_region import ZoneRegion
from coupling.errors import EmbeddingError
from coupling.handshake import CoupledModel
from multiscale.config.embedding_zone import ZoneCellModel, ZoneEmbeddingModel
from multiscale.config.impurity import ImpurityModel
from multiscale.studies.embedding_build import build_selection, load_engine

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Holes are looked for this far (Å) from where an impurity is asked for.
_WITHIN = 8.0
#: Neighbours that carry an impurity along.
_NEIGHBOURS = 12
#: Radius of the cluster in which an impurity comes to rest first, in cutoffs: all that its force feels of an embedded-atom
#: potential; of others the most of it.
_EXACT, _MOST = 2.05, 1.3
#: Cutoff (Å) where a potential does not say.
_UNKNOWN = 6.0
#: Distance (Å) per tolerance of forces (eV/Å) up to which two structures are one calculation, in the loop.
_MATCH = 0.01
#: Tolerance of an impurity's force as a share of the solver's, and the least that double and single precision allow (eV/Å).
_FINER, _LEAST = 0.1, {"float64": 1e-8, "float32": 2e-5}
#: Rounding of a zone's energy, as a share of it.
_NOISE = {"float64": 1e-11, "float32": 3e-8}


@dataclass(frozen=True, kw_only=True)
class ZonePlace:
    """What a study knows of its zone.

    Attributes:
        depth: distance (n,) of undeformed places (n, 2 or 3) from the core, Å: negative inside.
        center: (2 or 3) undeformed place near which an impurity is looked for where the case names none, Å.
        tolerance: of the solver's forces, eV/Å.
        site_range: up to which a site's energy feels another atom, Å.
        tip: x of a crack's tip, Å; None without one.
    """

    depth: Callable[[Array], Array]
    center: tuple[float, ...]
    tolerance: float
    site_range: float
    tip: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedZone[Model: CoupledModel]:
    """A coupled model with quantum regions and impurities in its zone.

    Attributes:
        model: whose atoms are `sites`.
        sites: site energies with what was asked for in the loop.
        region: the quantum region, also where only single points ask it; None without one.
        atoms: (n + m) the zone's atoms and, after them, the interstitial one, undeformed but for F₀.
        extras: m.
        warnings: what a reader of the results should know.
    """

    model: Model
    sites: EmbeddedSites
    region: ZoneRegion | None
    atoms: Atoms
    extras: int
    warnings: list[str]


class EmbeddedMaker:
    """What drives the zone's atoms; of a part of them, that part alone without extra atoms.

    Args:
        sites: of the whole zone.
        whole: bound to the zone's lattice atoms with their impurities.
        indices: (k, m) lattice indices of the zone's sites.
    """

    def __init__(self, sites: EmbeddedSites, whole: AtomCluster, indices: Indices) -> None:
        self._sites, self._whole, self._indices = sites, whole, np.asarray(indices)
        self._table = SiteTable(indices)

    def __call__(self, indices: Indices) -> SiteEnergies:
        """Atoms at lattice indices (n, m)."""
        if np.array_equal(indices, self._indices):
            return self._sites
        found = np.asarray(self._table.find(indices))
        if (found < 0).any():
            raise EmbeddingError(
                f"{int((found < 0).sum())} sites are not of the zone that the quantum region was cut from"
            )
        per_site = len(self._whole.symbols) // len(self._indices)
        rows = (found[:, None] * per_site + np.arange(per_site)).ravel()
        symbols = [self._whole.symbols[int(row)] for row in rows]
        return self._sites.restricted(self._whole.of(symbols), rows)


def embed_zone[Model: CoupledModel](
    model: Model,
    *,
    embedding: ZoneEmbeddingModel | None,
    impurity: ImpurityModel | None,
    place: ZonePlace,
    comm: MPI.Comm,
    cache: Path | None = None,
    oracle: Potential | None = None,
) -> EmbeddedZone[Model]:
    """Put the quantum region and the impurity of a case into the zone of a model (collective).

    Args:
        model: whose atoms are bound by an `AtomCluster`.
        embedding: None for no quantum region.
        impurity: None for none.
        place: what the study knows of the zone.
        comm: ranks that call together.
        cache: directory of finished quantum calculations where the block names none.
        oracle: a loaded engine.

    Raises:
        EmbeddingError: a region or an impurity that does not fit into the core.
        OracleError: no such engine.
        UnknownElementError: the potential or the engine does not know the impurity.
    """
    plain = model.atoms
    assert isinstance(plain, AtomCluster)
    places = model.places(np.zeros(model.shape))
    zone, extra = _with_impurity(plain.structure(places), impurity, place, model.far_field)
    if embedding is None and impurity is None:
        return EmbeddedZone(model=model, sites=EmbeddedSites(plain), region=None, atoms=zone, extras=0, warnings=[])
    region = None
    if embedding is not None:
        engine = oracle or _engine(embedding, place, cache, comm)
        region = _region(embedding, zone, model, place, qm=engine, ml=plain.potential, comm=comm)
    beyond = np.zeros((0, 3)) if extra is None else extra
    check_inside(
        [] if region is None else [region],
        weights=_weights(model),
        places=undeformed(model, places),
        depth=place.depth,
        extra=undeformed(model, beyond),
        reach=_cutoff(plain.potential),
    )
    whole = plain.of(list(zone.symbols[: len(places)]))
    base = whole if extra is None else plain.of(list(zone.symbols))
    looped = [region] if region is not None and embedding is not None and embedding.mode == "in the loop" else []
    rest = None if extra is None else _at_rest(extra, places, base, place, looped)
    sites = EmbeddedSites(base, regions=looped, extra=rest)
    maker = EmbeddedMaker(sites, whole, model.partition.indices[model.present])
    return EmbeddedZone(
        model=replace(model, make_atoms=maker, make_perfect=model.make_perfect or model.make_atoms),
        sites=sites,
        region=region,
        atoms=zone,
        extras=len(beyond),
        warnings=_warnings(embedding, impurity, region, model, place),
    )


def undeformed(model: CoupledModel, places: Array) -> Array:
    """Undeformed places (n, k) in the mesh of places under F₀ (n, c)."""
    dimension = model.body.nodes.shape[1]
    found: Array = np.linalg.solve(model.far_field, places.T).T[:, :dimension]
    return found


def _weights(model: CoupledModel) -> Array:
    """(n,) 1 − β of the present atoms, those of one site alike."""
    count = len(model.places(np.zeros(model.shape)))
    return np.repeat(model.weights, count // len(model.weights))


def _cutoff(potential: Potential) -> float:
    """Distance up to which two atoms are linked, Å."""
    known = potential.capabilities.cutoff or getattr(potential.site_model, "cutoff", None)
    return float(known or _UNKNOWN)


def _with_impurity(
    zone: Atoms, impurity: ImpurityModel | None, place: ZonePlace, far_field: Array
) -> tuple[Atoms, Array | None]:
    """The zone with its impurity: on a site, or appended; and where it lies then, (1, 3), Å.

    Raises:
        EmbeddingError: there is no such site.
    """
    if impurity is None:
        return zone, None
    wanted = np.zeros(3)
    asked = impurity.at or place.center
    wanted[: len(asked)] = asked
    wanted = far_field @ wanted
    if impurity.site == "substitutional":
        away = zone.positions - wanted
        plane = slice(0, 2 if zone.pbc[2] else 3)
        row = int(np.argmin(np.linalg.norm(away[:, plane], axis=1)))
        found = zone.copy()
        found.symbols[row] = impurity.element
        return found, None
    kind = impurity.site
    holes = find_interstitials(zone, near=wanted, kind=kind, within=_WITHIN)
    if not holes:
        raise EmbeddingError(
            f"no {kind} hole lies within {_WITHIN:g} Å of {np.round(wanted, 2).tolist()} Å: give another place (impurity.at), or "
            "site: largest"
        )
    found = zone + Atoms(impurity.element, positions=[holes[0].position])
    found.set_cell(zone.cell)
    found.pbc = zone.pbc
    return found, np.array([holes[0].position])


def _at_rest(
    extra: Array, places: Array, base: AtomCluster, place: ZonePlace, regions: Sequence[ZoneRegion]
) -> ExtraAtoms:
    """What keeps the interstitial atom at rest, first in a cluster of its neighbours."""
    potential = base.potential
    away = np.linalg.norm((places - extra[0])[:, : 2 if base.periodic[2] else 3], axis=1)
    radius = (_EXACT if isinstance(potential.site_model, EAMModel) else _MOST) * _cutoff(potential)
    rows = np.flatnonzero(away < radius)
    local = base.of([*(base.symbols[int(row)] for row in rows), *base.symbols[len(places) :]])
    engines = [potential, *(region.qm for region in regions)]
    single = any(engine.capabilities.precision == "float32" for engine in engines)
    noise = _NOISE["float32" if single else "float64"]
    near = np.argsort(np.linalg.norm(places - extra[0], axis=1), kind="stable")[:_NEIGHBOURS]
    return ExtraAtoms(
        start=extra,
        near=np.sort(near),
        reference=places,
        surrogate=_local(local, rows),
        options=RestOptions(
            tolerance=max(_FINER * place.tolerance, _LEAST["float32" if single else "float64"]),
            # Mixed forces have no energy to fall.
            noise=np.inf if any(region.mixing for region in regions) else noise,
        ),
    )


def _engine(embedding: ZoneEmbeddingModel, place: ZonePlace, cache: Path | None, comm: MPI.Comm) -> Potential:
    """The quantum engine. In the loop what it finds is kept on disk where it is dear, or where the case says so."""
    if embedding.mode == "single points":
        return load_engine(embedding, cache=cache, comm=comm)
    # A result found again for a structure nearby is wrong by its distance times a stiffness: far below the tolerance.
    tight = embedding.model_copy(update={"match": min(embedding.match, _MATCH * place.tolerance)})
    if embedding.cache is None:
        engine = load_engine(tight, cache=None, comm=comm)
        if not engine.capabilities.electronic:
            return engine
    return load_engine(tight, cache=cache, comm=comm)


def _local(cluster: AtomCluster, rows: Indices) -> Surrogate:
    """∂E/∂x of a cluster of some sites and the extra atoms."""

    def gradient(y: Array, x: Array) -> Array:
        return cluster.energy_and_gradient(np.concatenate([y[rows], x]))[1][len(rows) :]

    return gradient


def _region(
    embedding: ZoneEmbeddingModel,
    zone: Atoms,
    model: CoupledModel,
    place: ZonePlace,
    *,
    qm: Potential,
    ml: Potential,
    comm: MPI.Comm,
) -> ZoneRegion:
    """Cut the quantum region out of the zone.

    Raises:
        EmbeddingError: more atoms than allowed, or a region that does not fit.
    """
    tip = None if place.tip is None else (place.tip, 0.0)
    cell = embedding.cell
    region = Region(
        core=build_selection(embedding.core, tip=None if tip is None else lambda atoms: np.array(tip), potential=ml),
        buffer=embedding.buffer,
        blend=embedding.blend,
        links=Links() if embedding.links == "hydrogen" else None,
        cell=None if cell is None else _sub_cell(cell, model, zone),
        vacuum=embedding.vacuum,
        charge=embedding.charge,
        spin=embedding.spin,
        name="quantum region",
    )
    found = ZoneRegion(
        zone,
        region,
        qm=qm,
        ml=ml,
        mixing=embedding.scheme == "force mixing",
        repeat=1 if cell is None else cell.deep,
        comm=comm,
    )
    if len(found) > embedding.largest:
        raise EmbeddingError(
            f"the quantum region holds {len(found)} atoms ({found.cluster.structure(found.whole).symbols}), more than the "
            f"{embedding.largest} allowed: take a smaller core, buffer or cell, or raise embedding.largest"
        )
    return found


def _sub_cell(cell: ZoneCellModel, model: CoupledModel, zone: Atoms) -> SubCell:
    """The periodic cell: whole rows of the lattice along x, planes along y, periods of the body along z, under F₀."""
    lattice = model.partition.lattice
    period = cell.deep * zone.cell.array[2]
    along = model.far_field @ (cell.along * (lattice.row @ lattice.vectors[:2]))
    # How high along z a row's next atom lies is known up to whole periods of C.
    along = along - period * np.rint(along[2] / period[2])
    across = model.far_field @ np.array([0.0, cell.planes * lattice.row_spacing, 0.0])
    return SubCell(np.array([along, across, period]), periodic=(True, False, True), trusted=True)


def _warnings(
    embedding: ZoneEmbeddingModel | None,
    impurity: ImpurityModel | None,
    region: ZoneRegion | None,
    model: CoupledModel,
    place: ZonePlace,
) -> list[str]:
    """What a user should know of the quantum region before trusting the numbers."""
    found = []
    if impurity is not None and model.components > model.partition.lattice.dimension:
        period = model.partition.lattice.thickness
        found.append(
            f"the body repeats along its front every {period:.2f} Å, and so does its impurity: a row of "
            f"{impurity.element} atoms, not one"
        )
    if embedding is None or region is None:
        return found
    if embedding.cell is None and region.region.buffer < place.site_range:
        found.append(
            f"the quantum region's buffer of {region.region.buffer:.1f} Å is narrower than the {place.site_range:.1f} Å up to "
            "which a site's energy feels another atom: what does not cancel of the potential's own energy is in the results as "
            "the remainder of the core"
        )
    if embedding.cell is not None:
        half = 0.5 * float(np.linalg.norm(region.region.cell.vectors[1]))  # type: ignore[union-attr]
        if half < place.site_range:
            found.append(
                f"the quantum cell ends {half:.1f} Å above and below its core, and a site's energy feels other atoms up to "
                f"{place.site_range:.1f} Å: its surfaces are part of what it says"
            )
    engine = region.qm.capabilities
    if embedding.mode == "in the loop" and engine.precision == "float32" and place.tolerance < 1e-5:
        found.append(f"{engine.name} computes in float32: its noise, about 1e-6 eV/Å in forces, bounds the tolerance")
    return found
