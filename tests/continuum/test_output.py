"""What is written is read back, by pyvista and by h5py."""

import numpy as np
import pytest
import pyvista
from specimens import HEIGHT, METAL, pulled_block

from continuum.output import FieldWriter, gather_fields
from continuum.solvers import follow
from tests.mpi import run_mpi

GPA = 160.2176634


@pytest.mark.parametrize("cell", ["triangle", "quadrilateral", "tetrahedron", "hexahedron"])
def test_series_is_read_by_pyvista(cell, tmp_path):
    solid = pulled_block(cell)
    writer = FieldWriter(tmp_path, solid)
    pulls = []

    def write(step):
        writer.write(step.load)
        pulls.append(solid.interface_state("interface").traction[0, 0])

    follow(solid, [0.2, 0.9], on_step=write)
    for i, load in enumerate([0.2, 0.9]):
        reader = pyvista.get_reader(tmp_path / "bodies.vtkhdf")
        assert reader.reader.GetNumberOfSteps() == 2
        reader.reader.SetStep(i)
        grid = reader.read()
        top = grid.points[:, 1] > HEIGHT - 1e-9
        assert grid["displacement"][top][:, 1] == pytest.approx(load, abs=1e-12)
        # Uniaxial strain: σ_yy is the interface's traction everywhere, σ_xx = λ/(λ+2μ) of it.
        assert grid["stress [GPa]"][:, 1] == pytest.approx(pulls[i] * GPA, rel=1e-6)
        ratio = METAL.stiffness[0, 1] / METAL.stiffness[1, 1]
        assert grid["stress [GPa]"][:, 2] == pytest.approx(ratio * pulls[i] * GPA, rel=1e-6)
        reader = pyvista.get_reader(tmp_path / "interface.vtkhdf")
        reader.reader.SetStep(i)
        points = reader.read()
        assert points["traction [GPa]"][:, 0] == pytest.approx(pulls[i] * GPA, rel=1e-6)
        assert (points["damage"] > 0.0).all()
        size = grid.compute_cell_sizes()
        assert abs(size["Area" if solid.dim == 2 else "Volume"]).sum() == pytest.approx(
            200.0 if solid.dim == 2 else 2000.0
        )


def test_gathered_energy_is_the_bulk_energy():
    solid = pulled_block("triangle")
    step = follow(solid, [0.4])[0]
    fields = gather_fields(solid)
    corners = fields.points[fields.triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    assert area @ fields.energy_density == pytest.approx(step.energies.bulk, rel=1e-9)
    assert len(fields.triangle_von_mises) == len(fields.triangles)


def test_ranks_write_one_file(tmp_path):
    script = f"""
    import sys
    sys.path.insert(0, "tests/continuum")
    from specimens import pulled_block
    from continuum.output import FieldWriter
    from continuum.solvers import follow
    solid = pulled_block("triangle")
    writer = FieldWriter({str(tmp_path)!r}, solid)
    follow(solid, [0.2], on_step=lambda step: writer.write(step.load))
    """
    run_mpi(2, script)
    grid = pyvista.read(tmp_path / "bodies.vtkhdf")
    assert abs(grid.compute_cell_sizes()["Area"]).sum() == pytest.approx(200.0)
    assert sorted(set(grid["body"].tolist())) == [0.0, 1.0]
