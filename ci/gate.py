"""The gate: dvc.lock is what this code and these params ask for, and the remote holds every file that it names.

python ci/gate.py                 exit 1 if the lock is stale, or an object is missing or has other bytes
python ci/gate.py --allow-stale   say which stages are stale; exit 1 only for the objects
python ci/gate.py --verify-all    read every object, not only those that a release consists of

No stage is run. The objects of the artifacts that dvc.yaml declares, which a release hands out, and the lists of
folders are read and their md5 computed; of all others the remote is only asked for a listing. Where code changed, the
gate names the modules of each stage that would rerun. Of the other pipelines it says which locks are stale; that is no
failure: they run when somebody asks for them.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.code.lists import CodeList, changed_since, is_code_list, short
from pipestill.redaction import redacted
from pipestill.tracking.lock import Lock
from pipestill.tracking.run_record import flatten
from remote_objects import find_faults

MAIN = "dvc.yaml"
"""The main pipeline's file."""
STALE_NEXT = "run `dvc repro` and `dvc push`, then commit dvc.lock"
CHANGED_NEXT = "delete them in the remote, find out who wrote them, and run `dvc push` where the pipeline ran"
REMOTE_NEXT = "run `dvc remote add --default NAME URL`, or install what its kind of storage needs"
MISSING_NEXT = "run `dvc push` where the pipeline ran, or `dvc repro` and `dvc push` anywhere"


def main() -> int:
    """Look at the lock and at the remote; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allow-stale", action="store_true", help="exit 1 only for missing or changed objects")
    parser.add_argument("--verify-all", action="store_true", help="read every object of the remote that a lock names")
    parser.add_argument("--remote", help="the remote to look at; else the default one")
    chosen = parser.parse_args()
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    repo = Repo()
    stale = stale_stages(repo)
    try:
        odb = repo.cloud.get_remote_odb(name=chosen.remote, command="gate")
        own = [stage for stage in repo.index.stages if stage.is_data_source]
        missing, changed = find_faults(repo, [*pipeline_stages(repo), *own], odb, everything=chosen.verify_all)
    except (DvcException, OSError, ImportError) as error:
        print(f"gate: the remote cannot be looked at: {redacted(error)}\n  next: {REMOTE_NEXT}")
        return 1
    print_other_pipelines(repo)
    lines = [f"{stage}: {reason}" for stage, reasons in stale.items() for reason in reasons]
    print_finding(f"dvc.lock is stale in {len(stale)} stage(s)", lines, STALE_NEXT)
    print_finding(f"{len(missing)} object(s) that dvc.lock names are missing in the remote", missing, MISSING_NEXT)
    print_finding(f"{len(changed)} object(s) in the remote have other bytes than their md5 says", changed, CHANGED_NEXT)
    faults = missing + changed
    if not stale and not faults:
        print(f"gate: dvc.lock is up to date in {len(main_stages(repo))} stages, and the remote holds all it names")
    return 1 if faults or (stale and not chosen.allow_stale) else 0


def print_finding(what: str, lines: list[str], next_step: str) -> None:
    """Print one finding, a line for each place; nothing if there is none."""
    if lines:
        print("\n".join([f"gate: {what}", *(f"  {line}" for line in lines), f"  next: {next_step}"]))


def print_other_pipelines(repo: Any) -> None:  # noqa: ANN401 (dvc has no types for us)
    """Print which other pipelines' locks are stale; one that never ran has none."""
    by_file: dict[str, list[Any]] = {}
    for stage in pipeline_stages(repo):
        if stage.path_in_repo != MAIN:
            by_file.setdefault(stage.path_in_repo, []).append(stage)
    for file, stages in by_file.items():
        stale = stale_stages(repo, stages)
        if stale and any(out.hash_info for stage in stages for out in stage.outs):
            print(f"gate: {len(stale)} stage(s) of {file} are stale, which is no failure: `dvc repro {file}` runs them")


def main_stages(repo: Any) -> list[Any]:  # noqa: ANN401 (dvc has no types for us)
    """The stages of the main pipeline."""
    return [stage for stage in pipeline_stages(repo) if stage.path_in_repo == MAIN]


def pipeline_stages(repo: Any) -> list[Any]:  # noqa: ANN401 (dvc has no types for us)
    """The stages of every pipeline that DVC would run, by name."""
    stages = [stage for stage in repo.index.stages if stage.cmd and not stage.frozen]
    return sorted(stages, key=lambda stage: stage.addressing)


def stale_stages(repo: Any, stages: list[Any] | None = None) -> dict[str, list[str]]:  # noqa: ANN401
    """Why each stage is not what dvc.lock says; a stage that is has no entry.

    A stage that reads a stale stage's outs is not listed for that: whether it follows shows when the outs are made.

    Args:
        repo: DVC's repository.
        stages: those to look at; None for the main pipeline's.
    """
    stages = main_stages(repo) if stages is None else stages
    made = {out.fs_path: out.hash_info for stage in pipeline_stages(repo) for out in stage.outs}
    lists = locked_code(stages)
    found = {stage.addressing: list(reasons(stage, made, lists)) for stage in stages}
    return {stage: why for stage, why in found.items() if why}


def locked_code(stages: list[Any]) -> dict[str, CodeList]:
    """The code lists in dvc.lock that stages of one pipeline depend on, by md5; those not to be had are left out."""
    deps = [dep for stage in stages for dep in stage.deps if is_code_list(dep.def_path) and dep.hash_info]
    if not deps:
        return {}
    lock = Lock(Path(), Path(stages[0].path_in_repo).parent)
    return lock.code_lists(dep.hash_info.value for dep in deps)


def reasons(stage: Any, made: dict[str, Any], lists: dict[str, CodeList]) -> Iterator[str]:  # noqa: ANN401
    """Say in which ways a stage differs from its entry in dvc.lock.

    Args:
        stage: DVC's stage, from dvc.yaml and dvc.lock.
        made: what dvc.lock says of every out, by path: a clone need not have the files.
        lists: the code lists that stages were made with, by md5.
    """
    if not any(out.hash_info for out in stage.outs):
        yield "dvc.lock has no entry for it: it never ran, or its result was not committed"
        return
    if stage.changed_stage():
        yield "cmd changed"
    for dep in stage.deps:
        if dep.fs_path in made and not hasattr(dep, "params"):
            changed = changed_since(lists.get(dep.hash_info.value, {})) if dep.hash_info else []
            if changed:
                yield f"code: {', '.join(map(short, changed))}"
            elif dep.hash_info != made[dep.fs_path]:
                yield f"{dep} is not the one that it was made from"
            continue
        state = dep.status().get(str(dep))
        if hasattr(dep, "params"):
            yield from changed_params(dep, list(state or ()))
        elif state:
            yield f"{dep} {state}"
    yield from (f"{out} has no entry in dvc.lock" for out in stage.outs if not out.hash_info)


def changed_params(dep: Any, sections: list[str]) -> Iterator[str]:  # noqa: ANN401 (dvc has no types for us)
    """Name every value that differs from dvc.lock in some sections of a params file."""
    locked, found = dep.hash_info.value or {}, dep.read_params()
    before, after = (flatten({name: values[name] for name in sections if name in values}) for values in (locked, found))
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) != after.get(key):
            yield f"{dep} {key}: {before.get(key, 'nothing')} in dvc.lock, now {after.get(key, 'nothing')}"


if __name__ == "__main__":
    sys.exit(main())
