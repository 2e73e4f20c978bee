"""Partitions around a crack's tip: a slit mesh counts every volume once, and its seam is weighed as an interface's line."""

from dataclasses import replace

import numpy as np
import pytest
from bodies import REST, TOY

from atomistic.lattice import triangular_lattice
from continuum.crack_bodies import Disc as Outline
from continuum.laws import UberLaw
from continuum.mesh import graded_mesh, open_slit
from coupling.handshake import checks, couple, make_method
from coupling.zones import Disc

ZONE = Disc(center=(0.0, 0.0), radius=8.0)
WIDTH = 5.0
OUTLINE = Outline(radius=400.0)
CUTS = {
    "crack": OUTLINE.is_open,
    "joined": lambda x: np.zeros(len(x), dtype=bool),
    "apart": lambda x: np.ones(len(x), dtype=bool),
}


def lattice():
    """Rows half a spacing above and below the crack's line, facing sites on both sides of x = 0."""
    found = triangular_lattice()
    return replace(found, origin=0.5 * found.basis[1] - 0.5 * found.basis[0])


def tied_mesh():
    sites = lattice()
    return graded_mesh(
        basis=sites.basis,
        origin=sites.origin,
        distance=lambda x: ZONE.distance(x) - WIDTH,
        domain=OUTLINE.corners,
        interface=0.0,
    )


def model(mesh, *, degree=2, **options):
    return couple(
        lattice=lattice(),
        make_atoms=TOY.cluster,
        material=TOY.cauchy_born(),
        zone=ZONE,
        domain=OUTLINE.corners,
        width=WIDTH,
        pad=2.0,
        interaction=1.0,
        far_field=REST,
        mesh=mesh,
        degree=degree,
        **options,
    )


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("cut", CUTS)
def test_volumes_and_weights_of_a_slit_mesh(cut, degree):
    mesh = open_slit(tied_mesh(), open=CUTS[cut])
    partition = model(mesh, degree=degree).partition
    assert partition.audit.relative_error < 1e-12
    assert not len(partition.facet_weights)
    places, beta = mesh.points[mesh.seam], partition.node_beta[mesh.seam]
    reach = np.abs(places[:, 0])
    assert (beta[reach < 6.0] == 0.0).all()  # both rows lie in the core there
    assert (beta[reach > 15.0] == 1.0).all()
    between = (reach > 9.0) & (reach < 12.0)
    assert ((beta[between] > 0.0) & (beta[between] < 1.0)).all()
    # A line node has two sites of each row beside it, all as far from the core as itself but for half a spacing.
    slopes = np.diff(beta[np.argsort(places[:, 0], kind="stable")])
    assert abs(slopes).max() < 0.5


@pytest.mark.parametrize("degree", [1, 2])
def test_bodies_apart_get_what_an_interface_gets(degree):
    mesh = tied_mesh()
    held = model(mesh, degree=degree, law=UberLaw(work=0.4, length=0.6)).partition
    apart = model(open_slit(mesh, open=CUTS["apart"]), degree=degree).partition
    assert np.array_equal(held.node_beta, apart.node_beta)
    assert np.array_equal(held.cell_weights, apart.cell_weights)


def test_a_joined_seam_passes_the_patch_test():
    """The line's nodes carry no atoms, yet the blended forces of a perfect crystal vanish under uniform strain."""
    for degree in (1, 2):
        method = make_method("bqcf", model(open_slit(tied_mesh(), open=CUTS["joined"]), degree=degree))
        # Rounding grows with the largest elements, 200 spacings across.
        assert checks.ghost_force(method, np.array([[1.01, 0.02], [0.0, 1.01]]) @ REST) < 1e-11
