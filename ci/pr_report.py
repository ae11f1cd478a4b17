"""The report of a pull request, as Markdown: what ran and why, which params and results moved, and the figures.

python ci/pr_report.py BASE --out ci-out    after `dvc repro | tee ci-out/repro.txt`; writes report.md and figures/

The base is the commit at which the branch left BASE. Its results come from the remote, its models stay there.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipestill.code.lists import changed_files, is_code_list, short
from pipestill.markdown import escaped
from pipestill.student_files import is_settings_file
from pipestill.tracking.lock import LOCK, PIPELINES, Lock, Made, pipelines_with_lock, read_lock
from pipestill.tracking.run_record import flatten

SUMMARY = "reports/summary.json"
MODELS = "models/"
CHAMPION = "models/champion"
"""A copy of one of the models with a card that holds figures: the stage `package` makes no model."""
FIGURES = (".png",)
"""Which any viewer of Markdown shows; the same pictures as .svg stay in reports/."""
NOTHING = "nothing"
ESTIMATES = ("agreement", "retention")
UNITS = {"size_bytes": "bytes", "p50_ms": "ms"}

Lists = Mapping[str, Mapping[str, Any]]
"""Code lists and students' settings by md5."""


@dataclass(frozen=True)
class State:
    """What a commit, or the workspace, says: the locks' stages, params and the summary's numbers by subject.

    A stage of another pipeline than the main one is named as `dvc repro` does it: `pipelines/mlm/dvc.yaml:mlm_cache`.
    """

    stages: dict[str, Made] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    results: dict[str, dict[str, float]] = field(default_factory=dict)


def main() -> int:
    """Write the report; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the branch that the pull request is to be merged into")
    parser.add_argument("--out", type=Path, default=Path("ci-out"))
    chosen = parser.parse_args()
    found = git("merge-base", chosen.base, "HEAD")
    if found is None:
        print(f"error: {chosen.base} and HEAD have no commit in common\n  next: fetch it with its whole history")
        return 1
    commit = found.strip()
    repro = chosen.out / "repro.txt"
    ran = re.findall(r"^Running stage '([^']+)'", repro.read_text(encoding="utf-8"), flags=re.MULTILINE)
    gate = chosen.out / "gate.txt"
    figures = copied_figures(Path("reports"), chosen.out / "figures")
    base, here = state_at(commit), state_here()
    said = gate.read_text(encoding="utf-8") if gate.exists() else ""
    text = report(commit, base, here, ran, said, figures, changed_files_of_check(base, here))
    (chosen.out / "report.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def report(
    commit: str, base: State, here: State, ran: list[str], gate: str, figures: list[str], lists: Lists | None = None
) -> str:
    """The whole report.

    Args:
        commit: the base's.
        base: its state.
        here: the workspace's state after the run.
        ran: the stages that ran here, in order.
        gate: what the gate said before the run.
        figures: the names of the figures.
        lists: see `changed_files_of_check`.
    """
    moved = [
        [f"`{subject} {name}`", shown(before, name), shown(after, name), change(before, after)]
        for (subject, name), before, after in pairs(base.results, here.results)
        if before != after
    ]
    params = [
        [f"`{key}`", escaped(before or ""), escaped(after or "")]
        for key, before, after in differences(base.params, here.params)
    ]
    return "\n".join(
        [
            f"# Pipeline report against {commit[:8]}\n",
            f"{outcome(base, here, ran)}\n",
            "## Stages\n",
            table(["stage", "here", "why"], list(stage_rows(base, here, ran, lists)), "Every stage is the base's."),
            "## Params\n",
            table(["param", "base", "here"], params, "No value of params.yaml differs."),
            "## Results on test\n",
            table(["result", "base", "here", "change"], moved, "No number moved.")
            if base.results
            else "The base has no results to compare with.\n",
            "## Figures\n",
            "".join(f"![{name}](figures/{name})\n" for name in figures) or "None.\n",
            "## Gate before the run\n",
            f"```\n{gate.strip()}\n```\n",
        ]
    )


def outcome(base: State, here: State, ran: list[str]) -> str:
    """The first sentences: how many stages ran, and whether a model was made anew."""
    of_main = [stage for stage in here.stages if ":" not in stage]
    first = f"{len(ran)} of {len({*of_main, *ran})} stages ran here" + (f": {', '.join(ran)}." if ran else ".")
    models = [stage for stage in ran if stage in here.stages and models_of(here.stages[stage])]
    if models:
        return f"**{first} Models were made anew by {', '.join(models)}.**"
    before, after = (
        {path: md5 for made in state.stages.values() for path, md5 in models_of(made).items()} for state in (base, here)
    )
    same = "teacher, students and ONNX files are the base's" if before == after else "what differs came from the remote"
    return f"**{first} No model was trained or exported: {same}.**"


def models_of(made: Made) -> dict[str, str]:
    """The md5 of the models that a stage makes, by path."""
    return {path: md5 for path, md5 in made.outs.items() if path.startswith(MODELS) and path != CHAMPION}


def changed_files_of_check(base: State, here: State) -> Lists:
    """The code lists and students' settings in which two states differ, by md5, as the cache or the remote has them."""
    code: set[str] = set()
    settings: set[str] = set()
    for stage, made in here.stages.items():
        before = base.stages[stage].identity.deps if stage in base.stages else {}
        for path, old, new in differences(before, made.identity.deps):
            code |= {md5 for md5 in (old, new) if md5 and is_code_list(path)}
            settings |= {md5 for md5 in (old, new) if md5 and is_settings_file(path)}
    found: dict[str, Mapping[str, Any]] = {}
    if code:
        found |= Lock(Path()).code_lists(code)
    if settings:
        found |= Lock(Path()).settings(settings)
    return found


