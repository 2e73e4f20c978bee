"""Progress: lines off a terminal, bars on one, silence elsewhere, seconds always."""

import io

import pytest

from multiscale.progress import Phase, Progress, format_seconds, plain_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_start_and_end_each_phase():
    stream = io.StringIO()
    progress = Progress(stream=stream, interval=0.0)
    with progress.phase("loading", total=4) as phase:
        phase.advance(1, "15 nm")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "loading ..."
    assert lines[1].startswith("loading: 25 % (1 of 4), about ")
    assert lines[1].endswith("to go: 15 nm")
    assert lines[2].startswith("loading: done in 0.")


def test_lines_are_rate_limited():
    stream = io.StringIO()
    progress = Progress(stream=stream, interval=60.0)
    with progress.phase("loading", total=1000) as phase:
        for _ in range(1000):
            phase.advance()
    assert len(stream.getvalue().splitlines()) == 2


def test_a_terminal_gets_bars_with_nested_phases():
    stream = Terminal()
    progress = Progress(stream=stream)
    with progress.phase("outer", total=2) as outer, progress.phase("inner") as inner:
        inner.advance(1, "step one")
        progress.note("a remark [not markup]")
        outer.advance()
    assert "outer" in stream.getvalue()
    assert "a remark [not markup]" in stream.getvalue()
    assert set(progress.seconds) == {"outer", "inner"}


def test_the_silent_one_still_counts_seconds_and_tells_its_listener():
    told = []
    progress = Progress(enabled=False, listener=lambda kind, **fields: told.append((kind, fields["phase"])))
    for _ in range(2):
        with progress.phase("twice"):
            pass
    assert list(progress.seconds) == ["twice"]
    assert told == [("phase_started", "twice"), ("phase_finished", "twice")] * 2


def test_a_phase_that_fails_says_so_and_lets_the_error_through():
    stream = io.StringIO()
    progress = Progress(stream=stream)
    with pytest.raises(RuntimeError, match="broken"), progress.phase("loading"):
        raise RuntimeError("broken")
    assert "loading: stopped in" in stream.getvalue()
    assert "loading" in progress.seconds


def test_the_estimate_is_the_pace_so_far():
    phase = Phase("x", total=10, show=lambda _: None)
    assert phase.remaining is None
    phase.started -= 20.0
    phase.advance(4)
    assert phase.remaining == pytest.approx(30.0, rel=0.01)  # 20 s for 4 of 10; the clock runs on by microseconds
    assert plain_line(phase) == "x: 40 % (4 of 10), about 30 s to go"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_seconds_read_well(seconds, text):
    assert format_seconds(seconds) == text
