"""Mixing of iterates of a map that contracts."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Mixing:
    """Anderson mixing of depth three for a contracting map (Walker and Ni 2011)."""

    def __init__(self) -> None:
        self._points: list[tuple[Array, Array]] = []

    def next(self, point: Array, image: Array) -> Array:
        """The next point, from a point and its image."""
        self._points = [*self._points[-3:], (image, image - point)]
        if len(self._points) == 1:
            return image
        images, gaps = (np.array(a) for a in zip(*self._points, strict=True))
        weights = np.linalg.lstsq((gaps[:-1] - gaps[-1]).T, -gaps[-1], rcond=None)[0]
        return image + weights @ (images[:-1] - image)
