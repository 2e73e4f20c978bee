"""The commented case file of the properties study."""

PROPERTIES = """\
# Properties: what one or several potentials say of a crystal, side by side and beside values that you trust.
# Check it:  multiscale validate THIS_FILE        Run it:  multiscale properties THIS_FILE
# Quantities carry units: "4.04 angstrom", "0.65 eV", "110 GPa", "0.8 J/m^2".

study: properties

# One, a list, or names of your own: {classical: eam-al, foundation: sevennet-0}. Each is a name from `multiscale potentials`, or
#   {name: lammps, pair_style: eam/alloy, files: [Al_zhou.eam.alloy], elements: [Al]}
#   {calculator: "ase.calculators.emt:EMT"}       any ASE calculator
#   {path: model.pth}                             a checkpoint of SevenNet, MACE or NequIP
#   {committee: [...]}                            several at once: values get error bars
potentials: [eam-al, sevennet-0]
device: cpu                     # or cuda
# spread: none                  # of a committee only the mean

crystal:
  element: Al                   # or symbols: [Ni, Al] for a compound
  structure: fcc                # fcc, bcc, hcp, diamond, rocksalt, B2, zincblende
  # a: 4.05 angstrom            # only a guess: the potential decides

properties: [lattice, cohesion, state, elastic, vacancy, surfaces, faults]     # or some of them

state:                          # the equation of state
  strain: 0.06                  # largest change of the volume, both ways
  points: 11

vacancy:
  starts: 1                     # covalent crystals: from 8 places, displaced at random, the lowest counts
  # sizes: [2, 3, 4]            # conventional cells along an edge; by default those with 30 to 300 sites
  # species: Ni                 # of a compound: what is missing, and the energy of an atom where it goes, by potential
  # chemical_potential: {eam-nial: -4.45 eV}

surfaces:
  heights: [16 angstrom, 24 angstrom, 32 angstrom]   # of the slabs through whose energies the line goes
  relax: true
  # planes: [[1, 1, 1], [1, 0, 0], [1, 1, 0]]        # by default the densest of the structure
  # cut: widest

faults:                         # γ-surfaces; by default the slip system of fcc, bcc, hcp or diamond
  - plane: [1, 1, 1]
    direction: [1, 1, -2]       # without it the whole surface
    # points: 25
    # relax: false              # rigid halves; else relaxed along the normal
    # planes: 8                 # of atoms in each half
    # cut: narrowest            # the glide set of diamond

# free_atoms: {sevennet-0: {Al: -0.2 eV}}            # by the method that a potential was fitted to, for the cohesive energy

references:                     # differences are from the first that has a value
  - name: experiment
    source: Kittel (lattice, cohesion), Kamm and Alers 1964 (elasticity, at 0 K), Ehrhart 1991 (vacancy), Murr 1975 (fault)
    values:
      a: 4.05 angstrom
      cohesive_energy: 3.39 eV
      C11: 114.3 GPa
      C12: 61.9 GPa
      C44: 31.6 GPa
      vacancy: 0.67 eV
      stacking_fault(111): 166 mJ/m^2
"""
