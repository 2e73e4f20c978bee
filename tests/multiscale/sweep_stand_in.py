"""Stands in for `multiscale run` and `multiscale resume`: behaves as the case's key `behaviour` says, in steps that are kept.

python sweep_stand_in.py run CASE.yaml -o DIR [--force]        python sweep_stand_in.py resume DIR
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

STEP = 0.05


def main(home: Path, action: str) -> int:
    text = (home / "case.yaml").read_text()
    behaviour = json.loads(next(line for line in text.splitlines() if line.startswith("behaviour:")).partition(":")[2])
    if action == "report":
        (home / "run" / "report.html").touch()
        return 0
    run, state = home / "run", home / "run" / "checkpoint" / "manifest.json"
    run.mkdir(exist_ok=True)
    step = json.loads(state.read_text())["step"] if action == "resume" else 0
    with (home / "starts.txt").open("a") as stream:
        stream.write(f"{action} {step}\n")
    starts = len((home / "starts.txt").read_text().splitlines())
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: None if behaviour.get("deaf") else asked.append(1))
    write(run / "run.json", {"status": "running"})
    if behaviour.get("mistake") or (behaviour.get("bad_state") and action == "resume"):
        print("error: case.yaml:1:1: a mistake", flush=True)
        return 2
    if behaviour.get("killed") and starts == 1:
        state.parent.mkdir()
        write(state, {"step": 1})
        os.kill(os.getpid(), signal.SIGKILL)
    if starts <= behaviour.get("fails", 0):
        write(run / "run.json", {"status": "failed", "error": f"no convergence, try {starts}"})
        return 1
    while step < behaviour.get("steps", 0):
        time.sleep(STEP)
        step += 1
        if not behaviour.get("keeps_nothing"):
            state.parent.mkdir(exist_ok=True)
            write(state, {"step": step})
        if asked or starts <= behaviour.get("stops", 0):
            write(run / "run.json", {"status": "stopped"})
            return 75
    write(run / "run.json", {"status": "finished", "finished": "2026-01-01T00:00:00+00:00"})
    state.unlink(missing_ok=True)
    if not behaviour.get("no_report"):
        (run / "report.html").touch()
    return 0


def write(path: Path, data: object) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data))
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[2]).parent, sys.argv[1]))
