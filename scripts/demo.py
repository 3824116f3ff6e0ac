#!/usr/bin/env python3
"""A whole federation on this machine: one coordinator, three labs (agent and trainer each), one auditor.

Everything runs as separate processes that talk over CURVE on loopback, exactly as in a consortium. Without --data the labs
get synthetic smears; with --data DIR they use the folders raabin, acevedo20_c128 and bccd below DIR.

An interrupted run goes on where it was; --fresh starts over. Results: OUT/summary.json.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYNTHETIC_SITES = ["matek-19", "int-20", "acevedo-20"]
REAL_SITES = ["raabin", "acevedo20_c128", "bccd"]
POLL_S = 0.5
PLAIN_LINE_S = 5.0  # Without a terminal: one line at most this often.


class Stopped(Exception):
    pass


class Display:
    """One line that is redrawn on a terminal; plain lines elsewhere."""

    def __init__(self):
        self.tty = sys.stdout.isatty()
        self.open = False
        self.last = ("", 0.0)

    def line(self, text):
        if self.open:
            sys.stdout.write("\r\x1b[K")
            self.open = False
        print(text, flush=True)

    def progress(self, text):
        if self.tty:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r\x1b[K" + text[:width])
            sys.stdout.flush()
            self.open = True
        elif text != self.last[0] and time.monotonic() - self.last[1] >= PLAIN_LINE_S:
            print(text, flush=True)
            self.last = (text, time.monotonic())


class Demo:
    def __init__(self, args):
        self.args = args
        self.programs = pathlib.Path(args.programs).resolve()
        self.out = pathlib.Path(args.out).resolve()
        self.real = bool(args.data)
        self.sites = REAL_SITES if self.real else SYNTHETIC_SITES
        self.run = self.out / args.name if args.name else self.out / ("real" if self.real else "synthetic")
        self.plan = pathlib.Path(args.plan) if args.plan else ROOT / "configs/plans" / (
            "demo_real.toml" if self.real else "demo_synthetic.toml")
        self.display = Display()
        self.children = []
        self.peak_mb = {}
        self.started = time.monotonic()
        self.state_file = self.run / "state.json"
        self.state = {}

    # --- processes ---

    def command(self, program, *arguments):
        return [str(self.programs / program), *map(str, arguments)]

    def call(self, program, *arguments, check=True):
        done = subprocess.run(self.command(program, *arguments), capture_output=True, text=True, start_new_session=True)
        if check and done.returncode != 0:
            raise SystemExit(f"demo: {program} {arguments[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        return done

    def start(self, name, program, *arguments):
        log = open(self.run / "logs" / f"{name}.log", "a")
        # A session of its own: Ctrl-C reaches this script alone, which then stops the others in order.
        child = subprocess.Popen(self.command(program, *arguments), stdout=log, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
        child.name = name
        self.children.append(child)
        return child

    def stop_children(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 15
        for child in self.children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children = []

    def watch_memory(self):
        """Peak resident memory (VmHWM) by program, over this script's descendants."""
        parents, names = {}, {}
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                fields = pathlib.Path(entry.path, "stat").read_text()
                pid, rest = int(entry.name), fields[fields.rindex(")") + 2:].split()
                parents[pid] = int(rest[1])
                names[pid] = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
        mine = {child.pid for child in self.children}
        for pid, name in names.items():
            up = pid
            while up > 1 and up not in mine:
                up = parents.get(up, 0)
            if up not in mine or not name.startswith("hemafed-"):
                continue
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
            except OSError:
                continue
            if found:
                self.peak_mb[name] = max(self.peak_mb.get(name, 0), round(int(found[1]) / 1024, 1))

    def save_state(self, **more):
        self.state.update(more)
        temporary = self.state_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.state, indent=1))
        temporary.replace(self.state_file)

    # --- the steps ---

    def prepare(self):
        if self.args.fresh and self.run.exists():
            shutil.rmtree(self.run)
        (self.run / "logs").mkdir(parents=True, exist_ok=True)
        if self.state_file.exists():
            self.state = json.loads(self.state_file.read_text())
            if self.state.get("plan") != self.plan.read_text():
                raise SystemExit(f"demo: {self.run} was started with another plan; use FRESH=1 to start over")
            self.display.line("resuming the run in " + str(self.run.relative_to(ROOT) if self.run.is_relative_to(ROOT) else self.run))
        else:
            self.save_state(plan=self.plan.read_text(), ports=free_ports(2), joined=[], submitted=False, wall_s=0.0, peak_mb={})
        self.peak_mb = dict(self.state["peak_mb"])

    def data_of(self, site):
        if self.real:
            return pathlib.Path(self.args.data).resolve() / site
        return self.run / "smears" / site

    def make_pictures(self):
        if self.real:
            for site in self.sites:
                if not (self.data_of(site) / "manifest.csv").exists():
                    raise SystemExit(f"demo: {self.data_of(site)}/manifest.csv is missing; DATA must hold the folders "
                                     f"{', '.join(REAL_SITES)} (docs/pictures.md)")
            return
        for site in self.sites:
            if not (self.data_of(site) / "manifest.csv").exists():
                self.display.line(f"drawing synthetic smears of {site}")
                self.call("hemafed-train", "smears", self.data_of(site), "--hospital", site, "--pictures", 60)

    def weights(self):
        if self.real:
            path = ROOT / "build/weights/efficientnet_lite0.safetensors"
            if not path.exists():
                raise SystemExit("demo: build/weights/efficientnet_lite0.safetensors is missing; run `make setup`")
            return path
        path = self.run / "weights.safetensors"
        if not path.exists():
            self.call("hemafed-train", "init-weights", path, "--architecture", "small_cnn", "--seed", 1)
        return path

    def found_consortium(self):
        folder, operator = self.run / "consortium", self.run / "operator" / "operator.pem"
        work, enrol = self.state["ports"]
        if not (folder / "consortium.toml").exists():
            self.call("hemafed-coordinator", "init", folder, "--name", "demo", "--operator-key", operator,
                      "--work-port", work, "--enrol-port", enrol)
        self.start("coordinator", "hemafed-coordinator", "run", folder)
        return folder, operator

    def join(self, folder, operator):
        for site in self.sites:
            if site in self.state["joined"]:
                continue
            token = self.call("hemafed-coordinator", "invite", folder, site).stdout.strip()
            labels = ROOT / "configs/labels/five_wbc.toml"
            joining = self.start(f"{site}-join", "hemafed-site", "join", self.run / site, "--token", token,
                                 "--pictures", self.data_of(site), "--labels", labels)
            log = self.run / "logs" / f"{site}-join.log"
            shown = wait_for(lambda: re.findall(r"fingerprint: (\S+)", log.read_text()), 30, f"{site} to show its fingerprint")[-1]
            wait_for(lambda: f"{site} {shown}" in self.call("hemafed-coordinator", "pending", folder).stdout, 30,
                     f"{site} to present its invitation (see {log})")
            self.call("hemafed-coordinator", "approve", folder, site, "--fingerprint", shown, "--operator-key", operator)
            wait_for(lambda: joining.poll() is not None, 30, f"{site} to be admitted (see {log})")
            if joining.returncode != 0:
                raise SystemExit(f"demo: {site} could not join; see {log}")
            self.children.remove(joining)
            self.state["joined"].append(site)
            self.save_state()
            self.display.line(f"{site} joined, fingerprint {shown}")

    def submit_plan(self, folder, operator):
        if self.state["submitted"]:
            return
        digest = self.call("hemafed-coordinator", "add-weights", folder, self.weights()).stdout.strip()
        if digest not in self.plan.read_text():
            raise SystemExit(f"demo: the weights have the digest {digest}, which {self.plan} does not name")
        self.call("hemafed-coordinator", "submit-plan", folder, self.plan, "--operator-key", operator)
        self.save_state(submitted=True)

    def run_plan(self, folder):
        for site in self.sites:
            self.start(site, "hemafed-site", "up", self.run / site, "--until-finished")
        status_file, base_s = folder / "status.json", self.state["wall_s"]
        seen_task, first = None, None
        while True:
            time.sleep(POLL_S)
            self.watch_memory()
            self.save_state(wall_s=base_s + time.monotonic() - self.started, peak_mb=self.peak_mb)
            for child in self.children:
                if child.poll() not in (None, 0):
                    raise SystemExit(f"demo: {child.name} ended with status {child.returncode}; see {self.run}/logs/{child.name}.log")
            try:
                status = json.loads(status_file.read_text())
            except (OSError, ValueError):
                continue
            if status["phase"] == "finished":
                left = [c for c in self.children if c.name != "coordinator" and c.poll() is None]
                if not left:
                    break
                continue
            if "task" not in status:
                continue
            work = done_work(status)
            if first is None:
                first = (time.monotonic(), work[0])
            self.display.progress(progress_text(status, work, first))
            if status["task"] != seen_task and status["task"] < status["tasks"]:
                seen_task = status["task"]
                self.display.line(f"task {seen_task + 1}/{status['tasks']}: {status['rounds']} rounds, sites: "
                                  f"{', '.join(status['participants'])}")
        return status

    def audit(self, folder):
        trust = self.run / "trust.json"
        trust.write_text(self.call("hemafed-coordinator", "trust", folder).stdout)
        self.display.line("\nauditor: replaying every round from the sites' integers")
        done = self.call("hemafed-audit", "replay", folder, "--trust", trust, "--json", check=False)
        if done.returncode not in (0, 15):
            raise SystemExit("demo: hemafed-audit failed:\n" + done.stdout + done.stderr)
        return json.loads(done.stdout), trust

    def tamper(self, folder, trust):
        """Flips one bit of one entry in a copy of the log and lets the auditor find it."""
        copy = self.run / "tampered"
        if copy.exists():
            shutil.rmtree(copy)
        shutil.copytree(folder / "log", copy / "log")
        (copy / "objects").symlink_to(folder / "objects")
        bundles = sorted((copy / "log/tile/entries").rglob("*"), key=lambda p: (p.is_file(), len(p.parts), str(p)))
        bundle = max((p for p in bundles if p.is_file()), key=lambda p: p.stat().st_size)
        content = bytearray(bundle.read_bytes())
        content[len(content) // 2] ^= 1
        bundle.chmod(0o644)
        bundle.write_bytes(content)
        done = self.call("hemafed-audit", "verify", copy, "--trust", trust, check=False)
        return done.stdout.strip(), done.returncode

    def main(self):
        signal.signal(signal.SIGINT, lambda *_: raise_stopped())
        signal.signal(signal.SIGTERM, lambda *_: raise_stopped())
        self.prepare()
        try:
            self.make_pictures()
            folder, operator = self.found_consortium()
            self.join(folder, operator)
            self.submit_plan(folder, operator)
            status = self.run_plan(folder)
        except Stopped:
            self.display.line("\nstopping; `make demo` goes on from here")
            return 130
        finally:
            self.stop_children()
        audit, trust = self.audit(folder)
        summary = {
            "average_accuracy": audit["metrics"]["average_accuracy"],
            "accuracy": dict(zip(audit["metrics"]["columns"], audit["metrics"]["matrix"][-1])),
            "matrix": audit["metrics"]["matrix"],
            "forgetting": audit["metrics"]["forgetting"],
            "bytes_sent": status["bytes_sent"] + status["bytes_received"],
            "log_root": audit["root"],
            "model_digest": audit["model"],
            "audit": "ok" if audit["verdict"] == "ok" else audit["verdict"],
            "wall_s": round(self.state["wall_s"], 1),
            "peak_memory_mb": self.peak_mb,
        }
        print_summary(summary, audit["metrics"]["columns"])
        report = self.out / "report"
        self.call("hemafed-audit", "report", folder, "--trust", trust, "--out", report)
        verdict, code = self.tamper(folder, trust)
        print(f"\none bit flipped in a copy of the log: {verdict}")
        self.out.mkdir(parents=True, exist_ok=True)
        for target in (self.run / "summary.json", self.out / "summary.json"):
            target.write_text(json.dumps(summary, indent=1) + "\n")
        print(f"\nreport: {report / 'report.html'}\nsummary: {self.out / 'summary.json'}   logs of every process: {self.run / 'logs'}")
        return 0 if summary["audit"] == "ok" and code == 15 else 1


def raise_stopped():
    raise Stopped


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(condition, limit_s, what):
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise SystemExit(f"demo: gave up waiting for {what}")
        time.sleep(0.1)


def done_work(status):
    """Local trainings done and in all, counting a task's participants."""
    # Task t has t + 1 participants when the plan rehearses, one when it does not.
    rehearses = len(status["participants"]) > 1 or status["task"] == 0
    share = [(t + 1 if rehearses else 1) for t in range(status["tasks"])]
    rounds = status["rounds"] or 1
    task = min(status["task"], status["tasks"] - 1)
    done = sum(share[:status["task"]]) + (share[task] * status["round"] / rounds if status["task"] < status["tasks"] else 0)
    return done, sum(share)


def progress_text(status, work, first):
    parts = [f"task {min(status['task'] + 1, status['tasks'])}/{status['tasks']}",
             f"round {min(status['round'] + 1, status['rounds'])}/{status['rounds']}", status["phase"]]
    for name, site in status["sites"].items():
        if site["phase"]:
            parts.append(f"{name}: {site['phase']} {site['done']}/{site['total']} {site['pictures_per_s']:.0f} img/s")
    elapsed, moved = time.monotonic() - first[0], work[0] - first[1]
    if moved > 0.05:
        left = elapsed * (work[1] - work[0]) / moved
        parts.append(f"about {int(left // 60)}:{int(left % 60):02d} left")
    return " | ".join(parts)


def print_summary(summary, sites):
    width = max(len(site) for site in sites) + 2
    print("\naccuracy (row: model after that task; column: hospital's test pictures)")
    print(" " * (width + 6) + "".join(f"{site:>{width}}" for site in sites))
    for task, row in enumerate(summary["matrix"]):
        print(f"{'after ' + sites[task]:<{width + 6}}" + "".join(f"{value:>{width}.3f}" for value in row))
    print(f"\naverage accuracy {summary['average_accuracy']:.3f}   forgetting (De Lange) {summary['forgetting']['de_lange']:.3f}"
          f"   first-task drop {summary['forgetting']['first_task_drop']:.3f}")
    print(f"bytes sent {summary['bytes_sent'] / 1e6:.1f} MB   wall {summary['wall_s']:.0f} s   peak memory (MiB) "
          + ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(summary["peak_memory_mb"].items())))
    print(f"log root {summary['log_root']}\nmodel    {summary['model_digest']}\nauditor: {summary['audit']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=str(ROOT / "build/release/bin"), help="folder with the hemafed-* programs")
    parser.add_argument("--data", help="folder with raabin, acevedo20_c128 and bccd; synthetic smears without it")
    parser.add_argument("--fresh", action="store_true", help="forget an earlier run and start over")
    parser.add_argument("--plan", help="another plan file for the same hospitals")
    parser.add_argument("--name", help="name of the run's folder below OUT (default: synthetic or real)")
    parser.add_argument("--out", default=str(ROOT / "build/demo"), help="where runs and summary.json go")
    return Demo(parser.parse_args()).main()


if __name__ == "__main__":
    sys.exit(main())
