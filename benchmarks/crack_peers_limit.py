"""What fixed clusters tend to as their radius grows: the reference of `crack_peers.py`, with how far it can be trusted.

python benchmarks/crack_peers_limit.py [--potential sw-si] [--radii 32 45.25 64 90.51 128 181.02 256] --write

Without --write, what the file `crack_peers_reference.json` holds is extrapolated and printed. With it the clusters are solved
again first: 256 Å are 42,000 atoms, the list takes 15 minutes on one core.

A rim fixed to the linear field at radius R makes two errors. The crystal's second-order elasticity adds to the field around a
crack a term K² f(θ), which does not grow with r; cut off at the rim, it acts as a change of K in proportion to K² R^-1/2. And
the tip is not where the field is centred, but some s periods of bonds from it: K changes in proportion to s/R. The limit must be
the same wherever the field is centred, and the second-order coefficient e is one for K_plus and K_minus: all are fitted together.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

Array = np.ndarray
FILE = Path(__file__).with_name("crack_peers_reference.json")
RADII = (32.0, 45.25, 64.0, 90.51, 128.0, 181.02, 256.0)
#: Terms of the error beyond R^-1/2, R^-1 and s/R: R^-3/2 and s R^-3/2. The first model is taken.
MODELS = ((False, True), (False, False), (True, True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Limit:
    """Fixed clusters of infinite radius.

    Attributes:
        k_plus: of K_G, and how uncertain it is.
        k_minus: the same for healing.
        second_order: e of K(R) = K (1 + e (K / K_G) R^-1/2 + ...), √Å.
        places: (m, 2) undeformed places of the core from the middle of the first whole bond, Å.
        shape: (m, 3) displacements there less their own rigid motion, Å, at K_G.
        shape_error: root mean square over the atoms of the uncertainty of `shape`, Å.
    """

    k_plus: tuple[float, float]
    k_minus: tuple[float, float]
    second_order: float
    places: Array
    shape: Array
    shape_error: float


def shape(places: Array, displacements: Array) -> Array:
    """Return displacements (m, 3) less the rigid motion that fits them best (least squares): u - t - ω × (x - mean).

    The core as a whole drifts along the plane with ln R, for ever: the second-order term contains K² ln r. Only its shape has a
    limit.

    Args:
        places: (m, 2), Å.
        displacements: (m, 3), Å.
    """
    about = places - places.mean(axis=0)
    moved: Array = displacements - displacements.mean(axis=0)
    turned = np.column_stack([-about[:, 1], about[:, 0], np.zeros(len(about))])
    return moved - np.sum(turned * moved) / np.sum(turned**2) * turned


def deviation(places: Array, displacements: Array, reference: Limit) -> float:
    """Root mean square over the core's atoms of the error of its shape, Å.

    Raises:
        ValueError: other atoms than those of the reference.
    """
    if np.shape(places) != reference.places.shape or np.abs(places - reference.places).max() > 1e-2:
        raise ValueError(
            "The core has other atoms than the reference's. Give places from the middle of the first whole bond."
        )
    return _size(shape(places, displacements) - reference.shape)


def extrapolate(results: Sequence[dict]) -> Limit:
    """Return the limit of what `fixed_boundary` gave, for at least four radii and both places of the tip at each.

    Least squares weighted by R², as what the models leave out, the roughness of the rim above all, falls off faster. The
    uncertainty is twice the standard error, or the difference to another model where that is larger.

    Raises:
        ValueError: too few radii.
    """
    radii = np.array([r["radius"] for r in results])
    tips = np.array([r["tip_periods"] for r in results])
    loads = np.array([[r[key] / r["k_griffith"] for key in ("k_plus", "k_minus")] for r in results])
    places = np.asarray(results[0]["core_places"])
    shapes = np.array([shape(places, np.asarray(r["core_displacements"])).ravel() for r in results])
    distinct = len(np.unique(radii))
    if distinct < 4 or len(radii) < 2 * distinct:
        raise ValueError(
            f"Expected four radii or more, with both places of the tip; got {len(radii)} of {distinct} radii."
        )
    # With R^-3/2 there are four functions of the radius.
    models = [model for model in MODELS if not model[0] or distinct > 4]
    fits = [_fit_loads(radii, _terms(radii, tips, model), loads) for model in models]
    cores = [_fit_shapes(radii, _terms(radii, tips, model), shapes) for model in models]
    (found, error), (core, core_error) = _with_uncertainty(fits), _with_uncertainty(cores)
    return Limit(
        k_plus=(float(found[0]), float(error[0])),
        k_minus=(float(found[1]), float(error[1])),
        second_order=float(found[2]),
        places=places,
        shape=core.reshape(-1, 3),
        shape_error=_size(core_error.reshape(-1, 3)),
    )


def order(radii: Array, errors: Array) -> float:
    """Return p of |error| ∝ R^-p, by least squares of the logarithms."""
    return float(-np.polyfit(np.log(radii), np.log(np.abs(errors)), 1)[0])


def _terms(radii: Array, tips: Array, model: tuple[bool, bool]) -> Array:
    """Return the terms (c, t) of a model, those with 1 and R^-1/2 left out."""
    cubic, tip_cubic = model
    return np.column_stack([1.0 / radii, tips / radii] + [radii**-1.5] * cubic + [tips * radii**-1.5] * tip_cubic)


def _fit_loads(radii: Array, terms: Array, loads: Array) -> tuple[Array, Array]:
    """Return K_plus, K_minus and e, and their standard errors, (3,) each.

    K = K_∞ (1 + e K_∞ R^-1/2) + other terms, which have coefficients of their own for the two loads.
    """
    count = terms.shape[1]

    def misfit(unknowns: Array) -> Array:
        limits, second_order, others = unknowns[:2], unknowns[2], unknowns[3:].reshape(count, 2)
        wrong = limits * (1.0 + second_order * limits * radii[:, None] ** -0.5) + terms @ others - loads
        return np.asarray(wrong * _weights(radii)[:, None]).ravel()

    start = np.concatenate([loads[np.argmax(radii)], np.zeros(1 + 2 * count)])
    fit = least_squares(misfit, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    variance = 2.0 * fit.cost / (loads.size - start.size) * np.diag(np.linalg.inv(fit.jac.T @ fit.jac))
    return fit.x[:3], np.sqrt(variance[:3])


def _fit_shapes(radii: Array, terms: Array, shapes: Array) -> tuple[Array, Array]:
    """Return the limit of shapes (c, 3m) and its standard errors, (3m,) each."""
    weights = _weights(radii)[:, None]
    columns = np.column_stack([np.ones_like(radii), radii**-0.5, terms]) * weights
    coefficients = np.linalg.lstsq(columns, shapes * weights, rcond=None)[0]
    wrong = columns @ coefficients - shapes * weights
    freedom = len(radii) - columns.shape[1]
    variance = np.sum(wrong**2, axis=0) / freedom * np.linalg.inv(columns.T @ columns)[0, 0]
    return coefficients[0], np.sqrt(variance)


def _with_uncertainty(fits: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the first of several fits, and the larger of twice its standard error and how far the others are from it."""
    centre, error = fits[0]
    spread = np.max([np.abs(other - centre) for other, _ in fits], axis=0)
    return centre, np.maximum(2.0 * error, spread)


