"""What the stages of a loop share: the run, the potentials by round, the account and its folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ase import Atoms

from atomistic.active_learning.account import Account, check_line, event_line
from atomistic.active_learning.base import Cutter, Frame, LearningRun, Snapshot, Student
from atomistic.active_learning.doubt import Judgement, Limits, doubting, judge
from atomistic.active_learning.labelling import Choice, Passed
from atomistic.active_learning.records import STOPS, Check, Event, LearningOptions
from atomistic.active_learning.store import Store
from atomistic.data_set import DataSet
from atomistic.errors import EvaluationError, RelaxationError, StoppedError
from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential
from atomistic.ranks import fail_together, on_first_rank

if TYPE_CHECKING:
    from atomistic.validation import Contract

#: What a run raises where its potential has led it astray.
_ASTRAY = (EvaluationError, RelaxationError)
#: Frames between two trusted ones that are remembered, to be labelled instead of the one that asked.
_REMEMBERED = 100


@dataclass
class _Loaded:
    """A potential, and how many of its calls are in the account."""

    potential: Potential
    counted: int


class Session:
    """One call of the loop. Every rank has one and takes the same decisions, from numbers of the first rank.

    Attributes:
        run, student, oracle, store, options, held_out, contract, excerpt: as given.
        comm: the ranks, None where there is but one.
        data: the data set; only the first rank touches it.
        account: what is on the disk, or will be with the next `save`.
        trusted: a trusted snapshot that is newer than the one on the disk.
        home: the frame that belongs to the last trusted snapshot.
        passed: frames since then.
    """

    def __init__(
        self,
        *,
        run: LearningRun,
        student: Student,
        oracle: Potential,
        store: Store,
        options: LearningOptions,
        account: Account,
        held_out: Sequence[LabelledFrame],
        contract: Contract | None,
        excerpt: Cutter | None,
        report: Callable[[Event], None] | None,
    ) -> None:
        self.run, self.student, self.oracle, self.store, self.options = run, student, oracle, store, options
        self.account, self.held_out, self.contract, self.excerpt = account, held_out, contract, excerpt
        self.comm = store.comm if store.comm.size > 1 else None
        self.data = DataSet(store.folder / "data")
        self.trusted: Snapshot | None = None
        self.home: Passed | None = None
        self.passed: deque[Passed] = deque(maxlen=_REMEMBERED)
        self._report = report
        self._lines: dict[str, list[str]] = {}
        self._loaded: dict[int, _Loaded] = {}

    def enter(self) -> None:
        """Bring the run to its last trusted state, or to its end, with the present potential."""
        account = self.account
        self.run.restore(self.store.state(account.final or account.trusted))
        self.run.adopt(self.present)
        self.passed.clear()
        self.home = Passed(frame=self.run.frame(), step=self.run.step)

    def advanced(self) -> str | None:
        """Make one step; return why the run broke down, the same on every rank, or None."""
        astray, mistake = None, None
        with self.account.timed("run"):
            try:
                self.run.advance()
            except _ASTRAY as error:
                astray = f"{type(error).__name__}: {error}"
            except (Exception, StoppedError) as error:
                mistake = error
        if self.comm is None:
            if mistake is not None:
                raise mistake
            return astray
        fail_together(mistake, self.comm)
        return next((text for text in self.comm.allgather(astray) if text is not None), None)

    def potential(self, number: int) -> Potential:
        """The potential of a round, always as it was saved: what was trained in memory may differ in its last bits."""
        if number not in self._loaded:
            path, failure = self.store.path("potentials", self.file(number)), None
            try:
                potential = self.student.load(path)
                doubting(potential)
            except (Exception, StoppedError) as error:
                failure = error
            fail_together(failure, self.store.comm)
            self._count()
            self._loaded = {k: v for k, v in self._loaded.items() if abs(k - number) <= 1}
            self._loaded[number] = _Loaded(potential=potential, counted=potential.counter.calls)
        return self._loaded[number].potential

    @property
    def choice(self) -> Choice:
        """How candidates are chosen."""
        options = self.options
        return Choice(
            wanted=options.frames_per_trigger,
            neighbours=options.neighbours,
            excerpt=self.excerpt,
        )

    def words(self, judged: Judgement) -> str:
        """Say how large the doubt is."""
        novel = "" if self.options.novelty is None else f" (novelty {judged.most_novel:.3g})"
        return f"the members differ by {judged.largest:.4g} eV/Å{novel}"

    @property
    def limits(self) -> Limits:
        """Up to where a potential is trusted."""
        return Limits(threshold=self.options.threshold, novelty=self.options.novelty)

    @property
    def present(self) -> Potential:
        """The potential of this round."""
        return self.potential(self.account.round)

    def judge(self, frame: Frame) -> Judgement | None:
        """The doubt of the present potential about a frame; None where the committee fails at it."""
        potential = self.present
        with self.account.timed("check"):
            try:
                return judge(potential, frame, self.limits, comm=self.comm)
            except EvaluationError:
                return None

    def energy(self, potential: Potential, atoms: Atoms) -> float:
        """Energy of a frame, eV; NaN where the potential fails."""
        try:
            return on_first_rank(
                lambda: potential.evaluate(atoms, stress=False).energy, potential=potential, comm=self.comm
            )
        except EvaluationError:
            return float("nan")

    def file(self, number: int) -> str:
        """Name of the file of a round's potential."""
        return f"{number:04d}{self.student.suffix}"

    def stop(self, why: str, detail: str = "") -> None:
        """Stop for one of the reasons in `STOPS`."""
        self.account.stop = why
        self.account.text = detail or STOPS[why]
        self.note("stopped", f"{why}: {self.account.text}", {"why": why})
        self.save()

    def save(self) -> None:
        """Put all that is newer in memory on the disk, the manifest last."""
        account = self.account
        if self.trusted is not None:
            account.trusted = account.name("trusted")
            self.store.keep(account.trusted, self.trusted)
            self.trusted = None
        self._count()
        self.store.save(account.kept(), states=account.states(), lines=self._lines)
        self._lines = {}

    def _count(self) -> None:
        for loaded in self._loaded.values():
            calls = loaded.potential.counter.calls
            self.account.potential_calls += calls - loaded.counted
            loaded.counted = calls

    def note(self, kind: str, text: str, data: dict[str, Any]) -> None:
        """Tell an event and write it down; it is on the disk with the next save."""
        event = self.tell(kind, text, data)
        self._lines.setdefault("events.jsonl", []).append(event_line(event))

    def check(self, check: Check) -> None:
        """Tell a look at the doubt and write it down."""
        self._lines.setdefault("checks.csv", []).append(check_line(check))
        self.tell("check", f"Step {check.step}: {check.disagreement:.4g} eV/Å.", asdict(check))

    def tell(self, kind: str, text: str, data: dict[str, Any]) -> Event:
        """Tell an event that is not written down."""
        account = self.account
        step = self.run.step if account.trigger is None else account.trigger.step
        event = Event(kind=kind, round=account.round, step=step, text=text, data=data)
        report = self._report
        self.store.first(lambda: None if report is None else report(event))
        return event
