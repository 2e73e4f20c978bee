"""Quantum mechanics for active sites inside the machine-learned potential: energies subtracted, or forces mixed."""

from coupling.embedding.account import EmbeddingAccount, RegionAccount, Remainder
from coupling.embedding.base import CoreChange, Embedding
from coupling.embedding.cluster import Cluster, cut_cluster
from coupling.embedding.force_mixing import ForceMixing
from coupling.embedding.links import Caps
from coupling.embedding.region import CoreSelection, Links, Region, SubCell
from coupling.embedding.selection import Indices, Near, Score, Selection, Species, Within
from coupling.embedding.selection_structure import Coordination, NearTip
from coupling.embedding.subtractive import SubtractiveEmbedding

__all__ = [
    "Caps",
    "Cluster",
    "Coordination",
    "CoreChange",
    "CoreSelection",
    "Embedding",
    "EmbeddingAccount",
    "ForceMixing",
    "Indices",
    "Links",
    "Near",
    "NearTip",
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
]
