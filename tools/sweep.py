"""List the experiments of HEAD by a student's quality on dev, best first; and apply the best one.

python tools/sweep.py bert_pruned            list them, HEAD among them, with the params that differ from HEAD's
python tools/sweep.py bert_pruned --apply    copy the best one's params and outs into the workspace, if it beats HEAD

The training records in each experiment's dvc.lock are read from the cache or the remote, so that results of other
machines count too. Test rows are not used. See docs/operations.md.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from ruamel.yaml import YAML

from pipestill.errors import PipestillError
from pipestill.params import load_section
from pipestill.redaction import print_error
from pipestill.reporting.params import ReportParams
from pipestill.tracking.run_record import flatten
from pipestill.training.records import TrainingRecord

HEAD = "HEAD"
RECORDS = Path("metrics/training")
PARAMS = "params.yaml"
PIPELINE = "dvc.yaml"


class SweepError(PipestillError):
    """A comparison is not possible, or the best cannot be applied."""


class Trial(NamedTuple):
    """The result of one experiment, or of HEAD: `quality` in the report's metric on dev, and the params it changed."""

    name: str
    quality: float
    nll_nats: float
    changes: dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    """List or apply, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", help="a key of `students` in params.yaml, or `teacher`")
    parser.add_argument("--apply", action="store_true", help="apply the best, if it beats HEAD")
    chosen = parser.parse_args(arguments)
    try:
        metric = load_section("report", ReportParams).metric
        trials = ranked(chosen.student, metric)
        print("\n".join(lines(trials, metric)))
        if chosen.apply:
            apply(trials)
    except PipestillError as error:
        print_error(error)
        return 1
    return 0


def ranked(student: str, metric: str) -> list[Trial]:
    """Rank HEAD and its experiments, the best on dev first; of equals the lower nll, then HEAD.

    Raises:
        SweepError: neither HEAD nor any experiment has a training record of this student.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        listed = repo.experiments.ls(HEAD)
    revisions = {HEAD: HEAD} | {name: rev for found in listed.values() for name, rev in found}
    base = params_at(HEAD)
    trials = [trial for name, rev in revisions.items() if (trial := read_trial(name, rev, student, metric, base))]
    if not trials:
        raise SweepError(
            f"no commit or experiment has {RECORDS / student}.json",
            expected="a student of params.yaml that was trained at HEAD or in an experiment of it",
            next_step=f"run `dvc repro distill@{student}`; where it ran elsewhere, `dvc pull {RECORDS / student}.json`",
        )
    return sorted(trials, key=lambda trial: (-trial.quality, trial.nll_nats, trial.name != HEAD))


def read_trial(name: str, rev: str, student: str, metric: str, base: dict[str, str]) -> Trial | None:
    """Read the kept epoch from a revision's training record; without a record print a note and return None."""
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        text = dvc.api.read(f"{RECORDS / student}.json", rev=rev)
        best = TrainingRecord.model_validate_json(text).best
    except (DvcException, OSError, ValidationError) as error:
        print(f"{name} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
        return None
    here = params_at(rev)
    changes = {key: here.get(key, "nothing") for key in here | base if here.get(key) != base.get(key)}
    return Trial(name, best.dev[metric], best.dev["nll_nats"], changes)


def params_at(rev: str) -> dict[str, str]:
    """Read the values of params.yaml at a revision, by dotted name."""
    done = subprocess.run(["git", "show", f"{rev}:{PARAMS}"], capture_output=True, text=True, check=True)  # noqa: S603, S607
    return flatten(YAML(typ="safe").load(done.stdout))


def lines(trials: list[Trial], metric: str) -> list[str]:
    """Format a table of the trials, the best first."""
    width = max(len("experiment"), *(len(trial.name) for trial in trials))
    head = f"{'experiment':{width}}  dev {metric:>9}  dev nll_nats  params"
    return [head] + [
        f"{trial.name:{width}}  {trial.quality:13.4f}  {trial.nll_nats:12.4f}  "
        + " ".join(f"{key}={value}" for key, value in trial.changes.items())
        for trial in trials
    ]


def apply(trials: list[Trial]) -> None:
    """Copy the best one's params and outs into the workspace, if its quality is above HEAD's.

    Raises:
        SweepError: HEAD has no record to compare with, or outs are missing.
    """
    best, head = trials[0], next((trial for trial in trials if trial.name == HEAD), None)
    if head is None:
        raise SweepError(
            "HEAD has no training record of this student, so a comparison is not possible",
            next_step="`dvc pull dvc.yaml`, or `dvc repro` and commit dvc.lock",
        )
    if best.quality <= head.quality:
        print("no experiment beats HEAD on dev: nothing to apply")
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            # Like `dvc exp apply`, but for this pipeline only: outs of pipelines that never ran do not exist.
            repo.experiments.apply(best.name, targets=[PIPELINE])
    except DvcException as error:
        raise SweepError(
            f"experiment {best.name} cannot be applied whole",
            found=str(error),
            next_step=f"its params are in the workspace: `dvc pull {PIPELINE}` or `dvc repro` brings the rest",
        ) from error
    print(f"{best.name} is applied: `dvc repro` runs the stages after it, `dvc exp show` and git diff show it")


if __name__ == "__main__":
    sys.exit(main())
