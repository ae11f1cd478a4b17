"""A throw-away git + DVC repository with tiny stages, and ways to run things in it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from pipestill.tracking.store import open_store

STAGE = """
import os, pathlib, signal, sys, time
from pipestill.tracking import run_main, stage_run

def main():
    out, how = pathlib.Path(sys.argv[1]), os.environ.get("HOW", "")
    with stage_run({"lr": 5e-5, "loss": {"kind": "soft_target_kl"}}) as run:
        pathlib.Path(run.scratch, "step").touch()
        out.parent.mkdir(parents=True, exist_ok=True)
        source = sys.argv[2]
        run.log_metrics({"loss": 0.5}, step=1)
        run.log_metrics({"loss": 0.25}, step=2)
        run.log_text("card.md", "# a card")
        run.log_dataset("source", pathlib.Path(source), "training")
        if how == "hang":
            pathlib.Path("started").write_text(str(os.getpid()))
            time.sleep(60)
        if how == "raise":
            raise ValueError("no good")
        if how.startswith("exit"):
            out.write_text("made")
            sys.exit(int(how[4:]))
        out.write_text(f"made of {pathlib.Path(source).read_text()}")
        run.log_model(out.stem, out)

run_main(main)
"""
STAGE_THAT_OUTLIVES_ITS_SERVER = """
import pathlib, time
from pipestill.tracking import run_main, stage_run

def main():
    with stage_run({"lr": 1}) as run:
        run.log_metrics({"loss": 0.5}, step=1)
        time.sleep(2)
        pathlib.Path("started").write_text("1")
        while not pathlib.Path("dead").exists():
            time.sleep(0.05)
        start_s = time.monotonic()
        run.log_metrics({"loss": 0.25}, step=2)
        run.log_text("card.md", "# a card")
    pathlib.Path("lost").write_text(str(time.monotonic() - start_s))

run_main(main)
"""
DVC_YAML = """
stages:
  first:
    cmd: python stage.py data/first.txt source.txt
    deps: [stage.py, source.txt]
    params: [first.lr]
    outs: [data/first.txt, runs/first.json]
  second:
    matrix:
      student: [bert_l3]
    cmd: python stage.py data/second.txt data/first.txt
    deps: [stage.py, data/first.txt]
    params: [second.lr]
    outs: [data/second.txt, runs/second-bert_l3.json]
"""
GIT_ENV = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
DROPPED = ("DVC_", "MLFLOW_", "RANK", "LOCAL_RANK", "HOW")


class Repository:
    """A repository and ways to run things in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return kept | GIT_ENV | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | extra

    def run(self, *command: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(**extra), capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, *command: str, **extra: str) -> subprocess.Popen[str]:
        """Start a process without waiting; the caller ends it."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment(**extra),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # A runner in the background ignores Ctrl-C, and what it starts would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no thread takes part)
        )

    def stage(self, how: str = "", name: str = "first", *, check: bool = True, **extra: str) -> Any:
        """Run the first stage's command as DVC would, without DVC's own second."""
        return self.run(*self.command(), check=check, **self.stage_environment(how, name), **extra)

    def command(self) -> tuple[str, ...]:
        return ("python", "stage.py", "data/first.txt", "source.txt")

    def stage_environment(self, how: str = "", name: str = "first") -> dict[str, str]:
        return {"HOW": how, "DVC_STAGE": name, "DVC_ROOT": str(self.root)}

    def commit(self, message: str = "a commit") -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)

    def client(self) -> MlflowClient:
        return open_store(self.root).client

    def runs(self, where: str = "") -> list[Run]:
        store = open_store(self.root)
        found = store.client.search_runs([store.experiment_id], where, order_by=["attributes.start_time ASC"])
        return list(found)
