"""A law of the whole separation vector: opening and two slips, periodic in the slips, from a table of energies."""

import numpy as np
from numpy.typing import ArrayLike

from continuum.errors import LawError
from continuum.laws.base import Array, CohesiveLaw, LawResponse

#: What an interface with its normal along y calls tangents, in the table's axes (x, z); see `continuum.interface`.
TANGENTS = {2: np.array([[1.0, 0.0]]), 3: np.array([[0.0, -1.0], [-1.0, 0.0]])}
# Newton's steps, the longest of them (Å), and the traction left, in peak tractions.
_ITERATIONS, _LONGEST, _TOLERANCE = 200, 0.3, 1e-11
#: Values, first and second derivatives of the four cubic B-splines of an interval: rows of powers 1, t, t², t³.
_SPLINE = np.array([[1.0, 4.0, 1.0, 0.0], [-3.0, 0.0, 3.0, 0.0], [3.0, -6.0, 3.0, 0.0], [-1.0, 3.0, -3.0, 1.0]]) / 6.0


class CoupledTableLaw(CohesiveLaw):
    """ψ(δ) of opening and slips, from a table of φ(Δ) and the compliance S that the bodies hold already.

    φ is the tensor product of cubic B-splines through the table, twice continuously differentiable and periodic in the slips;
    T = ∇φ and K = ∇²φ are its exact derivatives. With S = 0 it is the law. Else (Rice 1992, J. Mech. Phys. Solids 40, 239, in
    three components)

        δ = Δ − S T,    ψ(δ) = φ(Δ) − ½ T·S T,    dψ/dδ = T,    dT/dδ = K (I − S K)⁻¹,

    and each evaluation solves for Δ: the minimum of ½(Δ − δ)·S⁻¹(Δ − δ) − φ(Δ), convex where S⁻¹ − K is positive definite.
    The history keeps the last Δ − δ to start from, after the largest ψ so far.

    The law is reversible: a slip by a lattice vector heals, and closed paths cost nothing. It has a repulsion of its own: where
    the halves press, φ is that of the table, continued below its first opening with `penalty`.

    Args:
        opening: (m,) Å, evenly spaced, negative at first; φ no longer changes at the last.
        potential: (m, n1, n2) eV/Å², φ over the openings and an even grid of the slip cell; 0 at no separation.
        lattice: (2, 2) Å, rows are the vectors of the slip cell in (x, z).
        compliance: (3, 3) S, Å⁴/eV, in the order normal, x, z; None for nothing taken out.
        penalty: stiffness of φ below the first opening, eV/Å⁴; that of the closed interface against opening if None.
        dimension: 2 or 3 where `compliance` was chosen for jumps of that many components only; None for either.

    Raises:
        LawError: where the table is no law, or S no compliance that can be taken out of it.
    """

    history_size = 4
    own_repulsion = True
    # A whole lattice vector of slip costs nothing.
    shear_fracture_energy = 0.0

    def __init__(
        self,
        *,
        opening: ArrayLike,
        potential: ArrayLike,
        lattice: ArrayLike,
        compliance: ArrayLike | None = None,
        penalty: float | None = None,
        dimension: int | None = None,
    ) -> None:
        self.dimension = dimension
        nodes, values, cell = (np.asarray(a, dtype=float) for a in (opening, potential, lattice))
        _check_table(nodes, values, cell)
        self.start, self.step = float(nodes[0]), float(nodes[1] - nodes[0])
        self.lattice, self._inverse = cell, np.linalg.inv(cell)
        self.fracture_energy = float(values[-1].mean())
        self._coefficients = _spline_coefficients(values, self.step)
        self.final_opening = self.end = float(nodes[-1])
        self.penalty = 1.0
        closed = self.table(np.zeros((1, 3)))[2][0]
        self.penalty = float(closed[0, 0]) if penalty is None else float(penalty)
        self.compliance = np.zeros((3, 3)) if compliance is None else np.asarray(compliance, dtype=float)
        self._stiffness = self._checked_compliance(closed)
        self._measure()
        self._finish("reversible", self.penalty)

    def _checked_compliance(self, closed: Array) -> dict[int, Array]:
        """Return the inverses of S for two components and for three; none where S = 0."""
        if not self.compliance.any():
            return {}
        if self.compliance.shape != (3, 3) or np.linalg.eigvalsh(self.compliance)[0] <= 0.0:
            raise LawError("compliance: expected a symmetric positive definite (3, 3) matrix in Å⁴/eV, or None")
        inverses = {dim: np.linalg.inv(self.compliance[:dim, :dim]) for dim in (2, 3)}
        if any(np.linalg.eigvalsh(inverse - closed[:dim, :dim])[0] <= 0.0 for dim, inverse in inverses.items()):
            raise LawError(
                "compliance: the bodies would be softer than the closed interface together with them, so that nothing positive "
                "is left for the law; take out less"
            )
        return inverses

    def _measure(self) -> None:
        """Set the figures of mode I."""
        opened = np.linspace(0.0, self.end, 4001)
        gap = np.column_stack([opened, np.zeros((len(opened), 2))])
        _, force, stiffness = self.table(gap)
        delta = gap - force @ self.compliance
        top = int(np.argmax(force[:, 0]))
        self.peak_traction, self.opening_at_peak = float(force[top, 0]), float(delta[top, 0])
        slope = stiffness[0] @ np.linalg.inv(np.eye(3) - self.compliance @ stiffness[0])
        self.initial_stiffness = float(slope[0, 0])

    def table(self, separation: Array) -> tuple[Array, Array, Array]:
        """φ (n,), T (n, 3) and K (n, 3, 3) at separations Δ (n, 3) Å in the order normal, x, z.

        Separations (n, 2) have no slip along z, and answers without that component.
        """
        if separation.shape[1] == 2:
            value, gradient, second = self.table(np.pad(separation, ((0, 0), (0, 1))))
            return value, gradient[:, :2], second[:, :2, :2]
        grid = np.array(self._coefficients.shape[1:])
        below = np.minimum(separation[:, 0] - self.start, 0.0)
        far = separation[:, 0] >= self.end
        place = (separation[:, 0] - below - self.start) / self.step
        place = np.where(far, 0.0, place)
        first = np.minimum(place.astype(np.int64), self._coefficients.shape[0] - 4)
        weights = [_weights(place - first) / self.step ** np.arange(3)[:, None]]
        slip = (separation[:, 1:] @ self._inverse) * grid
        cell = np.floor(slip).astype(np.int64)
        weights += [_weights(slip[:, k] - cell[:, k]) for k in (0, 1)]
        rows = [first[:, None] + np.arange(4)]
        rows += [(cell[:, k, None] + np.arange(-1, 3)) % grid[k] for k in (0, 1)]
        local = self._coefficients[rows[0][:, :, None, None], rows[1][:, None, :, None], rows[2][:, None, None, :]]
        count = len(separation)
        answer = weights[0] @ local.reshape(count, 4, 16)
        answer = (weights[1][:, None] @ answer.reshape(count, 3, 4, 4)) @ np.swapaxes(weights[2], 1, 2)[:, None]
        turn = self._inverse * grid  # from derivatives along the grid's steps to those along x and z
        value = answer[:, 0, 0, 0]
        gradient = np.column_stack(
            [answer[:, 1, 0, 0], np.stack([answer[:, 0, 1, 0], answer[:, 0, 0, 1]], -1) @ turn.T]
        )
        second = np.empty((count, 3, 3))
        second[:, 0, 0] = answer[:, 2, 0, 0]
        second[:, 0, 1:] = second[:, 1:, 0] = np.stack([answer[:, 1, 1, 0], answer[:, 1, 0, 1]], -1) @ turn.T
        bent = answer[:, 0] + answer[:, 1] * below[:, None, None]
        in_plane = np.array([[bent[:, 2, 0], bent[:, 1, 1]], [bent[:, 1, 1], bent[:, 0, 2]]])
        second[:, 1:, 1:] = np.einsum("ia,abn,jb->nij", turn, in_plane, turn)
        # Below the table: φ(first) + T_n(first) x + ½ p x².
        value = value + gradient[:, 0] * below + 0.5 * self.penalty * below**2
        gradient[:, 1:] += second[:, 0, 1:] * below[:, None]
        gradient[:, 0] += self.penalty * below
        second[below < 0.0, 0, 0] = self.penalty
        value[far], gradient[far], second[far] = self.fracture_energy, 0.0, 0.0
        return value, gradient, second

    def separation(self, opening: Array, guess: Array) -> Array:
        """Δ (n, dim) with Δ − S T(Δ) = δ (n, dim) Å, from a guess of Δ − δ: Newton's method on ½(Δ − δ)·S⁻¹(Δ − δ) − φ.

        Steps are halved until that falls. Where it is not convex, the valley is found that lies downhill of the guess.

        Raises:
            LawError: where no Δ is found.
        """
        if not self._stiffness:
            return opening
        own = self._stiffness[opening.shape[1]]
        current = opening + guess
        left = np.arange(len(opening))
        for _ in range(_ITERATIONS):
            here, wanted = current[left], opening[left]
            phi, force, stiffness = self.table(here)
            lag = here - wanted
            residual = lag @ own - force
            todo = np.abs(residual).max(axis=1) > _TOLERANCE * self.peak_traction
            if not todo.any():
                return current
            left, here, lag, residual = left[todo], here[todo], lag[todo], residual[todo]
            merit = 0.5 * np.einsum("ni,ij,nj->n", lag, own, lag) - phi[todo]
            step = -np.linalg.solve(_positive(own - stiffness[todo]), residual[..., None])[..., 0]
            step *= np.minimum(1.0, _LONGEST / np.maximum(np.abs(step).max(axis=1), 1e-300))[:, None]
            current[left] = self._descended(here, wanted[todo], step, merit, np.einsum("ni,ni->n", step, residual))
        raise LawError(
            f"no separation found for {len(left)} openings, the first {opening[left[0]].round(4)} Å: the compliance taken out "
            "exceeds that of the table there; take out less"
        )

    def _descended(self, here: Array, wanted: Array, step: Array, merit: Array, slope: Array) -> Array:
        """Go along the steps, halved until the merit falls (Armijo) or rounding hides its fall."""
        own = self._stiffness[here.shape[1]]
        factor = np.ones(len(here))
        rounding = 1e-12 * self.fracture_energy
        for _ in range(30):
            trial = here + factor[:, None] * step
            lag = trial - wanted
            value = 0.5 * np.einsum("ni,ij,nj->n", lag, own, lag) - self.table(trial)[0]
            high = value > merit + 1e-4 * factor * slope + rounding
            if not high.any():
                break
            factor[high] *= 0.5
        return here + factor[:, None] * step

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first, given the history (n, 4)."""
        dim = jump.shape[1]
        if self.dimension not in (None, dim):
            raise LawError(f"jumps of {dim} components: this law was made for {self.dimension}; extract another")
        # In two dimensions nothing slips along z, neither the interface nor the atoms: z is a mirror plane.
        turn = np.zeros((dim, dim))
        turn[0, 0], turn[1:, 1:] = 1.0, TANGENTS[dim][:, : dim - 1]
        opening = jump @ turn
        separation = self.separation(opening, history[:, 1 : 1 + dim])
        phi, force, stiffness = self.table(separation)
        taken = self.compliance[:dim, :dim]
        psi = phi - 0.5 * np.einsum("ni,ij,nj->n", force, taken, force)
        tangent = stiffness @ np.linalg.inv(np.eye(dim) - taken @ stiffness)
        tangent = turn @ (0.5 * (tangent + np.swapaxes(tangent, 1, 2))) @ turn.T
        traction = force @ turn.T
        largest = np.maximum(history[:, 0], psi)
        nothing = np.zeros(len(jump))
        start = np.zeros((len(jump), 3))
        start[:, :dim] = separation - opening
        return LawResponse(
            traction=traction,
            tangent=tangent,
            secant=self._secant(jump, traction, tangent),
            history_new=np.column_stack([largest, start]),
            stored=psi,
            dissipated=nothing,
            contact=nothing,
            damage=np.clip(largest / self.fracture_energy, 0.0, 1.0),
        )

    def _secant(self, jump: Array, traction: Array, tangent: Array) -> Array:
        """T/δ, component by component, kept positive and no stiffer than the law is at first."""
        small = 1e-6 * self.final_opening
        most = np.maximum(self.initial_stiffness, np.abs(np.einsum("nii->ni", tangent)))
        moved = np.abs(jump) > small
        ratio = np.where(moved, traction / np.where(moved, jump, 1.0), np.einsum("nii->ni", tangent))
        return np.clip(ratio, 1e-6 * self.initial_stiffness, most)


def _positive(matrices: Array) -> Array:
    """Symmetric matrices (n, d, d) with their eigenvalues replaced by positive ones where they are not."""
    values, vectors = np.linalg.eigh(matrices)
    least = 1e-3 * np.abs(values).max(axis=1, keepdims=True)
    if (values > least).all():
        return matrices
    lifted = np.maximum(np.abs(values), least)
    return np.asarray((vectors * lifted[:, None, :]) @ np.swapaxes(vectors, 1, 2))


def _weights(t: Array) -> Array:
    """Values, first and second derivatives (n, 3, 4) of the four cubic B-splines at places t in [0, 1] of an interval."""
    one, zero = np.ones_like(t), np.zeros_like(t)
    powers = np.stack([[one, t, t**2, t**3], [zero, one, 2 * t, 3 * t**2], [zero, zero, 2 * one, 6 * t]])
    return np.asarray(np.einsum("dpn,pb->ndb", powers, _SPLINE))


def _spline_coefficients(values: Array, step: float) -> Array:
    """Coefficients (m + 2, n1, n2) of the cubic spline through (m, n1, n2): periodic in the slips, flat at the last opening.

    At the first opening its second derivative is that of the first three values.
    """
    levels = values.shape[0]
    matrix = np.zeros((levels + 2, levels + 2))
    row = np.arange(levels)
    for offset, weight in enumerate((1.0, 4.0, 1.0)):
        matrix[row + 1, row + offset] = weight / 6.0
    matrix[0, :3] = 1.0, -2.0, 1.0
    matrix[-1, -3], matrix[-1, -1] = -1.0, 1.0
    right = np.concatenate([[values[0] - 2.0 * values[1] + values[2]], values, np.zeros((1, *values.shape[1:]))])
    along = np.linalg.solve(matrix, right.reshape(levels + 2, -1)).reshape(right.shape)
    filters = [(4.0 + 2.0 * np.cos(2.0 * np.pi * np.arange(n) / n)) / 6.0 for n in values.shape[1:]]
    return np.fft.ifft2(np.fft.fft2(along) / np.outer(*filters)).real


def _check_table(nodes: Array, values: Array, cell: Array) -> None:
    """Raise LawError unless the arrays make a table."""
    if (
        nodes.ndim != 1
        or len(nodes) < 6
        or values.shape[:1] != nodes.shape
        or values.ndim != 3
        or min(values.shape) < 4
    ):
        raise LawError(
            f"table of shapes {nodes.shape}, {values.shape}: expected (m,) and (m, n1, n2) with m ≥ 6, n1, n2 ≥ 4"
        )
    if not (np.isfinite(nodes).all() and np.isfinite(values).all()):
        raise LawError(
            "table with NaN or infinite entries: expected finite numbers; check the separations it came from"
        )
    width = np.diff(nodes)
    if width.min() <= 0.0 or np.ptp(width) > 1e-9 * np.ptp(nodes) or nodes[0] > 0.0:
        raise LawError("openings: expected to ascend in even steps from 0 or below")
    if cell.shape != (2, 2) or abs(np.linalg.det(cell)) < 1e-6:
        raise LawError(f"lattice {cell.tolist()}: expected two independent vectors in (x, z), Å")
    if np.ptp(values[-1]) > 1e-9 * abs(values[-1]).max() or values[-1].mean() <= 0.0:
        raise LawError(
            "energies at the last opening: expected one positive value for all slips, the work of separation"
        )
