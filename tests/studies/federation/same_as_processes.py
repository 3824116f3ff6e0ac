#!/usr/bin/env python3
"""A simulated federation ends with the models of real processes, also when the simulation is killed on its way.

Runs scripts/demo.py (coordinator, agents and trainers as processes over sockets) with a short plan over synthetic smears, then
`hemafed-study federation` with the same plan and pictures, which kill -9 hits twice. Model, accuracies and audit must agree.

    same_as_processes.py PROGRAMS SOURCE_DIR WORK_DIR
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

LIMIT_S = 300  # Of each of the two; what stands still must fail, not hang.
KILL_AT = (20, 45)  # Entries of the log.


def short_plan(source, work):
    text = (source / "configs/plans/demo_synthetic.toml").read_text()
    text = re.sub(r"steps = \d+", "steps = 4", text)
    text = re.sub(r"rounds = \d+", "rounds = 3", text)
    path = work / "short.toml"
    path.write_text(text)
    return path


def log_entries(run):
    """Size of the log by its checkpoint: the second line of a signed note."""
    try:
        return int((run / "consortium/log/checkpoint").read_text().splitlines()[1])
    except (OSError, ValueError, IndexError):
        return 0


def main():
    programs, source, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    plan = short_plan(source, work)

    with open(work / "processes.log", "w") as log:
        code = subprocess.run([sys.executable, str(source / "scripts/demo.py"), "--programs", str(programs), "--plan", str(plan),
                               "--name", "processes", "--out", str(work)], stdout=log, stderr=subprocess.STDOUT,
                              timeout=LIMIT_S).returncode
    if code != 0:
        print((work / "processes.log").read_text()[-3000:])
        raise SystemExit("the run of processes failed")

    demo = work / "processes"
    command = [str(programs / "hemafed-study"), "federation", str(plan), "--data", str(demo / "smears"), "--labels",
               str(source / "configs/labels/five_wbc.toml"), "--weights", str(demo / "weights.safetensors"), "--output",
               str(work / "simulated")]
    run = work / "simulated/runs/short/seed-1"
    kills, end = list(KILL_AT), time.monotonic() + LIMIT_S
    with open(work / "simulated.log", "w") as log:
        while True:
            child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            while child.poll() is None:
                if kills and log_entries(run) >= kills[0]:
                    child.kill()
                    kills.pop(0)
                    child.wait()
                elif time.monotonic() > end:
                    child.kill()
                    raise SystemExit("the simulation does not end")
                else:
                    time.sleep(0.01)
            if child.returncode >= 0:
                break
    if child.returncode != 0 or kills:
        print((work / "simulated.log").read_text()[-3000:])
        raise SystemExit(f"the simulation ended with status {child.returncode}; kills that did not happen: {kills}")

    real = json.loads((demo / "summary.json").read_text())
    experiments = json.loads((work / "simulated/summary.json").read_text())["experiments"]
    simulated = next(iter(experiments.values()))["federated"]["short"][0]
    print(f"processes {real['model_digest']} {real['audit']} {real['bytes_sent']} bytes\n"
          f"simulated {simulated['model_digest']} {simulated['audit']} {simulated['bytes_sent']} bytes")
    for key in ("model_digest", "matrix", "average_accuracy", "forgetting", "accuracy", "audit"):
        if real[key] != simulated[key]:
            raise SystemExit(f"{key} differs: {real[key]} with processes, {simulated[key]} simulated")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
