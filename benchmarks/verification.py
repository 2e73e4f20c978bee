"""Run every benchmark alone, one after the other, and write docs/verification.md from the JSON that they print.

python benchmarks/verification.py [NAME ...]     only those named; the others keep the rows of their last run
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "verification.md"

# What each benchmark holds its figures against, and where that comes from.
SUBJECTS = {
    "interface": "Uniform opening of an interface, all cell types, 1 to 3 ranks. Target: the law itself, E(t − δ)/L = T(δ).",
    "laws": "All traction–separation laws. Targets: G_c by mode, finite differences, turned axes, the second law, closed paths.",
    "dcb": "Double cantilever beam. Target: beam envelope and J = 2Pθ/b of Alfano (2006), Compos. Sci. Technol. 66, 723.",
    "beams": "DCB (every law), ENF and MMB. Target: beam theory with root corrections (Reeder and Crews 1990; Williams 1989).",
    "akantu_dcb": "The double cantilever beam, bilinear law, beside Akantu 5.0.7 at as many unknowns. Target: Alfano's envelope.",
    "snapback": "A strip pulled off its base and a bar torn in two, snap-back traced. Target: closed forms, G_c × area.",
    "elasticity": "Elastic constants from stresses. Target: second differences of the energy; explicit rotation of the crystal.",
    "properties": "Properties of crystals. Targets: published values of the same potentials; ASE's own relaxations.",
    "bicrystal": "Al(111)/Cu(111). Targets: one crystal joined to itself, pymatgen's search, beam theory.",
    "stack": "A law from a stack of 10 planes predicts stacks of 14 and 20. Target: the same stacks computed by atoms.",
    "fe_overhead": "Assembly and solution of a linear problem. Target: bare DOLFINx doing the same.",
    "gates": "Gates of all coupling methods: audit, patch tests, energies, forces, torques, transfer, ranks, deliberate defects.",
    "toy_eam": "A vacancy in a triangular lattice (toy EAM). Targets: published table of methods; GRAC's 0.34% at 5,004 nodes.",
    "all_atom": "A void in EAM aluminium, coupled, against all atoms in LAMMPS: same potential, start, rim, tolerance, machine.",
    "iterations": "Iterations and potential calls on one problem: Schwarz by turns (plain, Aitken, Anderson), together, blended.",
    "handshake_cost": "The framework beside bare potential calls in the SevenNet-0 zone, examples/adhesion_zone_sevennet.yaml.",
    "kg": "Griffith's K_G = √(2γE*) of eleven cracks. Targets: ASE slab, energies' elasticity, matscipy; isotropic closed form.",
    "crack_peers": "A crack in SW silicon, coupled and in matscipy's cluster of as many atoms. Target: extrapolated clusters.",
    "contact": "Sphere and cylinder on a half space, Dugdale's law. Targets: Maugis (1992), 2D JKR, Baney and Hui (1997).",
    "live_points": "Interfaces that ask atomistic cells under load. Target: the tabulated law; 20 times fewer cells.",
    "fragmentation": "Cracks between all elements. Targets: a bar breaks at σ_c for G_c × width; equal peaks on all meshes.",
    "peel": "A strip peeled at 45°, 90° and 135°, finite rotations. Target: steady force of Kendall (1975) and Rivlin (1944).",
    "mixed_mode": "γ-surfaces and coupled laws of (111) planes. Targets: published stacking faults; atoms; any path, one work.",
    "renormalised": "A beam on ever coarser meshes, laws of one plane and of N. Target: the beam with its planes resolved.",
    "elastic_3d": "Elastic block in space by multigrid, 206,763 unknowns. Target: bare DOLFINx, same PETSc options; two ranks.",
    "embedding": "Quantum regions in an MLIP. Targets: plain ML, sums of parts, finite differences, ΣF = 0, the longer call.",
    "embedding_nve": "Drift of embedded dynamics, with confidence intervals. Target: plain ML on the same structure.",
    "embedding_peers": "The same beside ASE's ForceQMMM and SimpleQMMM. Target: the quantum engine on everything.",
    "committee": "Four heads on SevenNet-0. Targets: 1.3 and 2.2 times the model; exact pairs; errors of held-out frames.",
    "learning": "Si(111) pulled apart: SevenNet-0 taught by SevenNet-l3i5. Targets: held-out error ÷ 3, 10% of the calls.",
    "learning_gpaw": "SevenNet-0 taught by shipped PBE answers (GPAW): rigid separation of Al(111). Target: PBE's own curve.",
    "excerpt": "Forces in the middle of a piece cut from a large structure. Target: the whole, same potential, by buffer.",
    "inclusion": "Debonding of two inclusions. Target: a run of the FEniCSx tour's script (J. Bleyer), same problem and law.",
    "sweep": "200 cases, the driver killed three times; a sweep beside its cases run alone. Target: none lost, none repeated.",
    "cost_model": "Time and memory of eight held-out cases, predicted from the case alone. Target: the runs themselves.",
    "scaling": "Strong and weak scaling on 1 and 2 ranks; what overlapping atoms with finite elements could save at most.",
    "fuzz": "Case files changed by chance and malice (hypothesis). Target: a case or an error with its place, always.",
    "restart": "Every study stopped by a file, a signal, a kill in a write, and resumed. Target: the same bits; 1e-12; 1e-8.",
    "faults": "Faults injected on 1 and 2 ranks. Target: one message, an exit code, no hang; resumed, the run without a fault.",
    "main_job": "The main job, examples/adhesion.yaml: phases, potential calls, memory, closure of the energy ledger.",
}

# What a benchmark is called with beside its name.
OPTIONS = {"all_atom": ["--large"], "excerpt": ["--silicon"]}

# Benchmarks that draw a picture of the documentation, docs/images/NAME.png.
PICTURES = {
    "all_atom",
    "bicrystal",
    "committee",
    "contact",
    "embedding",
    "embedding_nve",
    "fragmentation",
    "inclusion",
    "laws",
    "learning",
    "learning_gpaw",
    "live_points",
    "mixed_mode",
    "peel",
    "properties",
    "renormalised",
    "snapback",
}


def run(name: str) -> dict:
    """Run one benchmark; returns its JSON with `seconds` and `command` added."""
    began = time.time()
    print(f"{name} ...", flush=True)
    arguments = [*OPTIONS.get(name, [])]
    if name in PICTURES:
        arguments += ["--picture", str(PAGE.parent / "images" / f"{name}.png")]
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), *arguments], capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        raise SystemExit(f"{name}.py printed no JSON (exit status {done.returncode}):\n{done.stderr[-2000:]}") from None
    result["seconds"] = round(time.time() - began, 1)
    result["date"] = date.today().isoformat()
    result["machine"] = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{name}: {'holds' if result['holds'] else 'FAILS'} in {result['seconds']} s", flush=True)
    return result


def section(result: dict) -> str:
    """One benchmark's part of the page."""
    name = result["benchmark"]
    command = " ".join(["python", f"benchmarks/{name}.py", *OPTIONS.get(name, [])])
    rows = []
    for figure, value in result["figures"].items():
        bound = result["bounds"].get(figure)
        shown = f"{value:.6g}" if isinstance(value, int | float) else str(value)
        rows.append(f"| {figure.replace('_', ' ')} | {shown} | {f'{bound[0]} {bound[1]:g}' if bound else ''} |")
    return "\n".join(
        [
            f"## {name}",
            "",
            SUBJECTS[name],
            "",
            f"`{command}`, {result['date']}, {result['machine']}, {result['seconds']:g} s: "
            f"**{'all bounds hold' if result['holds'] else 'a bound fails'}**",
            "",
            "| figure | measured | bound |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Run, write the page; exit status 1 where a bound fails."""
    names = sys.argv[1:] or list(SUBJECTS)
    if unknown := set(names) - set(SUBJECTS):
        raise SystemExit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    for name in names:
        run(name)
    stored = [RESULTS / f"{name}.json" for name in SUBJECTS]
    results = [json.loads(path.read_text()) for path in stored if path.exists()]
    head = "# Verification\n\nWritten by `make bench` from what the benchmarks print; not by hand.\n\n"
    PAGE.write_text(head + "\n".join(section(result) for result in results))
    return 0 if all(result["holds"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
