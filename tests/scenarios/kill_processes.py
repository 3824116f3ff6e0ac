#!/usr/bin/env python3
"""Real processes, real sockets: a federation in which everything is killed once ends with the models of a quiet one.

Runs scripts/demo.py twice with a short plan over synthetic smears and fresh keys. In the second run kill -9 hits the coordinator, an
agent, a trainer and a launcher, each in another phase; the run is started again as a person would. Both must give the same model, and
the auditor must find nothing wrong in either.

    kill_processes.py PROGRAMS SOURCE_DIR WORK_DIR
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

LIMIT_S = 500  # Of both runs together; a run that stands still must fail, not hang.


def short_plan(source, work):
    text = (source / "configs/plans/demo_synthetic.toml").read_text()
    text = re.sub(r"steps = \d+", "steps = 4", text)
    text = re.sub(r"rounds = \d+", "rounds = 3", text)
    path = work / "plan.toml"
    path.write_text(text)
    return path


def demo(programs, source, work, plan, name):
    command = [sys.executable, str(source / "scripts/demo.py"), "--programs", str(programs), "--plan", str(plan), "--name", name,
               "--out", str(work)]
    log = open(work / f"{name}.log", "a")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def processes(run, program, argument):
    """PIDs of a program that works in this run's folder with this argument on its command line."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            words = pathlib.Path(entry.path, "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == program and argument in words and any(str(run) in word for word in words):
            found.append(int(entry.name))
    return found


def status(run):
    try:
        return json.loads((run / "consortium/status.json").read_text())
    except (OSError, ValueError):
        return {}


def summary(work, name):
    return json.loads((work / name / "summary.json").read_text())


def main():
    programs, source, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    plan = short_plan(source, work)
    end = time.monotonic() + LIMIT_S

    quiet = demo(programs, source, work, plan, "quiet")
    if quiet.wait(LIMIT_S) != 0:
        print((work / "quiet.log").read_text()[-3000:])
        raise SystemExit("the quiet run failed")

    # (task, round, program, word on its command line): when, and whom.
    kills = [(0, 1, "hemafed-coordinator", "run"), (0, 2, "hemafed-train", "serve"), (1, 0, "hemafed-site", "agent"),
             (1, 1, "hemafed-coordinator", "run"), (2, 0, "hemafed-site", "up"), (2, 1, "hemafed-train", "serve")]
    run = work / "killed"
    child = demo(programs, source, work, plan, "killed")
    starts, done = 1, []
    while not (run / "summary.json").exists():
        if time.monotonic() > end:
            os.killpg(child.pid, signal.SIGKILL)
            print((work / "killed.log").read_text()[-3000:])
            raise SystemExit(f"the killed run did not end; killed so far: {done}")
        code = child.poll()
        if code is not None and code != 0:
            # The demo stops when one of its processes dies; starting it again goes on.
            if starts > 20:
                print((work / "killed.log").read_text()[-3000:])
                raise SystemExit("the killed run cannot be started again")
            child = demo(programs, source, work, plan, "killed")
            starts += 1
        now = status(run)
        if kills and "task" in now and (now["task"], now["round"]) >= kills[0][:2]:
            victims = processes(run, *kills[0][2:])
            if victims:
                os.kill(victims[0], signal.SIGKILL)
                done.append(kills.pop(0))
        time.sleep(0.05)
    child.wait(60)

    first, second = summary(work, "quiet"), summary(work, "killed")
    print(f"killed: {[f'{program} {word} in task {task + 1}' for task, _, program, word in done]}; started {starts} times")
    print(f"quiet  {first['model_digest']} {first['audit']}\nkilled {second['model_digest']} {second['audit']}")
    if kills:
        raise SystemExit(f"not everybody was killed: {kills} are left; the plan was too short")
    if first["model_digest"] != second["model_digest"] or first["matrix"] != second["matrix"]:
        raise SystemExit("the two runs ended with different models")
    if first["audit"] != "ok" or second["audit"] != "ok":
        raise SystemExit("the auditor found something wrong")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
