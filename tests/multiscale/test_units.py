"""The unit border: what people write, what the code computes in."""

import math

import numpy as np
import pint
import pytest
from ase import units as ase_units

from multiscale import units
from multiscale.units import ENERGY_PER_AREA, LENGTH, STRESS, UnitError, format_length, parse_quantity, to_unit


@pytest.mark.parametrize(
    ("text", "kind", "inside"),
    [
        ("200 nm", LENGTH, 2000.0),
        ("2um", LENGTH, 2e4),
        ("2 µm", LENGTH, 2e4),
        ("1e-3 mm", LENGTH, 1e4),
        ("6 angstrom", LENGTH, 6.0),
        ("6 Å", LENGTH, 6.0),
        ("1.5 * nm", LENGTH, 15.0),
        ("160.2176634 GPa", STRESS, 1.0),
        ("16.02176634 J/m^2", ENERGY_PER_AREA, 1.0),
        ("16.02176634 J/m**2", ENERGY_PER_AREA, 1.0),
        ("50 meV/angstrom^2", ENERGY_PER_AREA, 0.05),
    ],
)
def test_text_becomes_the_unit_inside(text, kind, inside):
    assert parse_quantity(text, kind) == pytest.approx(inside, rel=1e-12)  # a handful of roundings


def test_a_pint_quantity_is_read_too():
    ureg = pint.get_application_registry()
    assert parse_quantity(ureg.Quantity(3.0, "nm"), LENGTH) == pytest.approx(30.0, rel=1e-12)
    assert parse_quantity(pint.UnitRegistry().Quantity(3.0, "nm"), LENGTH) == pytest.approx(30.0, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (6, ["6 has no unit", '"6 nm"']),
        (6.5, ["6.5 has no unit"]),
        ("6", ["6 has no unit", '"6 nm"']),
        (True, ["expected a length with its unit, got True"]),
        (None, ["got nothing", "200 nm"]),
        ([1], ["expected a length", "[1]"]),
        ("", ["not a number with a unit"]),
        ("nm", ["not a number with a unit"]),
        ("3 GPa", ["not a length", "GPa is a stress", "200 nm"]),
        ("6 A", ["not a length", "ampere", "angstrom"]),
        ("2 umm", ["unknown", 'did you mean "um"']),
        ("2 parsnip", ["'parsnip'", "unknown"]),
        ("2 nm)", ["unknown"]),
        ("nan nm", ["not a finite length"]),
        ("inf nm", ["not a finite length"]),
        ("1e999 nm", ["not a finite length"]),
        ("0 nm", ["greater than zero"]),
        ("-3 nm", ["greater than zero", "positive length"]),
    ],
)
def test_mistakes_say_what_was_given_and_what_to_write(value, words):
    with pytest.raises(UnitError) as caught:
        parse_quantity(value, LENGTH, sign="positive")
    for word in words:
        assert word in str(caught.value)


def test_zero_passes_where_it_makes_sense():
    assert parse_quantity("0 nm", LENGTH, sign="non-negative") == 0.0
    with pytest.raises(UnitError, match="must not be negative"):
        parse_quantity("-1 nm", LENGTH, sign="non-negative")
    assert parse_quantity("-1 nm", LENGTH) == pytest.approx(-10.0, rel=1e-12)


def test_factors_agree_with_pint_and_with_ase():
    assert to_unit(1.0, STRESS, "GPa") == pytest.approx(units.EV_PER_A3_IN_GPA, rel=1e-14)
    assert to_unit(1.0, ENERGY_PER_AREA, "J/m^2") == pytest.approx(units.EV_PER_A2_IN_J_PER_M2, rel=1e-14)
    assert to_unit(1.0, units.FORCE, "N") == pytest.approx(units.EV_PER_A_IN_J_PER_M, rel=1e-14)
    # ase.units holds CODATA 2014, whose elementary charge is 8e-9 below today's exact one
    assert abs(units.EV_PER_A3_IN_GPA * ase_units.GPa - 1) < 1e-7
    assert np.allclose(to_unit(np.array([10.0, 20.0]), LENGTH, "nm"), [1, 2], rtol=1e-14)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.34, "2.34 Å"), (10.0, "1 nm"), (2000.0, "200 nm"), (2e4, "2 µm"), (3e7, "3 mm"), (0.0, "0 Å")],
)
def test_lengths_are_shown_as_people_say_them(value, text):
    assert format_length(value) == text


def test_every_length_written_to_json_reads_back_to_the_last_bit():
    for value in (math.pi, 1 / 3, 1e-7, 123456.789):
        assert parse_quantity(f"{value!r} angstrom", LENGTH) == value
