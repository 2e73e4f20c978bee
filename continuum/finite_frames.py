"""Local jumps in the frame of a deformed mid-surface, with their first and second derivatives.

The mid-surface between two faces has the tangents t_α = ∂x̄/∂s_α, with x̄ the mean of both faces and s_α the undeformed
arc lengths along the tangents of the undeformed frame. The frame R(t) follows it: the first tangent stays on its material
line, a = t₁/|t₁|, the normal is that of the deformed surface. A jump d of the displacement then has the local components
j = R(t) d, which do not change when the whole specimen is turned: R(Qt) Qd = R(t) d.

With z = (d, t) and tractions T per undeformed area, nodal forces follow from the virtual work T·δj = (T·∂j/∂z)·δz, so that the
forces of an interface are balanced, moments included, whatever its traction; their tangent has, beside the law's D,

    ∂²(T·j)/∂z² = T·∂²j/∂z²                    (T held).

Derivatives of R come from arithmetic with values, gradients and Hessians together (forward differentiation, exact).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Jet:
    """A function of v variables at n points with its derivatives.

    Attributes:
        value: (n,).
        first: (n, v).
        second: (n, v, v), symmetric.
    """

    value: Array
    first: Array
    second: Array

    @classmethod
    def variables(cls, values: Array) -> list["Jet"]:
        """The variables themselves, values (n, v)."""
        n, v = values.shape
        unit, none = np.eye(v), np.zeros((n, v, v))
        return [cls(values[:, i], np.broadcast_to(unit[i], (n, v)), none) for i in range(v)]

    def __add__(self, other: "Jet") -> "Jet":
        return Jet(self.value + other.value, self.first + other.first, self.second + other.second)

    def __sub__(self, other: "Jet") -> "Jet":
        return Jet(self.value - other.value, self.first - other.first, self.second - other.second)

    def __neg__(self) -> "Jet":
        return Jet(-self.value, -self.first, -self.second)

    def __mul__(self, other: "Jet") -> "Jet":
        a, b = self.value[:, None], other.value[:, None]
        mixed = self.first[:, :, None] * other.first[:, None, :]
        second = a[..., None] * other.second + b[..., None] * self.second + mixed + np.swapaxes(mixed, 1, 2)
        return Jet(self.value * other.value, a * other.first + b * self.first, second)

    def inverse_root(self) -> "Jet":
        """self^(−½)."""
        value = self.value**-0.5
        slope, bend = -0.5 * value**3, 0.75 * value**5
        second = slope[:, None, None] * self.second + bend[:, None, None] * (
            self.first[:, :, None] * self.first[:, None, :]
        )
        return Jet(value, slope[:, None] * self.first, second)


def _unit(vector: list[Jet]) -> list[Jet]:
    square = vector[0] * vector[0]
    for component in vector[1:]:
        square = square + component * component
    scale = square.inverse_root()
    return [component * scale for component in vector]


def _cross(a: list[Jet], b: list[Jet]) -> list[Jet]:
    return [a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3] for i in range(3)]


@dataclass(frozen=True, kw_only=True)
class LocalJump:
    """Local jumps at n points and what their derivatives are made of; z = (d, t₁, ...) has dim² components.

    Attributes:
        jump: j, (n, dim), normal first, Å.
        frame: R, (n, dim, dim).
        jacobian: ∂j/∂z, (n, dim, dim²).
    """

    jump: Array
    frame: Array
    jacobian: Array
    _first: Array
    _second: Array
    _difference: Array

    def bending(self, traction: Array) -> Array:
        """∂²(T·j)/∂z² at fixed tractions T (n, dim), (n, dim², dim²) symmetric."""
        n, dim = traction.shape
        found = np.zeros((n, dim * dim, dim * dim))
        mixed = np.einsum("ni,nicv->ncv", traction, self._first)
        found[:, :dim, dim:], found[:, dim:, :dim] = mixed, np.swapaxes(mixed, 1, 2)
        found[:, dim:, dim:] = np.einsum("ni,nc,nicvw->nvw", traction, self._difference, self._second, optimize=True)
        return found


def local_jump(difference: Array, tangents: Array) -> LocalJump:
    """j = R(t) d and its derivatives.

    Args:
        difference: d, (n, dim), Å: displacement of the second face less that of the first.
        tangents: t, (n, dim − 1, dim), without unit.
    """
    n, dim = difference.shape
    if dim == 2:
        along = _unit(Jet.variables(tangents.reshape(n, -1)))
        rows = [[-along[1], along[0]], along]
    else:
        variables = Jet.variables(tangents.reshape(n, -1))
        normal = _unit(_cross(variables[:3], variables[3:]))
        along = _unit(variables[:3])
        rows = [normal, along, _cross(normal, along)]
    frame = np.stack([np.stack([c.value for c in row], axis=1) for row in rows], axis=1)
    first = np.stack([np.stack([c.first for c in row], axis=1) for row in rows], axis=1)
    second = np.stack([np.stack([c.second for c in row], axis=1) for row in rows], axis=1)
    turning = np.einsum("nicv,nc->niv", first, difference)
    return LocalJump(
        jump=np.einsum("nic,nc->ni", frame, difference),
        frame=frame,
        jacobian=np.concatenate([frame, turning], axis=2),
        _first=first,
        _second=second,
        _difference=difference,
    )
