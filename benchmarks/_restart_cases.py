"""Small variants of every study, each a few seconds of work on one core, for the restart matrix."""

AL = {"element": "Al", "structure": "fcc"}
PLANE = {"plane": [1, 1, 1]}
EMT = {"calculator": "ase.calculators.emt:EMT"}
PAIRS = "tests.multiscale.taught_pairs"
BLOCK = {"shape": "block", "width": "2 nm", "height": "1 nm"}
BEAM = {"shape": "double cantilever beam", "length": "300 nm", "arm_height": "20 nm", "initial_crack": "60 nm"}
QUICK = {
    "study": "adhesion",
    "crystal": AL,
    "interface": PLANE,
    "decohesion": {"planes": 6, "relax": False},
    "verification": {"stacks": []},
}
CRACK = {
    "study": "fracture",
    "potential": "eam-fe",
    "crystal": {"element": "Fe", "structure": "bcc"},
    "crack": {"plane": [1, 1, 0], "front": [1, -1, 0]},
    "zone": {"radius": "1.2 nm", "blend": "0.8 nm"},
    "body": {"shape": "disc", "radius": "100 nm"},
}
CASES = {
    "adhesion": QUICK | {"potential": "eam-al", "specimen": BEAM, "loading": {"opening": {"to": "16 nm", "steps": 24}}},
    "adhesion, snap-back": QUICK
    | {
        "potential": EMT,
        "specimen": BLOCK | {"height": "20 nm"},
        "loading": {"opening": {"to": "2 nm", "steps": 10}},
        "solver": {"snap_back": "follow"},
    },
    "adhesion, live law": QUICK
    | {
        "potential": "eam-al-zhou",
        "specimen": BLOCK,
        "law": {"type": "live"},
        "loading": {"opening": {"to": "4 angstrom", "steps": 16}},
    },
    "adhesion, zone": {
        "study": "adhesion",
        "potential": "eam-cu",
        "crystal": {"element": "Cu", "structure": "fcc"},
        "interface": PLANE,
        "specimen": {"shape": "block", "width": "12 nm", "height": "6 nm"},
        "zone": {"shape": "box", "size": ["1 nm", "1 nm"], "blend": "1 nm", "method": "bqcf"},
        "loading": {"opening": {"to": "4 angstrom", "steps": 8}},
        "output": {"fields_every": 4},
    },
    "adhesion, impurity": QUICK
    | {
        "potential": EMT,
        "impurity": {"element": "H", "site": "octahedral", "repeat": [1, 2]},
        "decohesion": {"mode": "rigid", "planes": 6, "relax": False, "opening": {"to": "6 angstrom", "points": 12}},
        "specimen": {
            "shape": "double cantilever beam",
            "length": "40 nm",
            "arm_height": "6 nm",
            "initial_crack": "9 nm",
        },
        "mesh": {"degree": 1, "elements_in_zone": 4},
        "loading": {"opening": {"to": "6 nm", "steps": 12}},
    },
    "adhesion, committee": QUICK
    | {
        "potential": {"committee": ["eam-al", "eam-al-zhou"]},
        "specimen": BLOCK,
        "loading": {"opening": {"to": "4 angstrom", "steps": 12}},
    },
    "adhesion, learning": {
        "study": "adhesion",
        "potential": "eam-al",
        "crystal": AL,
        "interface": PLANE,
        "decohesion": {"planes": 6, "mode": "rigid", "opening": {"points": 8}},
        "specimen": {"shape": "block", "width": "6 nm", "height": "4 nm"},
        "mesh": {"elements_in_zone": 2},
        "verification": {"stacks": []},
        "loading": {"opening": {"to": "1 angstrom", "steps": 3}},
        "learning": {
            "oracle": {"calculator": f"{PAIRS}:oracle", "arguments": {"base": "eam-al"}},
            "threshold": "0.003 eV/angstrom",
            "budget": 12,
            "data": {"frames": 2, "rattle": "0.01 angstrom"},
            "student": {"factory": f"{PAIRS}:PairStudent", "arguments": {"base": "eam-al"}},
        },
    },
    "contact": {
        "study": "contact",
        "indenter": {"shape": "sphere", "radius": "100 nm"},
        "material": {"E": "70 GPa", "nu": 0.3},
        "law": {"type": "dugdale", "work": "0.5 J/m^2", "strength": "1 GPa"},
        "path": {"contact": "6 nm", "steps": 8},
        "mesh": {"facets_in_zone": 4},
    },
    "defect": {
        "study": "defect",
        "potential": EMT,
        "crystal": AL,
        "body": {"plane": [1, 1, 1], "size": ["12 nm", "12 nm"]},
        "material": {"type": "linear"},
        "defect": {"type": "void", "radius": "0.5 nm"},
        "zone": {"shape": "around", "margin": "0.8 nm"},
        "method": "bqcf",
    },
    "embedding": {
        "study": "embedding",
        "potential": "eam-al",
        "structure": {"crystal": AL, "repeat": [5, 5, 5], "vacancy": 1, "rattle": "0.1 angstrom"},
        "embedding": {
            "engine": "eam-al-zhou",
            "core": {"near": ["0 nm", "0 nm", "0 nm"], "radius": "2 angstrom"},
        },
        "converge": {"buffers": ["3 angstrom", "5 angstrom", "7 angstrom"], "displace": "0.1 angstrom"},
    },
    "fracture, follow": CRACK | {"load": {"path": "follow", "start": "0.95 K_G"}},
    "fracture, steps": CRACK | {"load": {"path": "steps", "levels": ["1 K_G", "1.1 K_G", "1 K_G", "0.9 K_G"]}},
    "properties": {
        "study": "properties",
        "potentials": ["eam-al", EMT],
        "crystal": AL,
        "vacancy": {"sizes": [2, 3]},
        "surfaces": {"planes": [[1, 1, 1]], "heights": ["6 angstrom", "10 angstrom"]},
        "faults": [{"plane": [1, 1, 1], "direction": [1, 1, -2], "points": 7}],
    },
    "active learning": {
        "study": "active-learning",
        "potential": "emt",
        "structure": {"crystal": AL, "repeat": [2, 2, 1]},
        "run": {"type": "dynamics", "steps": 200, "temperature": "800 K", "timestep": "3 fs", "seed": 1},
        "learning": {
            "oracle": {"calculator": "tests.pair_student:Morse"},
            "threshold": "0.04 eV/angstrom",
            "student": {"factory": "tests.pair_student:PairStudent"},
            "data": {"frames": 2, "rattle": "0.03 angstrom"},
        },
    },
}
"""Name -> case as a driver would give it."""
