"""Materials: moduli against closed forms, refusals."""

import numpy as np
import pytest

from continuum.errors import MaterialError
from continuum.materials import LinearElastic


def test_isotropic_moduli():
    metal = LinearElastic.isotropic(E=70.0, nu=0.3)
    wide = 70.0 / (1.0 - 0.3**2)
    assert metal.plane_strain_modulus == pytest.approx(wide, rel=1e-12)
    assert metal.crack_modulus == pytest.approx(wide, rel=1e-12)  # E* = E' where the material is isotropic
    assert metal.uniaxial_modulus == pytest.approx(70.0 * 0.7 / (1.3 * 0.4), rel=1e-12)


def test_cubic_plane_strain_compliance():
    c11, c12, c44 = 114.0, 62.0, 32.0
    c = np.diag([c11] * 3 + [c44] * 3).astype(float)
    c[:3, :3] += c12 * (1 - np.eye(3))
    metal = LinearElastic(c)
    # E' of a wide beam along a cube axis: C11 − C12²/C11.
    assert metal.plane_strain_modulus == pytest.approx(c11 - c12**2 / c11, rel=1e-12)


def test_refusals():
    good = np.array(LinearElastic.isotropic(E=1.0, nu=0.3).stiffness)
    skew = good.copy()
    skew[0, 1] += 0.1
    with pytest.raises(MaterialError, match="not symmetric"):
        LinearElastic(skew)
    with pytest.raises(MaterialError, match="eigenvalue"):
        LinearElastic(-good)
    with pytest.raises(MaterialError, match=r"\(6, 6\)"):
        LinearElastic(np.eye(3))
    with pytest.raises(MaterialError, match=r"nu = 0\.5"):
        LinearElastic.isotropic(E=1.0, nu=0.5)
    coupled = good.copy()
    coupled[0, 4] = coupled[4, 0] = 0.05
    with pytest.raises(MaterialError, match="mirror plane"):
        _ = LinearElastic(coupled).plane_strain_stiffness
