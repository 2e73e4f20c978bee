"""Expressions of UFL, evaluated on arrays: how laws that are given by a formula get their derivatives.

UFL differentiates the formula exactly; what it returns is written out once as a list of array operations, each sum,
product or function that occurs more than once only once. Evaluation goes through that list, never through the points.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import basix.ufl
import numpy as np
import ufl
from numpy.typing import NDArray
from scipy import special
from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering
from ufl.algorithms.apply_derivatives import apply_derivatives
from ufl.algorithms.expand_indices import expand_indices
from ufl.core.multiindex import MultiIndex
from ufl.corealg.traversal import unique_post_traversal

from continuum.errors import LawError

Array = NDArray[np.float64]
Expression = Any  # UFL is not typed

_BINARY: dict[type, Callable] = {
    ufl.classes.Sum: operator.add,
    ufl.classes.Product: operator.mul,
    ufl.classes.Division: operator.truediv,
    ufl.classes.Power: np.power,
    ufl.classes.MinValue: np.minimum,
    ufl.classes.MaxValue: np.maximum,
    ufl.classes.Atan2: np.arctan2,
    ufl.classes.LT: operator.lt,
    ufl.classes.GT: operator.gt,
    ufl.classes.LE: operator.le,
    ufl.classes.GE: operator.ge,
    ufl.classes.EQ: operator.eq,
    ufl.classes.NE: operator.ne,
    ufl.classes.AndCondition: np.logical_and,
    ufl.classes.OrCondition: np.logical_or,
}
_UNARY: dict[type, Callable] = {
    ufl.classes.Sqrt: np.sqrt,
    ufl.classes.Exp: np.exp,
    ufl.classes.Ln: np.log,
    ufl.classes.Sin: np.sin,
    ufl.classes.Cos: np.cos,
    ufl.classes.Tan: np.tan,
    ufl.classes.Asin: np.arcsin,
    ufl.classes.Acos: np.arccos,
    ufl.classes.Atan: np.arctan,
    ufl.classes.Sinh: np.sinh,
    ufl.classes.Cosh: np.cosh,
    ufl.classes.Tanh: np.tanh,
    ufl.classes.Erf: special.erf,
    ufl.classes.Abs: np.abs,
    ufl.classes.NotCondition: np.logical_not,
}
_FUNCTIONS = _BINARY | _UNARY | {ufl.classes.Conditional: np.where}
# Points that go through the list together: few enough for what they need to stay in the processor's cache.
_BLOCK = 2048
# What stands for its only (or first) operand once numbers are real.
_THROUGH = (ufl.classes.Variable, ufl.classes.Real, ufl.classes.Conj)


class JumpSymbol:
    """The opening as UFL sees it, normal component first.

    Args:
        dim: 2 (one tangent) or 3 (two).

    Attributes:
        components: the `dim` scalars, each a variable that expressions can be differentiated by.
        vector: the same as one UFL vector.
    """

    def __init__(self, dim: int) -> None:
        domain = ufl.Mesh(basix.ufl.element("Lagrange", "triangle", 1, shape=(2,)))
        self.terminal = ufl.Constant(domain, shape=(dim,))
        self.components = tuple(ufl.variable(self.terminal[i]) for i in range(dim))
        self.vector = ufl.as_vector(self.components)

    def gradient(self, expression: Expression) -> list[Expression]:
        """Derivatives of a scalar by each component."""
        return [ufl.diff(expression, component) for component in self.components]


class Compiled:
    """Scalars of one jump symbol, ready for arrays.

    Args:
        expressions: UFL scalars, derivatives allowed.
        symbol: what they depend on.

    Raises:
        LawError: an operation that has no counterpart on arrays, or something that does not depend on the opening alone.
    """

    def __init__(self, expressions: Sequence[Expression], symbol: JumpSymbol) -> None:
        self._symbol = symbol.terminal
        self._steps: list[tuple[Callable, tuple[int, ...]]] = []
        self._start: list[float | None] = []
        self._inputs: list[tuple[int, int]] = []
        self._slots: dict[Expression, int] = {}
        self._outputs = [self._add(self._lower(expression)) for expression in expressions]

    def __call__(self, opening: Array) -> Array:
        """The scalars at openings (n, dim): (n, number of expressions)."""
        answer = np.empty((len(opening), len(self._outputs)))
        # Branches that a condition does not take may divide by zero; they are not taken.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            for begin in range(0, len(opening), _BLOCK):
                block = slice(begin, begin + _BLOCK)
                self._evaluate(opening[block], answer[block])
        return answer

    def _evaluate(self, opening: Array, answer: Array) -> None:
        values: list[Any] = list(self._start)
        for slot, component in self._inputs:
            values[slot] = np.ascontiguousarray(opening[:, component])
        for slot, (function, operands) in enumerate(self._steps):
            if operands:
                values[slot] = function(*[values[i] for i in operands])
        for column, slot in enumerate(self._outputs):
            answer[:, column] = values[slot]

    @staticmethod
    def _lower(expression: Expression) -> Expression:
        return expand_indices(apply_derivatives(apply_algebra_lowering(ufl.as_ufl(expression))))

    def _add(self, expression: Expression) -> int:
        """Append what an expression needs and is not there yet; returns where its value will stand."""
        for node in unique_post_traversal(expression):
            if node not in self._slots and not isinstance(node, MultiIndex | ufl.classes.Label):
                self._slots[node] = self._place(node)
        return self._slots[expression]

    def _place(self, node: Expression) -> int:
        if isinstance(node, ufl.classes.Zero):
            return self._new(0.0)
        if isinstance(node, ufl.classes.ScalarValue):
            return self._new(float(node))
        if isinstance(node, _THROUGH):
            return self._slots[node.ufl_operands[0]]
        if node == self._symbol:
            return -1  # stands for nothing by itself: its components do
        if isinstance(node, ufl.classes.Indexed) and node.ufl_operands[0] == self._symbol:
            multi: Any = node.ufl_operands[1]
            self._inputs.append((self._new(None), int(multi.indices()[0])))
            return self._inputs[-1][0]
        function = _FUNCTIONS.get(type(node))
        if function is None:
            name = type(node).__name__
            raise LawError(
                f"{name} in a density: expected sums, products, powers, elementary functions and conditions of the "
                "opening's components; write it with these"
            )
        return self._new(None, function, tuple(self._slots[operand] for operand in node.ufl_operands))

    def _new(self, value: float | None, function: Callable = float, operands: tuple[int, ...] = ()) -> int:
        self._start.append(value)
        self._steps.append((function, operands))
        return len(self._start) - 1


def length(vector: Sequence[Expression], small: float) -> Expression:
    """√(Σ v² + small²): a length whose derivatives exist at zero too; `small` is far below what counts, Å."""
    return ufl.sqrt(sum(v * v for v in vector) + small**2)
