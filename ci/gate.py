"""The gate: dvc.lock is what this code and these params ask for, and the remote holds every file that it names.

python ci/gate.py                 exit 1 if the lock is stale or an object is missing
python ci/gate.py --allow-stale   say which stages are stale; exit 1 only if an object is missing

No stage is run. Of the remote only listings, the lists of folders and the code lists are read; where code changed, the
gate names the modules of each stage that would rerun. Of the other pipelines it says which locks are stale; that is no
failure: they run when somebody asks for them.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipestill.code.lists import CodeList, changed_since, is_code_list, short
from pipestill.tracking.lock import Lock
from pipestill.tracking.run_record import flatten

MAIN = "dvc.yaml"
"""The main pipeline's file."""
STALE_NEXT = "run `dvc repro` and `dvc push`, then commit dvc.lock"
MISSING_NEXT = "run `dvc push` where the pipeline ran, or `dvc repro` and `dvc push` anywhere"


def main() -> int:
    """Look at the lock and at the remote; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allow-stale", action="store_true", help="exit 1 only if an object is missing")
    parser.add_argument("--remote", help="the remote to look at; else the default one")
    chosen = parser.parse_args()
    from dvc.config import RemoteConfigError
    from dvc.repo import Repo

    repo = Repo()
    stale = stale_stages(repo)
    try:
        missing = missing_objects(repo, chosen.remote)
    except RemoteConfigError as error:
        print(f"gate: the remote cannot be looked at: {error}\n  next: run `dvc remote add --default NAME URL`")
        return 1
    print_other_pipelines(repo)
    lines = [f"{stage}: {reason}" for stage, reasons in stale.items() for reason in reasons]
    print_finding(f"dvc.lock is stale in {len(stale)} stage(s)", lines, STALE_NEXT)
    print_finding(f"{len(missing)} object(s) that dvc.lock names are missing in the remote", missing, MISSING_NEXT)
    if not stale and not missing:
        print(f"gate: dvc.lock is up to date in {len(main_stages(repo))} stages, and the remote holds all it names")
    return 1 if missing or (stale and not chosen.allow_stale) else 0


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


def missing_objects(repo: Any, remote: str | None = None) -> list[str]:  # noqa: ANN401 (dvc has no types for us)
    """The objects that dvc.lock, or a .dvc file of own data, names and the remote lacks: stage, path, md5 of each."""
    odb = repo.cloud.get_remote_odb(name=remote, command="gate")
    folders: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    own = [stage for stage in repo.index.stages if stage.is_data_source]
    for stage in [*pipeline_stages(repo), *own]:
        for out in stage.outs:
            if out.hash_info and out.use_cache and out.can_push:
                held = folders if out.hash_info.isdir else files
                held.setdefault(out.hash_info.value, []).append(f"{stage.addressing}: {out}")
    listed = existing(odb, set(folders))
    for md5 in sorted(listed):
        for path, member in members(odb, md5):
            files.setdefault(member, []).extend(f"{place}/{path}" for place in folders[md5])
    present = listed | existing(odb, set(files))
    wanted = folders | files
    return sorted(f"{place} (md5 {md5})" for md5, places in wanted.items() if md5 not in present for place in places)


def existing(odb: Any, md5s: set[str]) -> set[str]:  # noqa: ANN401 (dvc has no types for us)
    """Those of some objects that a remote holds."""
    ask: Callable[[set[str]], list[str]] = odb.oids_exist
    return set(ask(md5s)) if md5s else set()


def members(odb: Any, md5: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (dvc has no types for us)
    """The path and md5 of each file in a folder, from the list that the remote holds."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    for key, _, hash_info in Tree.load(odb, HashInfo("md5", md5)):
        yield Path(*key).as_posix(), hash_info.value


if __name__ == "__main__":
    sys.exit(main())
