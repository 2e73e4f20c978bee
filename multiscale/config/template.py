"""The commented case files that ``multiscale init`` writes."""

ADHESION = """\
# Adhesion: from an interatomic potential, through the law of the interface, to a specimen that comes apart.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale run THIS_FILE
# Lengths carry units: "200 nm", "2 um", "6 angstrom".

study: adhesion

# A name from `multiscale potentials`, or one of
#   {name: lammps, pair_style: eam/alloy, files: [Al_zhou.eam.alloy], elements: [Al]}
#   {calculator: "ase.calculators.emt:EMT"}       any ASE calculator
#   {path: model.pth}                             a checkpoint of SevenNet, MACE or NequIP
potential: sevennet-0
device: cpu                     # or cuda

crystal:
  element: Al                   # or symbols: [Na, Cl] for a compound
  structure: fcc                # fcc, bcc, hcp, diamond, rocksalt, B2
  # a: 4.05 angstrom            # only a guess: the potential decides

interface:
  plane: [1, 1, 1]              # Miller indices; four for hcp
  # growth: [1, 1, -2]          # direction in which the crack grows
  # cut: widest                 # which gap opens where the gaps differ: widest, narrowest, or 0, 1, ...

decohesion:                     # the separation curve, by atoms
  mode: rigid                   # or relaxed
  opening: {to: 6 angstrom, points: 24}
  # planes: 10                  # atomic planes in the stack
  # relax: true                 # report the relaxed work of separation too
  # file: my_dft_curve.csv      # instead of mode and opening: columns opening [angstrom], energy [J/m^2]

law:                            # the cohesive law, with the bulk's elasticity taken out
  type: tabulated               # or uber, bilinear, exponential
  unloading: damaging           # or reversible
  stiffness_cap: 50             # largest stiffness, in units of C'/d

specimen:
  shape: double cantilever beam # or block (width, height), or imported (file, length_unit, bodies, supports)
  length: 2 um
  arm_height: 200 nm
  initial_crack: 600 nm
  # thickness: 1 nm             # plane strain; loads are reported per width

mesh:
  degree: 2
  elements_in_zone: 8           # elements within one cohesive zone along the expected path
  # cell: triangle
  # growth: 1.8                 # ratio of neighbouring cell sizes away from the path

loading:
  opening: {to: 80 nm, steps: 60}

verification:
  stacks: [14, 20]              # check the law against atoms on stacks of so many planes; [] to leave out

output:
  fields_every: 10              # fields for ParaView every so many steps

# solver: {rtol: 1.0e-9, max_iterations: 40, max_cutbacks: 6}
"""

TEMPLATES = {"adhesion": ADHESION}
"""Case file of each study."""
