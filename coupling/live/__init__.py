"""Live cohesive points: laws that ask an atomistic cell for the openings that the finite elements come to.

`InterfaceCell` is the cell; `LiveLaw` (opening) and `LiveCoupledLaw` (opening and slip) are the laws that an interface
carries; `follow_live` takes a solid through loads, `trace_live` along its path.
"""

from coupling.live.cell import Cell, CellAnswer, Committee, InterfaceCell
from coupling.live.coupled import LiveCoupledLaw
from coupling.live.errors import LiveCacheError, LiveCellError
from coupling.live.follow import LiveRun, follow_live, trace_live
from coupling.live.law import LiveLaw
from coupling.live.record import LiveRecord

__all__ = [
    "Cell",
    "CellAnswer",
    "Committee",
    "InterfaceCell",
    "LiveCacheError",
    "LiveCellError",
    "LiveCoupledLaw",
    "LiveLaw",
    "LiveRecord",
    "LiveRun",
    "follow_live",
    "trace_live",
]
