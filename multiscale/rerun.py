"""A run repeated from its ``run.json``: the same case and files, what differs named before, the results compared after."""

from __future__ import annotations

import copy
import json
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mpi4py import MPI

from multiscale.agreement import NOT_KEPT, Agreement, agreement_of, unfinished
from multiscale.config.base import CaseError
from multiscale.config.common import CheckedCase
from multiscale.environment import describe_host, git_revision, installed_packages
from multiscale.errors import RerunError
from multiscale.progress import Progress
from multiscale.provenance import CODE, INPUT, MODEL, Keys, dotted, file_hash, inputs_of
from multiscale.run import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that is not as it was.

    Attributes:
        what: a package, a file, the number of ranks.
        before, now: in words.
        files: whether it is a file that the results come from: then the same results cannot be expected.
    """

    what: str
    before: str
    now: str
    files: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.before} before, {self.now} now"


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A run made again.

    Attributes:
        directory: of the new run.
        differences: of the circumstances.
        agreement: of the results; None where the first run has none.
    """

    directory: Path
    differences: tuple[Difference, ...]
    agreement: Agreement | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be run.

    Attributes:
        study: name of it.
        given: the case as its author gave it, file names absolute.
        differences: found before.
    """

    study: str
    given: dict[str, Any]
    differences: tuple[Difference, ...]


def rerun(
    directory: str | Path,
    output: str | Path | None = None,
    *,
    comm: MPI.Comm | None = None,
    progress: Progress | None = None,
    anyway: bool = False,
    strict: bool = False,
    inputs: str | Path | None = None,
    force: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Repeated:
    """Run the case of a run directory once more and compare the results (collective).

    Args:
        directory: of the run to repeat.
        output: directory of the new run; by default that of the first with "-rerun" after it.
        comm: the ranks; by default all.
        progress: shown on rank 0.
        anyway: run although model or input files have changed, or there are no results to compare with.
        strict: refuse any difference, of versions, machine and ranks too.
        inputs: a folder in which files that are gone or changed are looked for by their hash.
        force: write into a directory that is not empty.
        tell: called on rank 0 with each difference in words, before anything runs.

    Raises:
        RerunError: no run, no results, no case in it that can be built, a file that is gone, or differences that are not
            accepted; on all ranks, before anything is computed.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    directory = Path(directory).absolute()
    target = target_of(directory, output)
    if target == _real(directory):
        raise RerunError(f"{directory} is the run to compare with. Choose another directory with -o")
    if not anyway:
        _refuse_without_results(directory, comm)
    plan = plan_together(directory, comm, inputs=inputs)
    refused = [difference for difference in plan.differences if strict or (difference.files and not anyway)]
    if refused:
        listed = "\n".join(f"  {difference}" for difference in refused)
        way = "leave out --strict" if strict else "--anyway runs with what is there now"
        raise RerunError(f"this would not be the same run:\n{listed}\nBring back what was there before, or {way}")
    if tell is not None and comm.rank == 0:
        for difference in plan.differences:
            tell(str(difference))
    case, run_case = case_and_runner(plan, directory)
    run_case(case, directory=target, comm=comm, progress=progress, force=force)
    return _compare_together(directory, target, plan, comm)


def target_of(directory: str | Path, output: str | Path | None) -> Path:
    """Where the new run goes, with no ``..`` in it: `output`, or beside the first run, of which a link keeps its own name."""
    if output is not None:
        return _real(Path(output))
    place = Path(directory).absolute()
    place = _real(place) if place.name == ".." else _real(place.parent) / place.name
    return place.parent / f"{place.name}-rerun"


def _refuse_without_results(directory: Path, comm: MPI.Comm) -> None:
    lacking = ""
    if comm.rank == 0:
        with suppress(RerunError):  # no run at all: told with the plan
            lacking = unfinished(directory, read_record(directory))
    if lacking := comm.bcast(lacking, root=0):
        raise RerunError(
            f"{directory} {lacking}. A repeated run would have nothing to be compared with; --anyway runs the case all the same"
        )


def _real(path: Path) -> Path:
    """A path without links and dots; `Path.resolve` fails where links lead in a circle."""
    return Path(os.path.realpath(path))


