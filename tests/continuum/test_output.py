"""What is written is read back, by pyvista and by h5py."""

import h5py
import numpy as np
import pytest
import pyvista
from specimens import HEIGHT, METAL, pulled_block

from continuum import vtkhdf
from continuum.errors import ContinuumError
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


def series(path):
    """Times of a series, and its displacements at each."""
    reader = pyvista.get_reader(path)
    found = []
    for i in range(reader.reader.GetNumberOfSteps()):
        reader.reader.SetStep(i)
        found.append(np.array(reader.read()["displacement" if path.stem == "bodies" else "opening [angstrom]"]))
    with h5py.File(path) as file:
        return file["VTKHDF/Steps/Values"][:].tolist(), found


def test_a_series_goes_on_after_a_stop_without_what_came_later(tmp_path):
    loads = [0.2, 0.4, 0.6, 0.8]
    whole, solid = tmp_path / "whole", pulled_block()
    writer = FieldWriter(whole, solid)
    follow(solid, loads, on_step=lambda step: writer.write(step.load))
    assert writer.written == 4
    stopped, solid = tmp_path / "stopped", pulled_block()
    writer = FieldWriter(stopped, solid)
    follow(solid, loads[:3], on_step=lambda step: writer.write(step.load))
    # What was kept knows of two states only; and a kill has left a copy that was being written.
    (stopped / ".part-bodies.vtkhdf").write_bytes(b"half")
    writer, solid = FieldWriter(stopped, pulled_block(), written=2), writer.solid
    follow(writer.solid, loads[:2])
    follow(writer.solid, loads[2:], on_step=lambda step: writer.write(step.load))
    assert sorted(p.name for p in stopped.iterdir()) == ["bodies.vtkhdf", "interface.vtkhdf"]
    for name in ("bodies.vtkhdf", "interface.vtkhdf"):
        times, values = series(stopped / name)
        assert times == loads
        for mine, theirs in zip(values, series(whole / name)[1], strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-7)
    # A series that somebody has taken away is begun again, with what belongs to it.
    (stopped / "bodies.vtkhdf").unlink()
    writer = FieldWriter(stopped, solid, written=2)
    writer.write(0.1)
    assert writer.written == 1
    assert [series(path)[0] for path in writer.paths()] == [[0.1], [0.1]]
    # A run that begins anew leaves nothing of the one before.
    FieldWriter(stopped, solid)
    assert not list(stopped.iterdir())


def test_a_kill_while_writing_leaves_the_series_as_it_was(tmp_path, monkeypatch):
    solid = pulled_block()
    writer = FieldWriter(tmp_path, solid)
    writer.write(0.1)
    before = (tmp_path / "bodies.vtkhdf").read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vtkhdf.os, "fsync", full)
    with pytest.raises(ContinuumError, match="No space left"):
        writer.write(0.2)
    assert (tmp_path / "bodies.vtkhdf").read_bytes() == before
    assert not list(tmp_path.glob(".part-*"))
    (tmp_path / "bodies.vtkhdf").write_bytes(before[:100])
    with pytest.raises(ContinuumError, match="remove them"):
        FieldWriter(tmp_path, solid, written=1)


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
