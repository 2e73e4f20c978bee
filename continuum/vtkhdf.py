"""VTKHDF time series of an unstructured grid that stays as it is, for ParaView and pyvista.

A series is changed by way of a copy that takes its place: a kill or a full disk leaves the file that was there before, never one
that cannot be opened.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: How the name of a copy begins; one that a kill has left is written over by the next.
_PART = ".part-"
_KINDS = ("PointData", "CellData")


def append_vtkhdf(
    path: Path,
    points: Array,
    cells: NDArray[np.int64],
    kind: int,
    point_data: dict[str, Array],
    cell_data: dict[str, Array],
    time: float,
) -> None:
    """Append one time to a VTKHDF unstructured grid (version 2.0 of the format) whose mesh does not change.

    Args:
        path: file, made at the first time.
        points: (n, 3).
        cells: (m, k) in VTK's order.
        kind: VTK's cell type.
        point_data, cell_data: name -> (n, ...) or (m, ...).
        time: value of the step.

    Raises:
        OSError: the file cannot be written, or is damaged; the one before stays.
    """
    with _changing(path) as file:
        root = file.require_group("VTKHDF")
        if "Steps" not in root:
            _write_grid(root, points, cells, kind)
        steps = root["Steps"]
        count = int(steps.attrs["NSteps"])
        steps.attrs["NSteps"] = count + 1
        _append(steps, "Values", np.array([time]))
        for name, value in (("PartOffsets", 0), ("NumberOfParts", 1), ("PointOffsets", 0)):
            _append(steps, name, np.array([value], dtype=np.int64))
        for name in ("CellOffsets", "ConnectivityIdOffsets"):
            _append(steps, name, np.array([[0]], dtype=np.int64))
        for kind_of, data in zip(_KINDS, (point_data, cell_data), strict=True):
            for name, values in data.items():
                # A slash would make an HDF5 group of the unit.
                label = name.replace("/", " per ")
                group = root.require_group(kind_of)
                offset = len(group[label]) if label in group else 0
                _append(group, label, values)
                _append(steps.require_group(f"{kind_of}Offsets"), label, np.array([offset], dtype=np.int64))


def count_vtkhdf(path: Path) -> int:
    """How many times a series holds; 0 where there is no file.

    Raises:
        OSError: the file cannot be read.
    """
    if not path.exists():
        return 0
    with h5py.File(path, "r") as file:
        return int(file["VTKHDF/Steps"].attrs["NSteps"])


def cut_vtkhdf(path: Path, count: int) -> None:
    """Keep the first `count` times of a series and take the later ones out; without any left, the file goes.

    Raises:
        OSError: the file cannot be read or written.
    """
    path.with_name(_PART + path.name).unlink(missing_ok=True)
    if count <= 0:
        path.unlink(missing_ok=True)
        return
    if count_vtkhdf(path) <= count:
        return
    with _changing(path) as file:
        root = file["VTKHDF"]
        steps = root["Steps"]
        for kind in _KINDS:
            for name, offsets in steps.get(f"{kind}Offsets", {}).items():
                root[kind][name].resize(int(offsets[count]), axis=0)
                offsets.resize(count, axis=0)
        for entry in steps.values():
            if isinstance(entry, h5py.Dataset):
                entry.resize(count, axis=0)
        steps.attrs["NSteps"] = count


@contextmanager
def _changing(path: Path) -> Iterator[h5py.File]:
    """A copy of a file (an empty one where there is none) to change; it takes the file's place when all is written."""
    part = path.with_name(_PART + path.name)
    try:
        part.unlink(missing_ok=True)
        if path.exists():
            shutil.copyfile(path, part)
        with h5py.File(part, "a") as file:
            yield file
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_grid(root: h5py.Group, points: Array, cells: NDArray[np.int64], kind: int) -> None:
    root.attrs["Version"] = np.array([2, 0])
    root.attrs.create("Type", np.bytes_("UnstructuredGrid"))
    root["NumberOfPoints"] = np.array([len(points)])
    root["NumberOfCells"] = np.array([len(cells)])
    root["NumberOfConnectivityIds"] = np.array([cells.size])
    root["Points"] = points
    root["Connectivity"] = cells.ravel().astype(np.int64)
    root["Offsets"] = np.arange(len(cells) + 1, dtype=np.int64) * cells.shape[1]
    root["Types"] = np.full(len(cells), kind, dtype=np.uint8)
    root.create_group("Steps").attrs["NSteps"] = 0


def _append(group: h5py.Group, name: str, values: NDArray) -> None:
    """Add rows to a dataset, making it at first."""
    if name not in group:
        group.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), chunks=True)
        return
    dataset = group[name]
    dataset.resize(len(dataset) + len(values), axis=0)
    dataset[-len(values) :] = values
