"""Atoms: potentials, crystals and what happens when they are pulled apart. Knows ASE and torch, no finite elements."""