def _weights(radii: Array) -> Array:
    return np.asarray((radii / radii.max()) ** 2)


def _size(displacements: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(displacements**2, axis=1))))


def stored(potential: str = "sw-si") -> list[dict]:
    """Return the results that the file holds for a potential."""
    found: list[dict] = json.loads(FILE.read_text())[potential]
    return found


def reference(potential: str = "sw-si") -> Limit:
    """Return the limit of the stored results."""
    return extrapolate(stored(potential))


def main() -> int:
    """Solve, if asked, then extrapolate and print."""
    from crack_peers_matscipy import TIPS, fixed_boundary, plain

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--potential", default="sw-si", choices=("sw-si", "holland-marder"))
    parser.add_argument("--radii", type=float, nargs="+", default=RADII, help="Å")
    parser.add_argument("--write", action="store_true", help="solve the clusters again and keep what they give")
    given = parser.parse_args()
    if given.write:
        results = []
        for radius in given.radii:
            for tip in TIPS:
                results.append(plain(fixed_boundary(radius, potential=given.potential, tip=tip)))
                print({k: v for k, v in results[-1].items() if not k.startswith("core")}, file=sys.stderr, flush=True)
        kept = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps(kept | {given.potential: results}) + "\n")
    limit = reference(given.potential)
    figures = {
        "k_plus": limit.k_plus,
        "k_minus": limit.k_minus,
        "e": limit.second_order,
        "shape_error_A": limit.shape_error,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
