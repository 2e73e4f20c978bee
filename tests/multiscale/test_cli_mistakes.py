"""Every command with arguments that cannot be: one message, no traceback, exit code 2 (1 where the machine is at fault)."""

import json
import subprocess
import sys

import pytest

from multiscale.cli import main
from multiscale.config.template import TEMPLATES

LONG = "x" * 300
NO_CASES = [
    "missing.yaml",
    "empty",
    "file/x.yaml",
    "loop",
    f"{LONG}.yaml",
    "dangling.yaml",
    "/proc/self/mem",
    "binary",
    "list/run.json",
]
NO_RUNS = ["missing", "file", "file/x", "empty", "junk", "list", "binary/x", "folder", "loop", LONG, "/proc/self/mem"]
NO_OUTPUTS = ["file", "file/x", "/proc/x", "/dev/null", "/dev/null/x", LONG, "loop"]
OF_A_CASE = [["run"], ["validate"], ["properties"], ["embedding", "converge"], ["run", "--dry-run"], ["sweep"]]
OF_A_RUN = [
    ["resume"],
    ["rerun"],
    ["report"],
    ["spread"],
    ["compare"],
    ["sweep", "status"],
    ["sweep", "resume"],
    ["sweep", "collect"],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what people, and machines, leave behind."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "file").write_text("hello")
    (folder / "binary").write_bytes(bytes(range(256)))
    for name, text in (
        ("empty", None),
        ("junk", "{nonsense"),
        ("list", "[1]"),
        ("odd", '{"status": 5, "case": [], "given": "x"}'),
    ):
        (folder / name).mkdir()
        if text is not None:
            (folder / name / "run.json").write_text(text)
    (folder / "folder" / "run.json").mkdir(parents=True)
    (folder / "loop").symlink_to("loop")
    (folder / "dangling.yaml").symlink_to("nowhere")
    (folder / "contact.yaml").write_text(TEMPLATES["contact"])
    return folder


@pytest.fixture
def told(place, monkeypatch, capsys):
    """Run a command in that folder; its exit code and what it says on standard error."""
    monkeypatch.chdir(place)

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as stop:  # the parser's own
            code = stop.code
        text = capsys.readouterr().err
        assert "Traceback" not in text
        assert "unexpected" not in text
        assert text.count("error:") + text.count("errors:") == (code != 0), text
        return code, text

    return run


@pytest.mark.parametrize("case", NO_CASES, ids=lambda name: name[:16])
@pytest.mark.parametrize("command", OF_A_CASE, ids="-".join)
def test_what_is_no_case_file(told, command, case):
    code, text = told(*command, case)
    assert code == 2
    assert case[:40] in text


@pytest.mark.parametrize("directory", NO_RUNS, ids=lambda name: name[:16])
@pytest.mark.parametrize("command", OF_A_RUN, ids="-".join)
def test_what_is_no_run_directory(told, command, directory):
    code, text = told(*command, directory, *([directory] if command == ["compare"] else []))
    assert code == 2
    assert directory[:40] in text


@pytest.mark.parametrize("output", NO_OUTPUTS, ids=lambda name: name[:16])
@pytest.mark.parametrize(
    "command", [["run", "contact.yaml", "--quiet", "-o"], ["init", "adhesion", "-o"]], ids=lambda c: c[0]
)
def test_what_can_be_no_output(told, command, output):
    code, text = told(*command, output)
    assert code == 2
    assert output[:40] in text
    assert "-o" in text or output == LONG


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "adhesoin"], 'Did you mean "adhesion"?'),
        (["init", "adhesion", "-o", "/dev/full", "--force"], "No space left"),
        (["schema", "nope"], "Studies are"),
        (["properties", "contact.yaml"], "this command needs a case of the study properties"),
        (["embedding", "converge", "contact.yaml"], "of the study embedding"),
        (["run", "contact.yaml", "--time-limit", "soon"], "--time-limit"),
        (["run", "contact.yaml", "--time-limit", "-1 h"], "greater than zero"),
        (["run", "contact.yaml", "--watchdog", "5"], "has no unit"),
        (["run", "contact.yaml", "--save", "sometimes"], "invalid choice"),
        (["validate-potential", "--potential", "emt", "missing.xyz"], "no file missing.xyz"),
        (["validate-potential", "--potential", "emt", "empty"], "is a folder"),
        (["validate-potential", "--potential", "{a: [", "file"], "not valid YAML"),
        (["validate-potential", "--potential", LONG, "file"], LONG[:40]),
        (["spread", "odd"], "did not get to its results"),
        (["nope"], "invalid choice"),
        ([], "required"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_other_mistakes(told, arguments, words):
    code, text = told(*arguments)
    assert code == 2
    assert words in text


def test_a_name_with_brackets_is_no_markup(told, place):
    (place / "[").mkdir()
    (place / "[" / "bold].yaml").write_text(TEMPLATES["contact"])
    assert told("validate", "[/bold].yaml")[0] == 0


def test_damaged_results_are_told(told, place):
    (place / "damaged").mkdir()
    record = {"status": "finished", "story": "finished", "case": {"study": "contact"}, "given": {"study": "contact"}}
    (place / "damaged" / "run.json").write_text(json.dumps(record))
    (place / "damaged" / "results.json").write_text('{"quantities": [')
    for command in ("report", "resume"):
        code, text = told(command, "damaged")
        assert code == 2
        assert "results.json is not valid JSON" in text


FULL = """
import resource, sys
from mpi4py import MPI  # MPI's own files come before the disk is full
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from multiscale.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("bytes_left", ["0", "700"])
def test_a_full_disk_is_told_once(place, tmp_path, bytes_left):
    """RLIMIT_FSIZE stands for the disk: no file may grow beyond so many bytes."""
    command = [
        sys.executable,
        "-B",
        "-c",
        FULL,
        bytes_left,
        "run",
        "contact.yaml",
        "-o",
        str(tmp_path / "run"),
        "--quiet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=place)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "This is a defect" not in done.stderr
