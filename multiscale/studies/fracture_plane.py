"""Stress along a crack's plane by all who can tell: crack field, cohesive law, atoms, elements; J over rings about the tip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from continuum.body import Hyperelastic
from continuum.j_integral import JIntegral
from coupling.crack.profiles import (
    PlaneProfile,
    opening_of_sites,
    traction_of_field,
    traction_of_law,
    traction_of_triangles,
)
from coupling.errors import ProfileError
from multiscale.run import RunDirectory
from multiscale.studies.fracture_fields import cell_fields, plane_stress, row_period
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    EV_PER_A25_IN_MPA_SQRT_M,
)

if TYPE_CHECKING:
    from multiscale.studies.fracture_state import CrackPicture, CrackReferences, PathPoint

Array = NDArray[np.float64]
Law = Callable[[Array], Array]
#: The crack field is written from this far ahead of the tip (Å), at so many places.
_FIELD_FROM, _FIELD_POINTS = 0.5, 80
#: The innermost ring of J begins here, in radii of core and blend: all its elements are whole.
_BEYOND = 1.3


def universal_law(references: CrackReferences) -> Law | None:
    """The universal binding relation with the potential's own peak σ and unrelaxed work W (Rose, Smith and Ferrante 1983).

    T(Δ) = σ (Δ/l) exp(1 − Δ/l), l = W/(eσ): the rigid separation of two halves of the crystal.

    Returns:
        Traction (n,), eV/Å³, of openings (n,), Å; None where the peak is not known.
    """
    peak = references.peak
    if not np.isfinite(peak):
        return None
    length = references.surfaces.rigid / (np.e * peak)
    return lambda opening: peak * opening / length * np.exp(1.0 - opening / length)


def plane_profiles(
    references: CrackReferences, picture: CrackPicture, point: PathPoint, *, law: Law | None = None
) -> list[PlaneProfile]:
    """What each description says of a state; those that cannot tell are left out.

    Args:
        references: of the crack.
        picture: that the state belongs to.
        point: the state.
        law: traction (n,), eV/Å³, of openings (n,), Å; by default that of the references, or the universal relation.

    Returns:
        Crack field, opening of the atoms beside the plane, a cohesive law's answer to it, the atoms' strain by Cauchy–Born,
        elements.
    """
    tip, own = _tip(picture, point), picture.role < 2
    reach = float(picture.body.nodes[:, 0].max()) - tip
    far = tip + np.geomspace(_FIELD_FROM, 0.95 * reach, _FIELD_POINTS)
    found = [traction_of_field(far, point.intensity * references.direction, tip=tip)]
    displacement = point.state.positions - picture.reference
    if law is None:
        law = universal_law(references) if references.separation is None else references.traction
    opening = opening_of_sites(picture.reference[own, :2], displacement[own])
    found.append(opening)
    if law is not None:
        beside = traction_of_law(opening, law)
        found.append(PlaneProfile(name=beside.name, x=beside.x, traction=beside.traction))
    sites, moved = _of_sites(picture, displacement)
    # Without triangles the tip is close to the end of the atoms.
    with suppress(ProfileError):
        found.append(
            traction_of_triangles(
                sites, moved, _within_range(picture.body.material), ahead_of=tip + row_period(picture)
            )
        )
    x, stress = plane_stress(picture, cell_fields(picture, point.state.u[: picture.body.size])["nominal"])
    found.append(
        PlaneProfile(name="elements", x=x, traction=np.column_stack([np.full_like(stress, np.nan), stress, stress]))
    )
    return found


def write_plane(
    run: RunDirectory,
    references: CrackReferences,
    picture: CrackPicture,
    point: PathPoint,
    *,
    law: Law | None = None,
) -> None:
    """plane.csv: opening and normal traction along the crack's plane in one state; each description at its own places."""
    profiles = [profile for profile in plane_profiles(references, picture, point, law=law) if len(profile.x)]
    x = np.unique(np.concatenate([profile.x for profile in profiles]))
    columns = {
        "state": np.full(len(x), point.index),
        "K [MPa*m^0.5]": np.full(len(x), point.intensity * EV_PER_A25_IN_MPA_SQRT_M),
        "tip [nm]": np.full(len(x), _tip(picture, point) * ANGSTROM_IN_NM),
        "x [nm]": x * ANGSTROM_IN_NM,
    }
    for profile in profiles:
        place = np.searchsorted(x, profile.x)
        for kind, values, unit in (("opening", profile.opening, 1.0), ("traction", profile.traction, EV_PER_A3_IN_GPA)):
            if values is not None:
                column = np.full(len(x), np.nan)
                column[place] = values[:, 1] * unit
                columns[f"{kind} of {profile.name} [{'angstrom' if kind == 'opening' else 'GPa'}]"] = column
    run.write_csv("plane.csv", columns, comment="Normal components; tractions are forces per undeformed area.")


