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
  mode: auto                    # rigid or relaxed; auto: rigid, beside a zone relaxed where that gives a smooth law
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

# zone:                         # atoms in a patch of the interface, for specimens of nanometres (block: 16 nm by 8 nm)
#   shape: box                  # or disc (radius)
#   size: [1.4 nm, 1.4 nm]      # of the core, along the interface and across it
#   # at: 8 nm                  # middle of the core, from the left end
#   blend: 0.9 nm               # width over which atoms and law share the interface
#   method: bqcf                # or bgfc, schwarz

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

DEFECT = """\
# Defect: a zone of atoms around a vacancy, void, dislocation dipole or inclusion, in elastic finite elements of the same crystal.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale run THIS_FILE
# Lengths carry units: "30 nm", "8 angstrom".

study: defect

# A name from `multiscale potentials`, or one of
#   {name: lammps, pair_style: eam/alloy, files: [AlCu.eam.alloy], elements: [Al, Cu]}
#   {calculator: "ase.calculators.emt:EMT"}       any ASE calculator: forces only, methods bqcf and schwarz
#   {path: model.pth}                             a checkpoint of SevenNet, MACE or NequIP
potential: eam-al
device: cpu                     # or cuda

crystal:
  element: Al
  structure: fcc                # fcc or bcc
  # a: 4.05 angstrom            # only a guess: the potential decides

body:
  dimension: 2                  # periodic along z with the crystal's period; 3: a parallelepiped of primitive cells
  plane: [1, 1, 1]              # its normal is y
  # growth: [1, 1, -2]          # along x
  size: [40 nm, 40 nm]          # dimension 3: three distances of opposite faces
  elements: quadratic           # or linear
  # grading: {exponent: 1.5, slope: 0.5, largest: 3 nm}       # how elements grow away from the zone

defect:
  type: void                    # or vacancy; dipole (separation: 3 nm); inclusion (element, radius), for alloys
  radius: 0.8 nm
  # center: [0 nm, 0 nm]

strain: {xx: 0.01}              # applied far away: xx, yy, zz, yz, xz, xy

zone:                           # where atoms are atoms
  shape: around                 # within the margin of the defect; or disc (radius), box (size), band (points, half_width)
  margin: 1.2 nm
  # blend: 2 nm                 # by default as wide as the core
  # pad: 0.8 nm                 # by default from the potential's measured range
  blending: quintic             # or cubic, linear, minimal-curvature

method: bgfc                    # from forces alone: bqcf, schwarz; controls: bqce, qce, clamped

material:                       # the continuum, made from the potential
  type: auto                    # exact where the potential allows, else expanded in the strain; or linear
  # largest_strain: 0.04
  # order: 4

compare:
  all_atoms: false              # compute the whole body by atoms too, and report the error
  # largest: 60000

solver:
  tolerance: 1.0e-4 eV/angstrom
  # turns: anderson             # method schwarz: by turns (plain, aitken, anderson) instead of both sides at once
  # max_calls: 1000

# output: {closure_points: 8}   # points at which forces check the change of the energy
"""

TEMPLATES = {"adhesion": ADHESION, "defect": DEFECT}
"""Case file of each study."""
