"""The commented case files that ``multiscale init`` writes."""

from multiscale.config.template_learning import ACTIVE_LEARNING
from multiscale.config.template_properties import PROPERTIES

ADHESION = """\
# Adhesion: from an interatomic potential, through the law of the interface, to a specimen that comes apart.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale run THIS_FILE
# Lengths carry units: "200 nm", "2 um", "6 angstrom".

study: adhesion

# A name from `multiscale potentials`, or one of
#   {name: lammps, pair_style: eam/alloy, files: [Al_zhou.eam.alloy], elements: [Al]}
#   {calculator: "ase.calculators.emt:EMT"}       any ASE calculator
#   {path: model.pth}                             a checkpoint of SevenNet, MACE or NequIP; or taught heads, {path: taught.npz}
#   {committee: [eam-al, emt]}                    several of these: their mean, and results with their spread
potential: sevennet-0
device: cpu                     # or cuda
# spread: none                  # of a committee: its mean alone, without a run for every member

crystal:
  element: Al                   # or symbols: [Na, Cl] for a compound
  structure: fcc                # fcc, bcc, hcp, diamond, rocksalt, B2
  # a: 4.05 angstrom            # only a guess: the potential decides

interface:
  plane: [1, 1, 1]              # Miller indices; four for hcp
  # growth: [1, 1, -2]          # direction in which the crack grows
  # cut: widest                 # which gap opens where the gaps differ: widest, narrowest, or 0, 1, ...
  # second:                     # another crystal above, for a potential that knows both
  #   crystal: {element: Cu, structure: fcc}
  #   plane: [1, 1, 1]
  #   alignment: free           # turned where it fits best; or parallel growth directions
  #   max_strain: 0.03          # of the common cell
  #   max_area: 5 nm^2

decohesion:                     # the separation curve, by atoms
  mode: auto                    # rigid or relaxed; auto: rigid, beside a zone relaxed where that gives a smooth law
  opening: {to: 6 angstrom, points: 24}
  # planes: 10                  # atomic planes in the stack
  # relax: true                 # report the relaxed work of separation too
  # file: my_dft_curve.csv      # instead of mode and opening: columns opening [angstrom], energy [J/m^2]

law:                            # the cohesive law, with the bulk's elasticity taken out
  type: tabulated               # or uber, bilinear, trapezoidal, exponential
  unloading: damaging           # or reversible
  stiffness_cap: 50             # largest stiffness, in units of C'/d

# impurity:                     # a foreign atom in the gap: work of separation with it and without; the potential must know it
#   element: H
#   site: octahedral            # or tetrahedral, largest, substitutional
#   repeat: [2, 2]              # cells of the plane to one impurity
# embedding:                    # quantum single points at closed and open gap correct the curve
#   engine: gpaw                # or any potential or ASE calculator
#   settings: {ecut: 350, kpts: 3.6, width: 0.1}
#   mode: single points
#   core: {species: H}
#   cache: quantum              # folder of the results: computed once

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

# learning:                     # teach the potential on the way: heads on it, where their committee doubts the interface
#   oracle: sevennet-l3i5       # gpaw, tblite ..., any potential or ASE calculator
#   threshold: 0.1 eV/angstrom  # largest difference of two members' forces that is trusted
#   budget: 20                  # oracle calls altogether
#   # before: true              # run the study by the untaught potential too
#   # compare: references       # the oracle's own values beside those; or none, whole
#   # more keys: multiscale init active-learning

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
#   {path: model.pth}                             a checkpoint of SevenNet, MACE or NequIP; or taught heads, {path: taught.npz}
#   {committee: [eam-al, emt]}                    several of these: their mean, and results with their spread
potential: eam-al
device: cpu                     # or cuda
# spread: none                  # of a committee: its mean alone, without a run for every member

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

# embedding:                    # a quantum region inside the core
#   engine: sevennet-0          # gpaw, tblite ..., any potential or ASE calculator
#   core: {near: [0 nm, 0 nm, 0 nm], radius: 6 angstrom}
#   cell: {along: 6, planes: 8} # periods of the lattice along x and planes along y that the quantum cell spans
#   # mode: single points       # instead of in the loop: the first and last state, after the run

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

FRACTURE = """\
# Fracture: a sharp crack in a crystal, its tip by atoms, its far field in elastic finite elements of the same crystal.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale run THIS_FILE
# Lengths carry units: "30 nm", "8 angstrom". Loads are shares of the Griffith toughness, "0.9 K_G", or "0.6 MPa*m^0.5".

