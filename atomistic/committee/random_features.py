"""From scalars to features: linear ones and random cosines of the centred scalars, a block for each species.

cos(ω·z + b) with Gaussian ω approximates a Gaussian kernel (Rahimi and Recht 2007); z are principal components of the training
atoms' scalars, on one scale for all so that small components stay small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """The features φ (d,) of one species' atoms, d = p + r.

    Attributes:
        centre: (c,), mean of the training atoms' scalars.
        projection: (c, p), to principal components with unit total variance.
        frequencies: (p, r), of the cosines; zero columns give constants.
        phases: (r,).
        length: of the Gaussian kernel; the linear features are z over it.
    """

    centre: Array
    projection: Array
    frequencies: Array
    phases: Array
    length: float

    @property
    def size(self) -> int:
        """Number of features."""
        return self.projection.shape[1] + len(self.phases)

    def of(self, scalars: Any) -> Any:
        """Return φ (n, d) of scalars (n, c): numpy in, numpy out; torch in, torch out."""
        if isinstance(scalars, np.ndarray):
            z = (scalars.astype(float) - self.centre) @ self.projection
            wave = np.cos(z @ self.frequencies + self.phases) * self._height
            return np.concatenate([z / self.length, wave], axis=1)
        import torch

        def tensor(values: Array) -> Any:
            return torch.as_tensor(values, dtype=torch.float64, device=scalars.device)

        zt = (scalars.double() - tensor(self.centre)) @ tensor(self.projection)
        wave_t = torch.cos(zt @ tensor(self.frequencies) + tensor(self.phases)) * self._height
        return torch.cat([zt / self.length, wave_t], dim=1)

    def summed_tangents(self, scalars: NDArray[np.float32], tangents: NDArray[np.float32]) -> Array:
        """Return Σ_i dφ_i along m changes (m, d), from scalars (n, c) and their changes (m, n, c)."""
        z = (scalars.astype(float) - self.centre) @ self.projection
        slope = -np.sin(z @ self.frequencies + self.phases) * self._height
        dz = tangents.astype(float) @ self.projection
        # Σ_n (dz_mn · ω) slope_n, as one product over atoms first: m × p × r is all that is kept.
        wave = np.einsum("mnp,nr,pr->mr", dz, slope, self.frequencies, optimize=True)
        return np.concatenate([dz.sum(axis=1) / self.length, wave], axis=1)

    @property
    def _height(self) -> float:
        return float(np.sqrt(2.0 / max(len(self.phases), 1)))


def make_feature_map(
    scalars: NDArray[np.float32], *, components: int, cosines: int, length: float, rng: np.random.Generator
) -> FeatureMap:
    """Return the map of one species from its training atoms' scalars (n, c).

    Args:
        scalars: (n, c).
        components: at most so many principal components.
        cosines: how many random ones.
        length: of the Gaussian kernel, in units of the scalars' total standard deviation.
        rng: where frequencies and phases come from.
    """
    x = scalars.astype(float)
    centre = x.mean(axis=0)
    _, sizes, axes = np.linalg.svd(x - centre, full_matrices=False)
    variances = sizes**2 / len(x)
    kept = max(1, min(components, int(np.count_nonzero(variances > 1e-10 * max(variances[0], 1e-300)))))
    total = np.sqrt(variances[:kept].sum())
    # Atoms that are all alike vary in nothing: any scale will do then.
    projection = axes[:kept].T / (total if total > 1e-8 else 1.0)
    return FeatureMap(
        centre=centre,
        projection=projection,
        frequencies=rng.standard_normal((kept, cosines)) / length,
        phases=rng.uniform(0.0, 2.0 * np.pi, cosines),
        length=length,
    )