def stage_rows(base: State, here: State, ran: list[str], lists: Lists | None = None) -> Iterator[list[str]]:
    """A row for each stage that ran, is gone or differs from the base's: its name, what was done here, and why."""
    for stage, made in here.stages.items():
        why = list(reasons(base.stages.get(stage), made, lists))
        if stage in ran:
            outs = base.stages[stage].outs if stage in base.stages else {}
            done = "ran, the same files came out" if outs == made.outs else "ran"
            yield [f"`{stage}`", done, "; ".join(why) or "no cache or remote had its outs"]
        elif why:
            yield [f"`{stage}`", "came from the remote", "; ".join(why)]
    for stage in base.stages:
        if stage not in here.stages:
            yield [f"`{stage}`", "gone", "dvc.yaml has it no more"]


def reasons(before: Made | None, after: Made, lists: Lists | None = None) -> Iterator[str]:
    """Say in which ways a stage was asked for something else than on the base."""
    if before is None:
        yield "new stage"
        return
    if before.identity.cmd != after.identity.cmd:
        yield "its command"
    for key, old, new in differences(flat_params(before), flat_params(after)):
        yield f"param `{key}`: {escaped(old or NOTHING)} → {escaped(new or NOTHING)}"
    for path, old, new in differences(before.identity.deps, after.identity.deps):
        contents = [(lists or {}).get(md5 or "", {}) for md5 in (old, new)]
        yield from list(changes_in(path, *contents)) if all(contents) else [f"file `{path}`"]


def changes_in(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Say how a file that `check` writes differs: in the modules of a code list, or in the values of settings."""
    if is_code_list(path):
        yield f"code: {', '.join(f'`{short(file)}`' for file in changed_files(before, after))}"
        return
    for key, old, new in differences(flatten(before), flatten(after)):
        yield f"setting `{key}`: {escaped(old or NOTHING)} → {escaped(new or NOTHING)}"


def flat_params(made: Made) -> dict[str, str]:
    """A stage's params by dotted name, whatever file they are in."""
    return {key: value for values in made.identity.params.values() for key, value in flatten(values).items()}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
    """The entries in which two mappings differ, with both values."""
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def pairs(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[tuple[str, str], float | None, float | None]]:
    """Every number that two results hold, by subject and name."""
    for subject in [*before, *(subject for subject in after if subject not in before)]:
        old, new = before.get(subject, {}), after.get(subject, {})
        for name in [*old, *(name for name in new if name not in old)]:
            yield (subject, name), old.get(name), new.get(name)


def shown(value: float | None, name: str) -> str:
    """A number with its unit."""
    if value is None:
        return "none"
    return f"{value:.4g}" if name not in UNITS else f"{value:,.0f} B" if name == "size_bytes" else f"{value:.3g} ms"


def change(before: float | None, after: float | None) -> str:
    """A difference, absolute and relative."""
    if before is None or after is None:
        return ""
    relative = f" ({(after - before) / before:+.1%})" if before else ""
    return f"{after - before:+.4g}{relative}"


def table(heads: list[str], rows: list[list[str]], otherwise: str) -> str:
    """A Markdown table, or a sentence where there are no rows."""
    if not rows:
        return f"{otherwise}\n"
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(with_escaped_bars, line))} |\n" for line in lines)


