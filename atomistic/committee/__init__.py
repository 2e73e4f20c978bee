"""Committees: several opinions on one structure, their mean as a potential, and how far they are apart."""

from atomistic.committee.committee import Committee, committee_of, committee_potential
from atomistic.committee.disagreement import Disagreement, disagreement, disagreement_bounds, exceeds, force_spread
from atomistic.committee.features import HeadFeatures
from atomistic.committee.load import load_committee, load_heads, train_heads, training_record
from atomistic.committee.members import Members
from atomistic.committee.training import HeadOptions

__all__ = [
    "Committee",
    "Disagreement",
    "HeadFeatures",
    "HeadOptions",
    "Members",
    "committee_of",
    "committee_potential",
    "disagreement",
    "disagreement_bounds",
    "exceeds",
    "force_spread",
    "load_committee",
    "load_heads",
    "train_heads",
    "training_record",
]
