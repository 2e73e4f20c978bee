"""A hyperelastic material that is simple enough to check everything else against."""

import numpy as np


class Kirchhoff:
    """St Venant–Kirchhoff: W = ½λ(tr E)² + μ E:E with Green's strain E = ½(FᵀF − 1)."""

    def __init__(self, *, lame=0.6, shear=0.4):
        self.lame, self.shear = lame, shear
        self.seen = 0  # how many deformation gradients it was last asked about

    def _strain(self, gradient):
        self.seen = len(gradient)
        green = 0.5 * (np.swapaxes(gradient, 1, 2) @ gradient - np.eye(gradient.shape[1]))
        return green, np.trace(green, axis1=1, axis2=2)

    def _second(self, gradient):
        green, trace = self._strain(gradient)
        return self.lame * trace[:, None, None] * np.eye(gradient.shape[1]) + 2.0 * self.shear * green

    def energy(self, gradient):
        green, trace = self._strain(gradient)
        return 0.5 * self.lame * trace**2 + self.shear * np.einsum("nij,nij->n", green, green)

    def stress(self, gradient):
        return gradient @ self._second(gradient)

    def tangent(self, gradient):
        one, second = np.eye(gradient.shape[1]), self._second(gradient)
        left = gradient @ np.swapaxes(gradient, 1, 2)
        return (
            np.einsum("ac,njd->najcd", one, second)
            + self.lame * np.einsum("naj,ncd->najcd", gradient, gradient)
            + self.shear * np.einsum("nac,jd->najcd", left, one)
            + self.shear * np.einsum("nad,ncj->najcd", gradient, gradient)
        )