def with_escaped_bars(cell: str) -> str:
    """Escape the bars that are not escaped yet, as in a code span: they would end the cell."""
    return re.sub(r"(?<!\\)\|", r"\|", cell)


def state_here() -> State:
    """The workspace's state."""
    summary = Path(SUMMARY)
    return State(
        stages=stages_of({folder / LOCK: (folder / LOCK).read_text("utf-8") for folder in pipelines_with_lock(Path())}),
        params=params_of(Path("params.yaml").read_text(encoding="utf-8")),
        results=numbers(summary.read_text(encoding="utf-8")) if summary.exists() else {},
    )


def state_at(commit: str) -> State:
    """A commit's state; what it does not have is empty."""
    import dvc.api
    from dvc.exceptions import DvcException

    listed = (git("ls-tree", "-r", "--name-only", commit, LOCK.name, f"{PIPELINES}/") or "").splitlines()
    locks = {Path(path): git("show", f"{commit}:{path}") or "" for path in listed if Path(path).name == LOCK.name}
    params = git("show", f"{commit}:params.yaml")
    try:
        summary = dvc.api.read(SUMMARY, rev=commit)
    except (DvcException, OSError) as error:
        print(f"the base's {SUMMARY} is not to be had: {error}", file=sys.stderr)
        summary = None
    return State(
        stages=stages_of(locks),
        params=params_of(params) if params else {},
        results=numbers(summary) if summary else {},
    )


def stages_of(locks: Mapping[Path, str]) -> dict[str, Made]:
    """The stages in the texts of some dvc.lock files, by the name that `dvc repro` gives them.

    Args:
        locks: the texts, by the path of the file in the repository.
    """
    stages: dict[str, Made] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / LOCK
        for path, text in locks.items():
            copy.write_text(text, encoding="utf-8")
            prefix = "" if path == LOCK else f"{path.with_suffix('.yaml').as_posix()}:"
            stages |= {prefix + made.identity.stage: made for made in read_lock(copy)}
    return stages


def params_of(text: str) -> dict[str, str]:
    """The values in the text of a params.yaml, by dotted name."""
    return flatten(YAML(typ="safe").load(text))


def numbers(summary: str) -> dict[str, dict[str, float]]:
    """The numbers that people compare, by subject; read as plain JSON: the base's may have other fields than ours."""
    content: dict[str, Any] = json.loads(summary)
    results: dict[str, dict[str, float]] = {}
    for row in content.get("rows", []):
        test = row.get("test") or {}
        places = {name: (test.get(name) or {}).get("value") for name in ESTIMATES}
        places |= {name: estimate.get("value") for name, estimate in (test.get("measures") or {}).items()}
        places |= {"size_bytes": row.get("size_bytes"), "p50_ms": (row.get("speed") or {}).get("p50_ms")}
        results[f"{row.get('model')}/{row.get('variant')}"] = {
            name: value for name, value in places.items() if value is not None
        }
    return results


def copied_figures(source: Path, target: Path) -> list[str]:
    """Copy the report's figures, which open in any viewer without the web; returns their names."""
    names = sorted(path.name for path in source.glob("*") if path.suffix in FIGURES)
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy2(source / name, target / name)
    return names


def git(*arguments: str) -> str | None:
    """What git prints, or None if it refuses."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
