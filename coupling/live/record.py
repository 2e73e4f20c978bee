"""What a live law has cost, and what it knows of its own error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LiveRecord:
    """What a live law has cost and what it knows of its own error.

    Attributes:
        evaluations: cells computed, over all ranks.
        calls: evaluations of the potential that these took.
        from_cache: nodes taken from the cache file.
        points_asked: points × evaluations of the law by the solver: cells that a law without table would have computed.
        active_points_asked: those of them that stood inside the cohesive zone (above 1% of the peak traction).
        saved: active_points_asked / evaluations.
        largest_estimate: largest estimated error of the traction inside the range that was asked, share of the peak.
        largest_surprise: largest difference between the traction that the curve foretold inside its range and the cell's answer
            to a fresh evaluation there, share of the peak.
        unresolved: intervals (Å) that the finest step or rounding leaves above the tolerance.
        predicted: openings (Å) whose cell failed and that a fallback stands in for.
        frontier: largest opening evaluated (complete separation apart), Å.
    """

    evaluations: int
    calls: int
    from_cache: int
    points_asked: int
    active_points_asked: int
    saved: float
    largest_estimate: float
    largest_surprise: float
    unresolved: tuple[tuple[float, float], ...]
    predicted: tuple[float, ...]
    frontier: float
