"""Quantum mechanics for active sites inside the machine-learned potential: energies subtracted, or forces mixed."""

from atomistic.caps import Caps, Links
from coupling.embedding.account import EmbeddingAccount, RegionAccount, Remainder
from coupling.embedding.base import CoreChange, Embedding
from coupling.embedding.cluster import Cluster, cut_cluster
from coupling.embedding.force_mixing import ForceMixing
from coupling.embedding.moving import MovingEmbedding
from coupling.embedding.path_energy import PathEnergyObserver, loop_work, path_energy
from coupling.embedding.region import CoreSelection, Region, SubCell
from coupling.embedding.selection import Indices, Near, Score, Selection, Species, Within
from coupling.embedding.selection_doubt import Doubt
from coupling.embedding.selection_structure import BondTip, Coordination, NearTip
from coupling.embedding.subtractive import SubtractiveEmbedding
from coupling.embedding.transition import CoreMove

__all__ = [
    "BondTip",
    "Caps",
    "Cluster",
    "Coordination",
    "CoreChange",
    "CoreMove",
    "CoreSelection",
    "Doubt",
    "Embedding",
    "EmbeddingAccount",
    "ForceMixing",
    "Indices",
    "Links",
    "MovingEmbedding",
    "Near",
    "NearTip",
    "PathEnergyObserver",
    "Region",
    "RegionAccount",
    "Remainder",
    "Score",
    "Selection",
    "Species",
    "SubCell",
    "SubtractiveEmbedding",
    "Within",
    "cut_cluster",
    "loop_work",
    "path_energy",
]