study: fracture

# A name from `multiscale potentials`, or one of
#   {name: lammps, pair_style: sw, files: [Si.sw], elements: [Si]}
#   {calculator: "ase.calculators.emt:EMT"}       any ASE calculator
#   {committee: [sw-si, sw-si-brittle]}           several of these: their mean, and results with their spread
#   {path: model.pth}                             a checkpoint of SevenNet, MACE or NequIP: single precision, load.path: steps
potential: sw-si-brittle         # plain sw-si does not cleave: its tip blunts
device: cpu                     # or cuda
# spread: none                  # of a committee: its mean alone, without a run for every member

crystal:
  element: Si                   # or symbols: [Si, C] for a compound
  structure: diamond            # fcc, bcc, hcp, diamond, zincblende, rocksalt, B2
  # a: 5.43 angstrom            # only a guess: the potential decides

crack:
  plane: [1, 1, 1]              # cleavage plane; its normal is y
  front: [-1, 1, 0]             # crack front, z; growth, x, is normal × front
  # growth: [-1, -1, 2]         # instead of front
  # cut: shuffle                # which planes of atoms part: shuffle, glide, or 1, 2, ...; by default the cheapest
  # periods: 1                  # thickness along the front
  # mode: {I: 1, II: 0.1}       # or I (default), II, III

zone:                           # a disc of atoms about the tip
  radius: 1.2 nm
  # ahead: 0.5 nm               # its middle ahead of the tip
  # blend: 0.8 nm               # by default half the radius, at least the potential's cutoff
  # pad: 0.8 nm                 # by default from the potential's measured range
  blending: quintic             # or cubic, linear, minimal-curvature

# embedding:                    # a quantum region inside the core
#   engine: sevennet-0          # gpaw, tblite ..., any potential or ASE calculator
#   core: {near_tip: 4 angstrom}
#   cell: {along: 6, planes: 8} # periods of the lattice along x and planes along y that the quantum cell spans
#   # mode: single points       # instead of in the loop: the first and last state, after the run

body:                           # the tip lies at the origin
  shape: disc                   # its rim follows the K-field; or, pulled by grips,
  radius: 200 nm
  #   edge crack (width, height, crack), centre crack (width, height, crack: half its length),
  #   double cantilever beam (length, height, crack), thin strip (length, height, crack)
  elements: quadratic           # or linear
  # grading: {exponent: 1.5, slope: 0.25, largest: 5 nm}      # how elements grow away from the zone

load:
  path: follow                  # continuation through the breaking of bonds; or steps (levels: [0.9 K_G, 1.1 K_G, 0.9 K_G])
  start: 0.9 K_G                # with grips an opening, 2 nm, too
  advance: 1                    # periods by which the crack grows
  # heal: true                  # from the start go the other way too
  # recentre: true              # move the zone with the tip

# learning:                     # teach the potential on the way: heads on it, where their committee doubts the tip
#   oracle: sevennet-l3i5       # gpaw, tblite ..., any potential or ASE calculator
#   threshold: 0.1 eV/angstrom  # largest difference of two members' forces that is trusted
#   budget: 20                  # oracle calls altogether
#   excerpt: {core: 4 angstrom, buffer: 5 angstrom}   # the piece about the doubted atom that the oracle gets
#   # before: true              # run the study by the untaught potential too
#   # compare: references       # the oracle's own values beside those; or none, whole
#   # more keys: multiscale init active-learning

material:                       # the continuum, made from the potential
  type: auto                    # exact where the potential allows, else expanded in the strain; or linear
  # largest_strain: 0.08
  # order: 6

solver:
  tolerance: 1.0e-6 eV/angstrom
  # max_calls: 200000

