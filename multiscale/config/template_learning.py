"""The commented case file of the active-learning study."""

ACTIVE_LEARNING = """\
# Active learning: a run asks an oracle where its potential is in doubt, learns, and goes on from where it was trusted.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale run THIS_FILE        Go on after a stop: ... --force
# Quantities carry units: "0.2 eV/angstrom", "300 K", "2 fs".

study: active-learning

# What is taught: a SevenNet model by its name, the backbone under the heads; or heads that were taught before, {path: taught.npz}
potential: sevennet-0
device: cpu                     # or cuda

structure:
  # file: start.xyz             # any format that ASE reads; or a crystal:
  crystal: {element: Al, structure: fcc}
  stack: {plane: [1, 1, 1], planes: 6}      # as planes with a gap that opens; leave out for conventional cells
  repeat: [2, 2, 1]
  # vacancy: 0                  # the site that is empty, counted from 0
  # impurity: {element: Cu, index: 0}
  # rattle: 0.05 angstrom       # random displacements at the start
  # seed: 0

run:
  type: dynamics                # or relaxation (fmax, steps)
  steps: 500
  temperature: 300 K
  # heat_to: 900 K              # reached evenly by the end
  # timestep: 2 fs
  # damping: 500 fs             # of the thermostat
  # strain: {xx: 0.02}          # of the cell, reached evenly by the end
  opening: 3 angstrom           # of the stack's gap, reached evenly by the end
  # seed: 0

learning:
  oracle: sevennet-l3i5         # gpaw, tblite ..., any potential or ASE calculator
  # settings: {...}             # of the oracle, as it names them itself
  threshold: 0.15 eV/angstrom   # largest difference of two members' forces on an atom that is trusted
  check_every: 5                # steps
  budget: 20                    # oracle calls altogether
  # patience: 3                 # trainings without progress after which the run stops
  # improvement: 0.01           # relative fall that counts as progress
  # frames_per_trigger: 1
  # neighbours: 2               # other frames that are tried where the oracle fails
  # ceiling: 5 eV/angstrom      # doubt of a structure that is beyond use: an earlier one is labelled
  # cache: quantum              # folder of the oracle's results; by default in the run directory
  # student: {backbone: sevennet-0, layers: 2, members: 4, directions: 96, seed: 0}
  #   {factory: "my_package:make_student", arguments: {...}} for a student of one's own
  data:
    # initial: [initial.extxyz] # labelled frames to begin with; without them the oracle labels some:
    frames: 4
    # rattle: 0.1 angstrom
    # held_out: [held_out.extxyz]           # never taught: they calibrate the doubt and show what the teaching brings
  # contract: contract.yaml     # bounds on the held-out errors; or a mapping, {forces_rmse: "0.1 eV/angstrom"}
  # contract_stops: lost        # or failed
  # excerpt: {core: 4 angstrom, buffer: 5 angstrom, vacuum: 5 angstrom, passivate: none, periodic: keep}   # of large structures
"""
