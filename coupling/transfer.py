"""The finite elements' field at the atoms, u_a = N u, and its exact transpose for forces, f = Nᵀ f_a.

N is one sparse matrix, assembled once; Nᵀ is the same matrix read the other way, so the virtual work of the atoms' forces on
the field is that of the nodes' forces: ⟨N u, f_a⟩ = ⟨u, Nᵀ f_a⟩ to rounding, on matching and non-matching meshes and any
number of ranks.
"""

from __future__ import annotations

import continuum  # noqa: F401 - before dolfinx: loads its wheel build where there is one

# isort: split
from typing import Any

import numpy as np
from dolfinx import fem
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray
from petsc4py import PETSc
from scipy import sparse

from continuum.points import ZERO, Located, locate, shape_values
from coupling.errors import TransferError

Array = NDArray[np.float64]


class Transfer:
    """Displacements from finite elements to atoms, forces from atoms to finite elements.

    Rows of the matrix are the atoms' components, atom by atom, spread evenly over the ranks; columns are the space's unknowns as
    PETSc numbers them. A place on the border between ranks is served by one of them: by the one in whose cells it lies deepest.

    Args:
        space: vector-valued (or scalar) Lagrange space of degree one or two on straight simplices, on any communicator.
        places: (n, m) of the undeformed atoms in the mesh's coordinates, Å; the same on every rank.

    Raises:
        TransferError: on every rank together: places outside the body, not finite or different between ranks, an element
            that cannot be evaluated.
    """

    def __init__(self, space: fem.FunctionSpace, places: ArrayLike) -> None:
        self.space, self.comm = space, space.mesh.comm
        x, located, problem = _search(space, places)
        self._fail_together(problem)
        reference = self.comm.bcast(x)
        same = reference.shape == x.shape and np.array_equal(reference, x)
        self._fail_together(None if same else "places of atoms differ between the ranks: give the same on each")
        self.count, self.components = len(x), int(space.dofmap.index_map_bs)

        depth = np.empty_like(located.depth)
        self.comm.Allreduce(located.depth, depth, op=MPI.MAX)
        outside = np.flatnonzero(~np.isfinite(depth))
        if len(outside):
            some = "; ".join(np.array2string(p, precision=6) for p in x[outside[:3]])
            raise TransferError(
                f"{len(outside)} of {self.count} atoms lie outside the finite elements, at {some}{' ...' * (len(outside) > 3)} "
                "Å: enlarge the body, or make zone and pad smaller"
            )
        claim = np.where(located.depth == depth, self.comm.rank, self.comm.size).astype(np.int32)
        owner = np.empty_like(claim)
        self.comm.Allreduce(claim, owner, op=MPI.MIN)
        mine = np.flatnonzero(owner == self.comm.rank)
        self.matrix = self._assemble(mine, *shape_values(space, located, mine))
        # petsc4py's types name every overload at once.
        self._atoms: Any = self.matrix.createVecLeft()
        self._nodes: Any = self.matrix.createVecRight()

    def _assemble(self, atoms: NDArray[np.int64], nodes: NDArray[np.int64], values: Array) -> Any:
        """N as a distributed matrix, from the rows of the atoms in this rank's cells."""
        c, index_map = self.components, self.space.dofmap.index_map
        kept = np.abs(values) > ZERO
        row = np.broadcast_to(atoms[:, None], nodes.shape)[kept]
        column = np.asarray(index_map.local_to_global(nodes[kept].astype(np.int32)), dtype=np.int64)
        component = np.arange(c)
        rows, columns = (row[:, None] * c + component).ravel(), (column[:, None] * c + component).ravel()
        matrix: Any = PETSc.Mat().create(self.comm)
        share = self.count // self.comm.size + (self.comm.rank < self.count % self.comm.size)
        matrix.setSizes(((share * c, self.count * c), (index_map.size_local * c, index_map.size_global * c)))
        matrix.setType("aij")
        # Rows of other ranks are sent to them by PETSc.
        matrix.setPreallocationCOO(rows.astype(PETSc.IntType), columns.astype(PETSc.IntType))
        matrix.setValuesCOO(np.repeat(values[kept], c).astype(PETSc.ScalarType))
        matrix.assemble()
        return matrix

    def to_atoms(self, field: Any) -> Array:
        """The field at the atoms, (n, c), whole on every rank (collective).

        Args:
            field: fem.Function of the space, or a PETSc.Vec of its unknowns.

        Raises:
            TransferError: on every rank, where the field belongs to another space.
        """
        vector: Any = field.x.petsc_vec if isinstance(field, fem.Function) else field
        expected, given = self.matrix.getSizes()[1], vector.getSizes()
        fits = tuple(expected) == tuple(given)
        self._fail_together(None if fits else f"a field of {given} unknowns (own, all): expected {expected}")
        self.matrix.mult(vector, self._atoms)
        own = np.array(self._atoms.array, dtype=float)
        everything = np.empty(self.count * self.components)
        counts = self.comm.allgather(len(own))
        self.comm.Allgatherv(own, [everything, counts])
        return everything.reshape(self.count, self.components)

    def to_nodes(self, forces: ArrayLike) -> PETSc.Vec:
        """Nᵀ f: forces on atoms as forces on the unknowns of the space, a new vector without ghosts (collective).

        Args:
            forces: (n, c) eV/Å, the same on every rank.

        Raises:
            TransferError: on every rank, where their shape is another or one is not finite.
        """
        f = np.asarray(forces, dtype=float)
        fits = f.shape == (self.count, self.components) and bool(np.isfinite(f).all())
        self._fail_together(
            None
            if fits
            else f"forces of shape {f.shape}, some perhaps not finite: expected ({self.count}, {self.components}) numbers"
        )
        start, end = self._atoms.getOwnershipRange()
        self._atoms.array[:] = f.ravel()[start:end]
        result = self._nodes.duplicate()
        self.matrix.multTranspose(self._atoms, result)
        return result

    def csr(self) -> sparse.csr_matrix:
        """N as (n·c, unknowns), for a space that lies whole on this rank.

        Raises:
            TransferError: where the space is spread over several ranks.
        """
        if self.comm.size > 1:
            raise TransferError(
                f"N lies on {self.comm.size} ranks: csr() needs a space on COMM_SELF; use to_atoms, to_nodes"
            )
        pointers, columns, values = self.matrix.getValuesCSR()
        return sparse.csr_matrix((values, columns, pointers), shape=self.matrix.getSize())

    def _fail_together(self, problem: str | None) -> None:
        """Raise on every rank what any of them found."""
        found = self.comm.allgather(problem)
        first = next(((rank, text) for rank, text in enumerate(found) if text is not None), None)
        if first is not None:
            raise TransferError(first[1] if self.comm.size == 1 else f"{first[1]} (on rank {first[0]})")


def _search(space: fem.FunctionSpace, places: ArrayLike) -> tuple[Array, Located, str | None]:
    """Places, where they lie among this rank's cells, and what is wrong with them or with the space."""
    nowhere = np.zeros(0, dtype=np.int64)
    nothing = Located(cells=nowhere, barycentric=np.zeros((0, 1)), depth=np.zeros(0))
    try:
        x = np.asarray(places, dtype=float)
        located = locate(space.mesh, x)
        # Evaluated nowhere: is the element one that can be?
        shape_values(space, located, nowhere)
    except ValueError as error:
        return np.zeros((0, 1)), nothing, str(error)
    return x, located, None
