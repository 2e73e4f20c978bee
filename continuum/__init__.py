"""The continuum: meshes, materials, cohesive interfaces and their solvers. Knows DOLFINx and PETSc, no atoms."""

import importlib.util

# The wheel build of DOLFINx must be loaded before dolfinx and petsc4py; a native DOLFINx (conda, Docker, Debian) has no
# such module and the two clash, so it is imported only where it is installed.
if importlib.util.find_spec("dolfinx_solver") is not None:
    import dolfinx_solver  # noqa: F401
