"""The other side of gpaw.py: a process that computes one structure after another. Run as a script; imports nothing of ours."""

import socket
import sys
from multiprocessing.connection import Connection
from typing import Any


def main(address: str) -> None:
    """Answer requests until the other side hangs up; with several processes the first one talks."""
    from gpaw.mpi import broadcast, world

    connection = None
    if world.rank == 0:
        line = socket.socket(socket.AF_UNIX)
        line.connect(address)
        connection = Connection(line.detach())
    while True:
        request = None
        if connection is not None:
            try:
                request = connection.recv()
            except (EOFError, OSError):  # the other side hung up, or is no more
                request = "end"
        request = broadcast(request, comm=world)
        if request == "end":
            return
        answer = answered(request)
        if connection is not None:
            connection.send(answer)


def answered(request: dict[str, Any]) -> tuple[str, Any]:
    """Compute, and turn what GPAW raises into words."""
    from ase.calculators.calculator import InputError
    from gpaw import ConvergenceError
    from numpy.linalg import LinAlgError

    mistakes = (FileNotFoundError, NameError, TypeError, ValueError, LookupError, NotImplementedError, InputError)
    try:
        return "done", computed(request)
    except (ConvergenceError, LinAlgError) as error:
        return "scf", f"{type(error).__name__} {error}".strip()
    except Exception as error:
        # A class of GPAW's own, named in words: it is not imported from where it may move.
        mistake = isinstance(error, mistakes) or type(error).__name__ in ("InputError", "AtomsTooClose")
        first = next(iter(str(error).splitlines()), "").rstrip(".")
        return "input" if mistake else "failed", f"{type(error).__name__}: {first}"


def computed(request: dict[str, Any]) -> dict[str, Any]:
    """Return energies, forces, stress and magnetic moments of one structure."""
    import gpaw
    from ase import Atoms

    atoms = Atoms(
        numbers=request["numbers"], positions=request["positions"], cell=request["cell"], pbc=request["pbc"],
        magmoms=request["magmoms"],
    )  # fmt: skip
    polarised = request["magmoms"] is not None
    atoms.calc = gpaw.GPAW(**request["parameters"], spinpol=polarised, txt=request["log"])
    return {
        "energy": float(atoms.get_potential_energy()),
        "free_energy": float(atoms.get_potential_energy(force_consistent=True)),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress() if request["stress"] else None,
        "magmoms": atoms.get_magnetic_moments() if polarised else None,
        "magmom": float(atoms.get_magnetic_moment()) if polarised else None,
        "engine": f"gpaw {gpaw.__version__}",
    }


if __name__ == "__main__":
    main(sys.argv[1])