# output: {states_every: 10}    # atoms and fields every so many states
"""

CONTACT = """\
# Contact: an indenter pressed onto an elastic half space that attracts it, and pulled off again.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale run THIS_FILE
# Quantities carry units: "100 nm", "70 GPa", "0.5 J/m^2".

study: contact

indenter:
  shape: sphere                 # or cylinder (plane strain, loads per length)
  radius: 100 nm
  # elastic: true               # made of the half space's material; by default rigid

material: {E: 70 GPa, nu: 0.3}  # the half space; or, in its place, a crystal by its potential:
# potential: sevennet-0
# device: cpu                   # or cuda
# spread: none                  # of a committee: its mean alone, without a run for every member
# crystal: {element: Al, structure: fcc}
# interface: {plane: [1, 1, 1]} # its surface
# decohesion: {opening: {to: 6 angstrom, points: 24}}

law:                            # how the surfaces attract each other; reversible
  type: dugdale                 # or lennard-jones, exponential; atoms: the potential's own law
  work: 0.5 J/m^2               # with a potential by default that of its law, as the strength
  strength: 1 GPa

path:
  # contact: 10 nm              # contact radius at which the indenter turns round; by default 2 to 2.7 times JKR's
  steps: 40                     # on the way in; as many or more on the way back

mesh:
  facets_in_zone: 8             # facets within the zone of attraction beside the contact
  size: 20                      # of the half space, in units of the widest zone
  # degree: 2
"""

EMBEDDING = """\
# Embedding: how wide the buffer around a quantum region must be, in your own system, by the errors that narrower ones make.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale embedding converge THIS_FILE
# Lengths carry units: "4 angstrom", "0.4 nm".

study: embedding

# The potential of everything: a name from `multiscale potentials`, or one of
#   {name: lammps, pair_style: eam/alloy, files: [Al_zhou.eam.alloy], elements: [Al]}
#   {calculator: "ase.calculators.emt:EMT"}       any ASE calculator
potential: sevennet-0
device: cpu                     # or cuda
# spread: none                  # of a committee: its mean alone, without a run for every member

structure:
  # file: start.xyz             # any format that ASE reads; or a crystal:
  crystal: {element: Si, structure: diamond}
  repeat: [5, 5, 5]             # conventional cells: twice the largest buffer must fit
  vacancy: 0                    # the site that is empty, counted from 0
  # impurity: {element: C, index: 0}
  rattle: 0.05 angstrom         # random displacements: in a perfect crystal every force vanishes
  # seed: 0

embedding:
  engine: sevennet-l3i5         # the quantum engine: tblite, pyscf, gpaw, another potential that stands in for one, or
  #   {engine: gpaw, settings: {...}}
  #   {calculator: "module:Class", arguments: {...}}
  core: {near: [0 nm, 0 nm, 0 nm], radius: 2.6 angstrom}
  #   {indices: [12, 13]}, {species: H, around: 2.5 angstrom}, {coordination: {fewer_than: 4}}, or a list of such choices
  links: none                   # or hydrogen: caps on cut covalent bonds
  scheme: subtractive           # or force mixing (blend: 2 angstrom)
  # charge: 0
  # spin: 0                     # unpaired electrons
  # vacuum: 6 angstrom
  # cache: quantum              # finished calculations are kept there; by default in the run directory

converge:
  buffers: [1 angstrom, 2.5 angstrom, 4 angstrom, 5 angstrom, 6 angstrom, 8 angstrom]   # or first, last and step
  tolerance: 0.05 eV/angstrom   # largest error of a core atom's force
  reference: whole system       # by the engine; where that is too much, the largest buffer
  # displace: 0.1 angstrom      # compare energies before and after such displacements of the core too
"""

TEMPLATES = {
    "active-learning": ACTIVE_LEARNING,
    "adhesion": ADHESION,
    "contact": CONTACT,
    "defect": DEFECT,
    "embedding": EMBEDDING,
    "fracture": FRACTURE,
    "properties": PROPERTIES,
}
"""Case file of each study."""