def rings_about(
    picture: CrackPicture, point: PathPoint, *, room: float, count: int = 6
) -> tuple[PathPoint, Array, Array]:
    """J over rings between the blend and a distance.

    Args:
        picture: that the state belongs to.
        point: the state.
        room: outer radius of the last ring, Å: inside the body.
        count: of rings.

    Returns:
        The state, the radii (r + 1,), Å, about the middle of the zone, and J (r,), eV/Å²; none where there is no room.
    """
    clear = _BEYOND * (picture.radius + picture.width)
    if room < 1.5 * clear:
        return point, np.zeros(1), np.zeros(0)
    radii = np.geomspace(clear, room, count + 1)
    ring = JIntegral(picture.body, tip=picture.center, inner=clear, outer=room, weights=picture.cell_weights)
    return point, radii, ring.rings(point.state.u[: picture.body.size], radii)


def write_rings(
    run: RunDirectory, references: CrackReferences, rings: Sequence[tuple[PathPoint, Array, Array]]
) -> None:
    """rings.csv: J over rings about the tip.

    Args:
        run: where to.
        references: of the crack.
        rings: a state, radii (r + 1,), Å, and J (r,) of the rings between, eV/Å², of each.
    """
    rings = [ring for ring in rings if len(ring[2])]
    if not rings:
        return
    counts = [len(values) for _, _, values in rings]

    def repeated(values: Sequence[float]) -> Array:
        return np.repeat(np.asarray(values, dtype=float), counts)

    points = [point for point, _, _ in rings]
    radii = [np.asarray(radius, dtype=float) for _, radius, _ in rings]
    run.write_csv(
        "rings.csv",
        {
            "state": repeated([point.index for point in points]),
            "K [MPa*m^0.5]": repeated([point.intensity * EV_PER_A25_IN_MPA_SQRT_M for point in points]),
            "inner radius [nm]": np.concatenate([radius[:-1] for radius in radii]) * ANGSTROM_IN_NM,
            "outer radius [nm]": np.concatenate([radius[1:] for radius in radii]) * ANGSTROM_IN_NM,
            "radius [nm]": np.concatenate([0.5 * (radius[1:] + radius[:-1]) for radius in radii]) * ANGSTROM_IN_NM,
            "J [J/m^2]": np.concatenate([values for _, _, values in rings]) * EV_PER_A2_IN_J_PER_M2,
            "G [J/m^2]": repeated([references.release(point.intensity) * EV_PER_A2_IN_J_PER_M2 for point in points]),
        },
        comment="G: energy that K releases by Stroh's formalism.",
    )


def _tip(picture: CrackPicture, point: PathPoint) -> float:
    """The tip by the field, else by bonds, else the middle of the zone, Å."""
    known = [x for x in (point.tip_field, point.tip_bonds) if np.isfinite(x)]
    return known[0] if known else float(picture.center[0])


def _of_sites(picture: CrackPicture, displacement: Array) -> tuple[Array, Array]:
    """Places (s, 2) and displacements (s, 3) of the sites of core and blend: means over their atoms."""
    own = picture.role < 2
    _, row = np.unique(picture.site[own], return_inverse=True)
    count = np.bincount(row)

    def mean(values: Array) -> Array:
        return np.column_stack([np.bincount(row, column) / count for column in values[own].T])

    return mean(picture.reference[:, :2]), mean(displacement)


def _within_range(material: Hyperelastic) -> Callable[[Array], Array]:
    """The material's stress, NaN where the strain is beyond what it was fitted to."""
    over = getattr(material, "strain_over_range", None)

    def stress(gradient: Array) -> Array:
        found: Array = np.array(material.stress(gradient))
        if over is not None:
            found[over(gradient) > 1.0] = np.nan
        return found

    return stress
