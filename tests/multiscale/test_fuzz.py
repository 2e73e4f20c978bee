"""Case files changed by chance and malice; benchmarks/fuzz.py reads thousands of them."""

import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _case_mutations import HEADS, RAW, SOURCES, mutated_cases, verdict

from multiscale.config import CaseError, load_case
from multiscale.config.load import STUDIES
from multiscale.config.yaml_text import LARGEST_DEPTH, LARGEST_FILE, YamlTextError, read_yaml
from multiscale.units import LENGTH, UnitError, parse_quantity


def test_a_changed_case_is_a_case_or_an_error_with_its_place(tmp_path):
    found = set()

    @settings(
        max_examples=200,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated_cases())
    def read(content):
        found.add(verdict(content, tmp_path / "case.yaml"))

    read()
    assert found == {"case", "error"}


def test_the_sources_are_of_every_study():
    assert {read_yaml(text)[0]["study"] for text in SOURCES} == set(STUDIES)


@pytest.mark.parametrize(
    "text", [f"study: adhesion\nlaw: {raw}\n" for raw in RAW] + [f"{head}study: x\n" for head in HEADS]
)
def test_no_piece_of_yaml_gives_a_traceback(tmp_path, text):
    assert verdict(text.encode("utf-8", "surrogatepass"), tmp_path / "case.yaml") == "error"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: !!python/object/apply:os.system [touch pwned]\n", (1, 4), "tag"),
        ("a: !include /etc/passwd\n", (1, 4), "tag"),
        ("a: &x [*x]\n", (1, 8), r"alias \*x stands within what it repeats"),
        ("a: *x\n", (1, 4), "no anchor &x"),
        ("a: 1\n---\nb: 2\n", (2, 1), "another document"),
        ("a: {b: 1, b: 2}\n", (1, 11), "duplicate key 'b'"),
        ("a: {<<: 5}\n", (1, 9), "takes mappings"),
        ('a: "\\UFFFFFFFF"\n', (1, 5), "stands for no character"),
        ('a: "x\\0y"\n', (1, 4), "U\\+0000"),
        ("a:\n  b: \x1b[31m\n", (2, 6), "U\\+001B"),
        ('a: "\\ud800"\n', (1, 4), "U\\+D800"),
        ("a: 9223372036854775808\n", (1, 4), "too large"),
        (f"a: {'[' * LARGEST_DEPTH}\n", (1, 3 + LARGEST_DEPTH), "too deeply"),
        ("%YAML 9.9\n---\na: 1\n", (1, 1), "not valid YAML"),
    ],
)
def test_what_yaml_can_but_cases_do_not_is_refused_at_its_place(text, place, words):
    with pytest.raises(YamlTextError, match=words) as caught:
        read_yaml(text)
    assert caught.value.place == place


def test_scalars_follow_the_core_schema():
    data, places = read_yaml(
        "{a: 010, b: 0o17, c: 0xff, d: -.inf, e: 1e3, f: 'no', g: no, h: 2026-11-23, i: , j: ~, k: FALSE, l: 1_0, m: '7'}"
    )
    assert data == {
        "a": 10, "b": 15, "c": 255, "d": float("-inf"), "e": 1000.0, "f": "no", "g": "no", "h": "2026-11-23", "i": None,
        "j": None, "k": False, "l": "1_0", "m": "7",
    }  # fmt: skip
    assert places["b",] == (1, 10)


def test_aliases_and_merge_keys_are_copied_out_and_keep_their_places():
    text = "base: &b {x: 1, y: [1]}\nother: &o {z: 3}\nall:\n  y: 2\n  <<: [*b, *o]\nsame: *b\n"
    data, places = read_yaml(text)
    assert data["all"] == {"y": 2, "x": 1, "z": 3}
    assert data["same"] == data["base"]
    assert data["same"]["y"] is not data["base"]["y"]
    assert (places["all", "x"], places["all", "y"], places["same", "y"]) == ((1, 11), (4, 3), (1, 17))


def test_a_few_aliases_do_not_become_millions(tmp_path):
    path = tmp_path / "case.yaml"
    for head in (HEADS[0], HEADS[1], HEADS[4]):  # billion laughs, with lists and with merge keys
        path.write_text(head + "study: adhesion\n")
        began = time.process_time()
        with pytest.raises(CaseError, match=r"case.yaml:[0-9]+:[0-9]+: .*more than 100,000 values"):
            load_case(path)
        assert time.process_time() - began < 5.0


def test_a_file_too_large_is_not_read(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(CaseError, match="larger than 1 MiB"):
        load_case(path)
    with pytest.raises(CaseError, match="larger than 1 MiB"):
        load_case("/dev/zero")


@pytest.mark.parametrize(
    "unit", ["nm*2**9**9**9", "2**9**9 nm", "(nm**9)**9**9**9", "n" * 40, "nm**999999999", "nm" + "*nm" * 20000]
)
def test_a_unit_is_no_calculator(unit):
    began = time.process_time()
    with pytest.raises(UnitError, match=r"unknown|not a number with a unit"):
        parse_quantity(f"5 {unit}", LENGTH)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("text", "value"), [("5 nm^2/nm", 50), ("5 (nm²)**0.5", 50), ("5 1/(1/nm)", 50), ("5 nm·nm/nm", 50), ("5 Å", 5)]
)
def test_units_may_still_be_products_of_powers(text, value):
    assert parse_quantity(text, LENGTH) == pytest.approx(value)


def test_a_message_stays_short_whatever_was_given(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_text(f"study: adhesion\n{'k' * 9000}: 1\npotential: {'p' * 9000}\nlaw: {'l' * 9000}\n")
    with pytest.raises(CaseError) as caught:
        load_case(path)
    assert all(len(str(problem)) < 2000 for problem in caught.value.problems)
