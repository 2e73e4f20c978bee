"""Designs: from parameters to points, reproducible by their seed.

Latin hypercube: M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics 21, 239 (1979). Sobol sequence, scrambled: A. B. Owen,
J. Complexity 14, 466 (1998). Both by scipy.stats.qmc.
"""

from __future__ import annotations

import itertools
from typing import Any

from multiscale.sweep.config import ParameterModel, SweepCase
from multiscale.sweep.values import at_share, limits, spaced

Point = dict[str, Any]
"""By the name of a parameter, its value as it stands in the case."""


def points_of(sweep: SweepCase) -> list[Point]:
    """The points of a sweep in their order: of a grid the last parameter runs fastest; samples as they are drawn."""
    if sweep.design == "list":
        return [dict(point) for point in sweep.points or ()]
    if sweep.design == "grid":
        axes = {name: _axis(parameter) for name, parameter in sweep.parameters.items()}
        return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return [
        {
            name: _sample(parameter, share)
            for (name, parameter), share in zip(sweep.parameters.items(), row, strict=True)
        }
        for row in _shares(sweep)
    ]


def _shares(sweep: SweepCase) -> list[list[float]]:
    """(samples, parameters) shares of the ranges, from 0 to below 1."""
    from scipy.stats import qmc

    count, size = sweep.samples or 1, len(sweep.parameters)
    if sweep.design == "sobol":
        sampler: Any = qmc.Sobol(size, scramble=True, rng=sweep.seed)
    else:
        sampler = qmc.LatinHypercube(size, rng=sweep.seed)
    shares: list[list[float]] = sampler.random(count).tolist()
    return shares


def _axis(parameter: ParameterModel) -> list[Any]:
    """The values that a grid takes of a parameter."""
    if parameter.values is not None:
        return list(parameter.values)
    bounds = limits(parameter.start, parameter.to, scale=parameter.scale, integer=parameter.integer)
    return spaced(parameter.points or 2, bounds, scale=parameter.scale, integer=parameter.integer)


def _sample(parameter: ParameterModel, share: float) -> Any:
    """The value at a share of a parameter's range; listed values have equal shares."""
    if parameter.values is not None:
        return parameter.values[int(share * len(parameter.values))]
    bounds = limits(parameter.start, parameter.to, scale=parameter.scale, integer=parameter.integer)
    return at_share(share, bounds, scale=parameter.scale, integer=parameter.integer)