def plan_together(directory: Path, comm: MPI.Comm, *, inputs: str | Path | None) -> Plan:
    """The plan of rank 0 on all ranks, or its error."""
    outcome: Any = None
    if comm.rank == 0:
        try:
            outcome = plan_of(directory, ranks=comm.size, inputs=inputs)
        except RerunError as error:
            outcome = error
    outcome = comm.bcast(outcome, root=0)
    if isinstance(outcome, RerunError):
        raise outcome
    plan: Plan = outcome
    return plan


def _compare_together(directory: Path, target: Path, plan: Plan, comm: MPI.Comm) -> Repeated:
    """Compare on rank 0 and note it in the new run's ``run.json``."""
    agreement: Agreement | None = None
    if comm.rank == 0 and (directory / "results.json").is_file():
        agreement = agreement_of(directory, target)
    agreement = comm.bcast(agreement, root=0)
    RunDirectory.reopen(target, comm=comm).record(
        repeats={
            "run": str(directory),
            "differences": [asdict(difference) for difference in plan.differences],
            "agreement": None if agreement is None else agreement.entry(),
        }
    )
    return Repeated(directory=target, differences=plan.differences, agreement=agreement)


def read_record(directory: Path) -> dict[str, Any]:
    """``run.json`` of a run.

    Raises:
        RerunError: there is none.
    """
    path = directory / "run.json"
    if not path.is_file():
        what = "is a file" if directory.is_file() else "holds no run.json" if directory.is_dir() else "does not exist"
        raise RerunError(f"{directory} {what}. Give the directory of a run, for example runs/adhesion")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RerunError(f"{path} cannot be read ({error}). Give the directory of another run") from None
    if not isinstance(record, dict) or not isinstance(record.get("case"), dict):
        raise RerunError(f"{path} records no case. Give the directory of a run of a case")
    return record


def plan_of(directory: str | Path, *, ranks: int = 1, inputs: str | Path | None = None) -> Plan:
    """What a run directory says was run, with its files where they are now, and what has changed since.

    Args:
        directory: of the run.
        ranks: on how many it is to be repeated.
        inputs: a folder with files that are gone or changed where they were.

    Raises:
        RerunError: no run, or a file that is gone.
    """
    directory = Path(directory).absolute()
    record = read_record(directory)
    provenance = record.get("provenance") or {}
    given = copy.deepcopy(provenance.get("given") or record.get("given") or _without_defaults(record["case"]))
    study = str(record["case"].get("study"))
    given["study"] = study
    shelf = _shelf(inputs)
    differences = []
    for entry in provenance.get("inputs", []):
        if entry["kind"] == INPUT and (difference := _place_input(given, entry, shelf)) is not None:
            differences.append(difference)
    differences += _changed_models(given, provenance.get("inputs", []))
    if not provenance:
        differences += _changed_potential(record.get("potential") or {}, directory)
    return Plan(study=study, given=given, differences=(*differences, *circumstances(record, ranks)))


def _without_defaults(data: Any) -> Any:
    """A resolved case without the keys that are empty: all that an older ``run.json`` holds."""
    if isinstance(data, Mapping):
        return {key: _without_defaults(value) for key, value in data.items() if value is not None}
    return [_without_defaults(value) for value in data] if isinstance(data, list) else data


def _shelf(folder: str | Path | None) -> dict[int, list[Path]]:
    """Files below a folder by their size."""
    if folder is None:
        return {}
    if not Path(folder).is_dir():
        raise RerunError(f"--inputs {folder} is no folder. Give one that holds the run's input files")
    found: dict[int, list[Path]] = {}
    for path in Path(folder).absolute().rglob("*"):
        if path.is_file():
            found.setdefault(path.stat().st_size, []).append(path)
    return found


def _place_input(given: Any, entry: Mapping[str, Any], shelf: Mapping[int, list[Path]]) -> Difference | None:
    """Write an input's place into the case; tells where its content has changed."""
    key: Keys = tuple(entry["key"])
    path = Path(entry["path"])
    here = path.is_file()
    if not here or file_hash(path) != entry["sha256"]:
        same = [one for one in shelf.get(entry["bytes"], []) if file_hash(one) == entry["sha256"]]
        if not same and not here:
            raise RerunError(
                f"{dotted(key)}: the input file {path} is gone. Bring it back, or give --inputs DIR with a folder that holds it "
                f"(SHA-256 {entry['sha256']})"
            )
        if not same:
            return Difference(
                what=f"{dotted(key)}, file {path}",
                before=f"SHA-256 {entry['sha256'][:12]}",
                now=file_hash(path)[:12],
                files=True,
            )
        path = same[0]
    _set(given, key, str(path))
    return None


