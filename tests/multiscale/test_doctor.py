"""The doctor: finds what is there, says what is not and how to get it."""

import importlib.util
import io
import subprocess
import sys

import pytest
from rich.console import Console

from atomistic.oracle import available_engines
from multiscale import doctor


def console():
    return Console(file=io.StringIO(), width=160, highlight=False)


def test_a_missing_engine_comes_with_its_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    findings = [doctor._engine(*engine) for engine in doctor.ENGINES]
    assert {finding.state for finding in findings} == {"optional"}
    assert 'pip install "multiscale-mlip[sevennet]"' in {finding.install for finding in findings}
    assert doctor._fem().state == "broken"
    assert doctor._fem().install == 'pip install "multiscale-mlip[fem]"'
    assert doctor._mpi_alone().state == "broken"


def test_quantum_engines_have_the_install_lines_of_their_errors():
    lines = {install for _, _, install in doctor.ENGINES}
    assert {info.install for info in available_engines()} <= lines
    here = console()
    doctor.print_potentials(console=here)
    assert "Quantum engines" in here.file.getvalue()


def test_a_self_test_that_fails_is_a_finding_and_no_crash():
    def fail():
        raise RuntimeError("two MPI libraries\nand more")

    finding = doctor._tested("MPI", fail, install="mend it")
    assert (finding.state, finding.detail, finding.install) == ("broken", "RuntimeError: two MPI libraries", "mend it")


def test_engines_here_pass_their_tests():
    findings = [doctor._python(), *doctor._library_versions(), doctor._mpi_alone(), doctor._threads()]
    assert [finding.name for finding in findings if finding.state == "broken"] == []
    if doctor.mpirun():
        assert doctor._mpi_two_ranks().state == "fine"


def test_the_poisson_probe_solves_and_can_fail():
    pytest.importorskip("dolfinx")
    assert doctor._fem().state == "fine"
    wrong = doctor.FEM_PROBE.replace("1 + 2 * x[0]", "x[0] ** 2")  # not reproduced by linear elements inside
    done = subprocess.run([sys.executable, "-c", wrong], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "not reproduced" in done.stderr


def test_findings_print_with_a_verdict():
    findings = [
        doctor.Finding(name="numpy", state="fine", detail="2.0"),
        doctor.Finding(name="FEM", state="broken", detail="[gone]", install='pip install "multiscale-mlip[fem]"'),
    ]
    out = console()
    doctor.print_findings(findings, console=out)
    text = out.file.getvalue()
    for words in ("✓", "✗", "[gone]", 'pip install "multiscale-mlip[fem]"', "Broken: FEM."):
        assert words in text
    out = console()
    doctor.print_findings(findings[:1], console=out)
    assert "Everything needed works." in out.file.getvalue()


def test_potentials_are_listed_with_what_they_give():
    out = console()
    doctor.print_potentials(console=out)
    text = out.file.getvalue()
    for words in ("emt", "sevennet-0", "float64", "float32", "weighted", "89 elements"):
        assert words in text
