"""The field of a crack: closed forms of isotropic and orthotropic media, equilibrium, free faces, energy release."""

import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from continuum.errors import FieldError, MaterialError
from continuum.materials import LinearElastic
from continuum.stroh import CrackField, crack_field

E, NU = 1.3, 0.27
SHEAR = E / (2 * (1 + NU))
KOLOSOV = 3 - 4 * NU
VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
MODES = {"II": (1.0, 0.0, 0.0), "I": (0.0, 1.0, 0.0), "III": (0.0, 0.0, 1.0)}
MIXED = np.array([0.7, -1.1, 0.4])


def isotropic() -> np.ndarray:
    return np.array(LinearElastic.isotropic(E=E, nu=NU).stiffness)


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    c = np.diag([c11] * 3 + [c44] * 3).astype(float)
    c[:3, :3] += c12 * (1 - np.eye(3))
    return c


def tensor(stiffness: np.ndarray) -> np.ndarray:
    """C_ijkl of a Voigt matrix."""
    full = np.empty((3, 3, 3, 3))
    for m, (i, j) in enumerate(VOIGT):
        for n, (p, q) in enumerate(VOIGT):
            full[i, j, p, q] = full[j, i, p, q] = full[i, j, q, p] = full[j, i, q, p] = stiffness[m, n]
    return full


