"""The same curve on one, two and three ranks; errors on all of them."""

import json

import pytest

from tests.mpi import run_mpi

BEAM = """
import json, sys
import numpy as np
sys.path.insert(0, "tests/continuum")
from test_solid import short_beam
from specimens import pulled_block
from continuum.solvers import SolverOptions, follow
from mpi4py import MPI
solid, _ = short_beam()
steps = follow(solid, np.linspace(12.0, 240.0, 20))
cube = follow(pulled_block("hexahedron", sideways=0.4), [0.3, 1.5, 0.6], options=SolverOptions(rtol=1e-12, zone_limit=LIMIT))
if MPI.COMM_WORLD.rank == 0:
    print(json.dumps([[s.reaction for s in steps], [s.crack_tip for s in steps], [s.reaction for s in cube]]))
"""


@pytest.mark.parametrize("limit", [1, 3000])
def test_curves_do_not_depend_on_the_ranks(limit):
    script = BEAM.replace("LIMIT", str(limit))
    one, *others = [json.loads(run_mpi(n, script).stdout.splitlines()[-1]) for n in (1, 2, 3)]
    for other in others:
        for a, b in zip(one, other, strict=True):
            # Residuals of 1e-9 relative leave 1e-10 in reactions; the issue asks for 1e-8.
            assert b == pytest.approx(a, rel=1e-8)


def test_a_failure_reaches_all_ranks():
    script = """
    import sys
    sys.path.insert(0, "tests/continuum")
    from mpi4py import MPI
    from test_solid import short_beam
    from continuum.solvers import ConvergenceError, SolverOptions, follow
    solid, _ = short_beam()
    try:
        follow(solid, [240.0], options=SolverOptions(max_iterations=1, max_zone_iterations=1, max_cutbacks=0))
    except ConvergenceError:
        assert MPI.COMM_WORLD.allreduce(1) == MPI.COMM_WORLD.size
        sys.exit(0)
    sys.exit(1)
    """
    run_mpi(2, script, timeout=60)