def _set(data: Any, key: Keys, value: str) -> None:
    """Replace a value that is there."""
    for part in key[:-1]:
        if not _holds(data, part):
            return
        data = data[part]
    if _holds(data, key[-1]):
        data[key[-1]] = value


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _changed_models(given: Mapping[str, Any], recorded: list[Mapping[str, Any]]) -> list[Difference]:
    """Models behind short names, and a case's own code, that are not what they were; one not installed complains by itself."""
    now = {(file.key, file.path.name): file for file in inputs_of(given) if file.kind in (MODEL, CODE)}
    found = {}
    for entry in recorded:
        file = now.get((tuple(entry["key"]), Path(entry["path"]).name))
        if file is not None and file.sha256 != entry["sha256"]:
            found[file.path] = Difference(
                what=f"{dotted(file.key)}, {'code' if file.kind == CODE else 'model'} {file.path}",
                before=f"SHA-256 {entry['sha256'][:12]}",
                now=file.sha256[:12],
                files=True,
            )
    return list(found.values())


def _changed_potential(potential: Mapping[str, Any], directory: Path) -> list[Difference]:
    """The one model file that an older ``run.json`` records."""
    path, before = potential.get("model_file"), potential.get("model_sha256")
    if not path or not before or directory in Path(path).parents:
        return []
    now = file_hash(Path(path))[:12] if Path(path).is_file() else "gone"
    if now == before[:12]:
        return []
    return [Difference(what=f"potential, model {path}", before=f"SHA-256 {before[:12]}", now=now, files=True)]


def circumstances(record: Mapping[str, Any], ranks: int) -> list[Difference]:
    """Versions, machine, threads and ranks that are not those of a run."""
    host, packages = record.get("host") or {}, record.get("packages") or {}
    here, installed = describe_host(), installed_packages()
    pairs: list[tuple[str, Any, Any]] = [
        (f"package {name}", version, installed.get(name, "not installed")) for name, version in packages.items()
    ]
    pairs += [
        (f"package {name}", "not installed", v) for name, v in installed.items() if packages and name not in packages
    ]
    pairs.append(("git revision", record.get("git_revision"), git_revision(Path(__file__).parent)))
    pairs.append(("Python", host.get("python"), platform.python_version()))
    pairs.append(("machine", host.get("machine"), here["machine"]))
    pairs += [
        (name, (host.get("threads") or {}).get(name, "not set"), here["threads"].get(name, "not set"))
        for name in sorted({*(host.get("threads") or {}), *here["threads"]})
    ]
    pairs.append(("MPI ranks", (record.get("mpi") or {}).get("ranks"), ranks))
    return [
        Difference(what=what, before=str(before), now=str(now))
        for what, before, now in pairs
        if before is not None and before != now
    ]


def case_and_runner(plan: Plan, directory: Path) -> tuple[Any, Callable[..., Any]]:
    """The case as an object, and what runs it.

    Raises:
        RerunError: the study is unknown, or its case cannot be built any more.
    """
    if plan.study == NOT_KEPT:
        from multiscale.validation import ValidationRequest, validate_potential

        return _built(ValidationRequest, plan, directory), validate_potential
    from multiscale.config.load import STUDIES
    from multiscale.studies import runner

    if plan.study not in STUDIES:
        raise RerunError(f"{directory} is a run of {plan.study!r}, a study that this version does not have")
    case: CheckedCase = _built(STUDIES[plan.study], plan, directory)
    return case, runner(case)


def _built(model: Callable[..., Any], plan: Plan, directory: Path) -> Any:
    try:
        return model(**plan.given)
    except CaseError as error:
        raise RerunError(
            f"the case in {directory / 'run.json'} is not one that this version takes:\n{error}\n"
            "Run it with the version that is recorded there, or write a new case file"
        ) from None