def turned(stiffness: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """C'_ijkl = R_ia R_jb R_kc R_ld C_abcd, by the full tensor."""
    full = np.einsum("ia,jb,kc,ld,abcd->ijkl", *[rotation] * 4, tensor(stiffness))
    return np.array([[full[i, j, p, q] for p, q in VOIGT] for i, j in VOIGT])


def triclinic() -> np.ndarray:
    """A positive definite stiffness with all 21 constants."""
    noise = np.random.default_rng(3).normal(size=(6, 6))
    return cubic(3.0, 1.2, 0.9) + 0.08 * noise @ noise.T


MEDIA = {
    "isotropic": isotropic(),
    "nearly isotropic": cubic(3.0, 1.0, 1.0 + 1e-9),
    "cubic": cubic(1.05, 0.77, 0.49),
    "monoclinic": turned(cubic(1.05, 0.77, 0.49), Rotation.from_euler("z", 23, degrees=True).as_matrix()),
    "hcp, basal crack": np.block(
        [
            [np.array([[0.4, 0.13, 0.16], [0.13, 0.38, 0.13], [0.16, 0.13, 0.4]]), np.zeros((3, 3))],
            [np.zeros((3, 3)), np.diag([0.10, 0.12, 0.10])],
        ]
    ),
    "triclinic": triclinic(),
    "graphite": turned(
        np.block(
            [
                [np.array([[1060, 180, 15], [180, 1060, 15], [15, 15, 36.5]]), np.zeros((3, 3))],
                [np.zeros((3, 3)), np.diag([4.0, 4.0, 440.0])],
            ]
        )
        / 160.0,
        Rotation.from_euler("x", 70, degrees=True).as_matrix(),
    ),
}
media = pytest.mark.parametrize("stiffness", MEDIA.values(), ids=MEDIA.keys())
modes = pytest.mark.parametrize("k", MODES.values(), ids=MODES.keys())


def ring(radius: float, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Angles between the faces and the places there."""
    theta = np.linspace(-np.pi, np.pi, count + 2)[1:-1]
    return theta, radius * np.column_stack([np.cos(theta), np.sin(theta)])


def williams(mode: str, r: float, theta: np.ndarray) -> np.ndarray:
    """Displacement of unit intensity in an isotropic medium under plane strain (Williams 1957)."""
    s, c = np.sin(theta / 2), np.cos(theta / 2)
    scale, zero = np.sqrt(r / (2 * np.pi)) / (2 * SHEAR), np.zeros_like(theta)
    components = {
        "I": (c * (KOLOSOV - 1 + 2 * s**2), s * (KOLOSOV + 1 - 2 * c**2), zero),
        "II": (s * (KOLOSOV + 1 + 2 * c**2), -c * (KOLOSOV - 1 - 2 * s**2), zero),
        "III": (zero, zero, 4 * s),
    }[mode]
    return scale * np.column_stack(components)


def westergaard(mode: str, r: float, theta: np.ndarray) -> np.ndarray:
    """Stresses xx, yy, zz, yz, xz, xy of unit intensity in an isotropic medium under plane strain."""
    s, c, s3, c3 = (f(q * theta / 2) for q in (1, 3) for f in (np.sin, np.cos))
    zero = np.zeros_like(theta)
    if mode == "III":
        return np.column_stack([zero, zero, zero, c, -s, zero]) / np.sqrt(2 * np.pi * r)
    xx, yy, xy = {
        "I": (c * (1 - s * s3), c * (1 + s * s3), c * s * c3),
        "II": (-s * (2 + c * c3), s * c * c3, c * (1 - s * s3)),
    }[mode]
    return np.column_stack([xx, yy, NU * (xx + yy), zero, zero, xy]) / np.sqrt(2 * np.pi * r)


@pytest.mark.parametrize("mode", MODES)
def test_isotropic_fields_are_the_closed_ones(mode):
    # All six roots coincide at ±i with too few eigenvectors: eigenvectors would reach 1e-8; the Schur form reaches rounding.
    field = crack_field(isotropic())
    theta, places = ring(7.3)
    np.testing.assert_allclose(field.displacement(places, MODES[mode]), williams(mode, 7.3, theta), rtol=0, atol=1e-13)
    stress = field.stress(places, MODES[mode])[:, *np.transpose(VOIGT)]
    np.testing.assert_allclose(stress, westergaard(mode, 7.3, theta), rtol=0, atol=1e-13)


def test_isotropic_modulus():
    field = crack_field(isotropic())
    assert field.effective_modulus == pytest.approx(E / (1 - NU**2), rel=1e-13)
    # G = (1 − ν²)/E (K_I² + K_II²) + K_III²/2μ
    expected = (1 - NU**2) / E * (MIXED[0] ** 2 + MIXED[1] ** 2) + MIXED[2] ** 2 / (2 * SHEAR)
    assert field.energy_release(MIXED) == pytest.approx(expected, rel=1e-13)


def test_orthotropic_modulus_is_that_of_sih_paris_and_irwin():
    for name in ("cubic", "hcp, basal crack"):
        # Their formula in plane strain compliances, exact where the axes are those of orthotropy.
        assert crack_field(MEDIA[name]).effective_modulus == pytest.approx(
            LinearElastic(MEDIA[name]).crack_modulus, rel=1e-12
        )
    # Off the axes it no longer holds: were the two equal, the test above would show nothing.
    oblique = turned(MEDIA["hcp, basal crack"], Rotation.from_euler("z", 23, degrees=True).as_matrix())
    assert abs(crack_field(oblique).effective_modulus / LinearElastic(oblique).crack_modulus - 1) > 1e-3


def barnett_lothe(stiffness: np.ndarray, count: int = 4000) -> np.ndarray:
    """L = −(1/π) ∫₀^π N₃(ω) dω by the trapezium rule, which converges exponentially for a periodic integrand."""
    angle = np.pi * np.arange(count) / count
    n = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    m = np.column_stack([-np.sin(angle), np.cos(angle), 0 * angle])
    Q, R, T = (
        np.einsum("pj,ijkl,pl->pik", a, tensor(stiffness), b, optimize=True) for a, b in ((n, n), (n, m), (m, m))
    )
    return -(R @ np.linalg.inv(T) @ R.transpose(0, 2, 1) - Q).mean(axis=0)


@media
def test_inverse_of_the_barnett_lothe_tensor(stiffness):
    product = crack_field(stiffness).L_inverse @ barnett_lothe(stiffness)
    # 1e-10 leaves room for graphite, whose constants span a factor of 250; the others reach 1e-14.
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=1e-10)


@media
def test_gradient_and_stress_follow_from_the_displacement(stiffness):
    field = crack_field(stiffness)
    _, places = ring(4.0, 57)
    step, pairs = 1e-4, []
    for axis in np.eye(2):
        # Fourth order central differences: error ~ step⁴/r⁴ ~ 1e-17 from truncation, ~ 1e-12 from rounding.
        one, two = (
            field.displacement(places + s * step * axis, MIXED) - field.displacement(places - s * step * axis, MIXED)
            for s in (1, 2)
        )
        pairs.append((8 * one - two) / (12 * step))
    gradient = np.stack(pairs, axis=2)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(field.gradient(places, MIXED), gradient, rtol=0, atol=1e-9 * scale)
    xx, yy = gradient[:, 0, 0], gradient[:, 1, 1]
    strain = np.column_stack(
        [xx, yy, 0 * xx, gradient[:, 2, 1], gradient[:, 2, 0], gradient[:, 0, 1] + gradient[:, 1, 0]]
    )
    stress = field.stress(places, MIXED)
    np.testing.assert_allclose(
        stress[:, *np.transpose(VOIGT)], strain @ stiffness, rtol=0, atol=1e-9 * np.abs(stress).max()
    )
    np.testing.assert_array_equal(stress, stress.transpose(0, 2, 1))


@media
def test_stress_is_in_equilibrium(stiffness):
    field = crack_field(stiffness)
    _, places = ring(4.0, 57)
    step, divergence, size = 1e-3, 0.0, 0.0
    for j, axis in enumerate(np.eye(2)):
        one, two = (
            field.stress(places + s * step * axis, MIXED) - field.stress(places - s * step * axis, MIXED)
            for s in (1, 2)
        )
        change = (8 * one - two)[:, :, j] / (12 * step)
        divergence, size = divergence + change, max(size, np.abs(change).max())
    # Differences of fourth order at 1e-3/4: truncation below 1e-12 of ∂σ, rounding 1e-12; near a soft direction 100 times.
    assert np.abs(divergence).max() < 1e-8 * size


@media
@modes
def test_faces_are_free_and_the_ligament_carries_k(stiffness, k):
    field = crack_field(stiffness)
    x = np.array([0.3, 2.0, 50.0])
    faces = np.column_stack([-np.tile(x, 2), np.zeros(6)])
    stress = field.stress(faces, k, side=np.repeat([1, -1], 3))
    assert np.abs(stress[:, :, 1]).max() < 1e-12  # rounding, of tractions up to 0.7 ahead
    ahead = field.stress(np.column_stack([x, 0 * x]), k)
    np.testing.assert_allclose(ahead[:, :, 1], np.outer(1 / np.sqrt(2 * np.pi * x), k), rtol=0, atol=1e-12)


@media
def test_energy_release_is_the_work_of_closing_the_crack(stiffness):
    """Irwin's integral G = lim 1/2δ ∫₀^δ σ_iy(x) Δu_i(δ − x) dx, exact at any δ for this field."""
    field = crack_field(stiffness)
    delta, count = 1.7, 40
    # x = δ sin²t removes both square roots; the rest is a trigonometric polynomial that the midpoint rule integrates exactly.
    t = (np.arange(count) + 0.5) * np.pi / 2 / count
    x, weight = delta * np.sin(t) ** 2, delta * np.sin(2 * t) * np.pi / 2 / count
    behind = np.column_stack([x - delta, 0 * x])
    sides = np.ones(count)
    for k in (*np.eye(3), MIXED):
        traction = field.stress(np.column_stack([x, 0 * x]), k)[:, :, 1]
        opening = field.displacement(behind, k, side=sides) - field.displacement(behind, k, side=-sides)
        work = (weight * (traction * opening).sum(axis=1)).sum() / (2 * delta)
        assert field.energy_release(k) == pytest.approx(work, rel=1e-11)


@media
def test_energy_release_is_the_j_integral(stiffness):
    """J = ∮ (W n_x − n·σ·∂u/∂x) ds around the tip: exercises every part of the field at all angles."""
    field = crack_field(stiffness)
    nodes, weights = np.polynomial.legendre.leggauss(300)
    normal = np.column_stack([np.cos(np.pi * nodes), np.sin(np.pi * nodes)])
    radius = 3.1
    stress = field.stress(radius * normal, MIXED)[:, :, :2]
    gradient = field.gradient(radius * normal, MIXED)
    density = 0.5 * np.einsum("nij,nij->n", stress, gradient)
    assert (density > 0).all()
    flux = density * normal[:, 0] - np.einsum("nij,nj,ni->n", stress, normal, gradient[:, :, 0])
    # The integrand is smooth (300 Gauss points): graphite at its sharpest angle leaves 1e-9.
    assert np.pi * radius * weights @ flux == pytest.approx(field.energy_release(MIXED), rel=1e-8)


@media
def test_energy_is_positive_and_modes_couple_symmetrically(stiffness):
    inverse = crack_field(stiffness).L_inverse
    assert (np.linalg.eigvalsh(inverse) > 0).all()
    np.testing.assert_array_equal(inverse, inverse.T)
    assert (crack_field(stiffness).p.imag > 0).all()


@media
def test_half_a_turn_about_the_growth_direction_turns_the_field(stiffness):
    """The faces change places, the crack stays: the field of the turned medium is the turned field."""
    turn = np.diag([1.0, -1.0, -1.0])
    field, other = crack_field(stiffness), crack_field(turned(stiffness, turn))
    _, places = ring(2.0, 31)
    # Traction on a plane of normal y is σ·n: turned by the matrix, and once more for the normal that turns over.
    k = -turn @ MIXED
    moved = other.displacement(places * [1, -1], k)
    np.testing.assert_allclose(
        moved, field.displacement(places, MIXED) @ turn, rtol=0, atol=1e-11 * np.abs(moved).max()
    )
    assert other.energy_release(k) == pytest.approx(field.energy_release(MIXED), rel=1e-11)


def test_axes_do_not_matter_for_a_medium_isotropic_in_the_plane():
    """A hexagonal medium with its axis along the front: turned about the front it is the same one, to rounding."""
    basal = np.block(
        [
            [np.array([[0.4, 0.16, 0.13], [0.16, 0.4, 0.13], [0.13, 0.13, 0.38]]), np.zeros((3, 3))],
            [np.zeros((3, 3)), np.diag([0.1, 0.1, 0.12])],
        ]
    )
    field = crack_field(basal)
    other = crack_field(turned(basal, Rotation.from_euler("z", 37, degrees=True).as_matrix()))
    _, places = ring(5.0, 40)
    np.testing.assert_allclose(other.displacement(places, MIXED), field.displacement(places, MIXED), rtol=0, atol=1e-12)


@media
def test_the_field_scales(stiffness):
    """u ~ K√r and ∇u ~ K/√r; a stiffness λ times as large moves 1/λ as far; only the place relative to the tip counts."""
    field = crack_field(stiffness)
    _, places = ring(2.0, 31)
    u, tip = field.displacement(places, MIXED), np.array([3.0, -1.5])
    tolerance = {"rtol": 0, "atol": 1e-12 * np.abs(u).max()}
    np.testing.assert_allclose(field.displacement(4 * places, MIXED / 2), u, **tolerance)
    np.testing.assert_allclose(field.displacement(places + tip, MIXED, tip=tip), u, **tolerance)
    np.testing.assert_allclose(crack_field(100 * stiffness).displacement(places, 100 * MIXED), u, **tolerance)
    assert field.stress_intensity(4.0) == pytest.approx(2 * np.sqrt(field.effective_modulus), rel=1e-14)


def test_stress_intensity_of_mixed_modes():
    field = crack_field(triclinic())
    k = field.stress_intensity(0.3, mode=MIXED) * MIXED
    assert field.energy_release(k) == pytest.approx(0.3, rel=1e-14)
    assert field.stress_intensity(0.0) == 0.0


def test_faces_by_side():
    field = crack_field(triclinic())
    crack, tip = [[-2.0, 0.0], [-2.0, 0.0]], [[0.0, 0.0]]
    upper, lower = field.displacement(crack, MIXED, side=[1, -1])
    near = field.displacement([[-2.0, 1e-7], [-2.0, -1e-7]], MIXED)
    # The displacement is continuous up to each face; 1e-7 of height changes it by ~ 1e-7.
    np.testing.assert_allclose(np.array([upper, lower]), near, rtol=0, atol=1e-6)
    # Rounding of a mesh may put a node of the lower face above the line.
    np.testing.assert_allclose(field.displacement([[-2.0, 1e-13]], MIXED, side=[-1])[0], lower, rtol=1e-14)
    opening = 2 * np.sqrt(2 * 2.0 / np.pi) * field.L_inverse @ MIXED
    np.testing.assert_allclose(upper - lower, opening, rtol=1e-12)
    # Off the crack, side says nothing.
    np.testing.assert_array_equal(
        field.displacement([[2.0, 1.0]], MIXED, side=[-1]), field.displacement([[2.0, 1.0]], MIXED)
    )
    np.testing.assert_array_equal(field.displacement(tip, MIXED), np.zeros((1, 3)))
    assert field.displacement(np.empty((0, 2)), MIXED).shape == (0, 3)


def test_many_places_at_once():
    places = np.random.default_rng(0).normal(size=(20_000, 2))
    start = time.perf_counter()
    field = crack_field(isotropic())
    field.displacement(places, MIXED)
    field.stress(places, MIXED)
    # Takes 0.05 s on an idle core, the degenerate medium being no special case.
    assert time.perf_counter() - start < 1.0


def test_refusals_of_stiffnesses():
    good = isotropic()
    for bad, message in (
        (np.eye(3), r"\(6, 6\)"),
        (np.full((6, 6), np.nan), "finite"),
        (-good, "eigenvalue"),
        (good + np.eye(6, k=1), "not symmetric"),
    ):
        with pytest.raises(MaterialError, match=message):
            crack_field(bad)


def test_refusals_of_places_and_intensities():
    field: CrackField = crack_field(isotropic())
    with pytest.raises(FieldError, match="give side"):
        field.displacement([[-1.0, 0.0], [1.0, 0.0]], MIXED)
    with pytest.raises(FieldError, match=r"side: expected \+1"):
        field.displacement([[-1.0, 0.0]], MIXED, side=[0])
    with pytest.raises(FieldError, match=r"side of shape \(2,\): expected \(1,\)"):
        field.displacement([[-1.0, 0.0]], MIXED, side=[1, 1])
    with pytest.raises(FieldError, match=r"places of shape \(1, 3\): expected \(n, 2\)"):
        field.displacement([[-1.0, 0.0, 0.0]], MIXED)
    with pytest.raises(FieldError, match="finite"):
        field.displacement([[np.nan, 1.0]], MIXED)
    with pytest.raises(FieldError, match="K_II, K_I, K_III"):
        field.displacement([[1.0, 1.0]], 1.0)
    with pytest.raises(FieldError, match="singular"):
        field.stress([[1.0, 2.0]], MIXED, tip=(1.0, 2.0))
    with pytest.raises(FieldError, match="zero or more"):
        field.stress_intensity(-1.0)
    with pytest.raises(FieldError, match="direction"):
        field.stress_intensity(1.0, mode=(0, 0, 0))
