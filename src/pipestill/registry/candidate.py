"""The report's champion as a candidate for the registry: the benchmarked file, and the hashes of its inputs."""

from pathlib import Path
from typing import NamedTuple

from pipestill.errors import PipestillError
from pipestill.fingerprint import sha256_file
from pipestill.records import read_json, read_record
from pipestill.reporting.rows import ComparisonRow
from pipestill.reporting.selection import Verdict
from pipestill.reporting.summary import Summary
from pipestill.tracking.entities import dep_tags
from pipestill.tracking.identity import git_state
from pipestill.tracking.lock import Lock, Made

SUMMARY = Path("reports/summary.json")
CARD = Path("data/prepared/card.json")
DEV = Path("data/prepared/dev.parquet")
TEACHER = Path("models/teacher")
ARTIFACTS = Path("models/onnx")


class RegistryError(PipestillError):
    """A model cannot be registered or promoted."""


class Candidate(NamedTuple):
    """A file that may be registered.

    Attributes:
        data: name of the data set.
        subject: name of the file, as `<student>/<variant>`.
        folder: its artifact folder.
        file: the ONNX file in it that was benchmarked.
        md5: DVC's md5 of the folder.
        metric: the dev metric by which the report chooses its champion.
        dev_quality: that metric on dev, in [0, 1].
        dev_md5: DVC's md5 of the dev rows.
        tags: hashes of its data, teacher, settings and code, and its figures.
    """

    data: str
    subject: str
    folder: Path
    file: str
    md5: str
    metric: str
    dev_quality: float
    dev_md5: str
    tags: dict[str, str]


def read_candidate(lock: Lock) -> Candidate:
    """Read the report's champion, and check its files against the hashes in dvc.lock and in the benchmark.

    Args:
        lock: dvc.lock of the repository.

    Returns:
        The champion's file, figures and tags.

    Raises:
        RegistryError: the report chose no champion, or a file is missing or differs from the one that was measured.
        RecordError: the summary was written by another version of pipestill.
    """
    for path in (SUMMARY, CARD):
        if not lock.holds(path):
            raise _missing(path)
    summary = read_record(lock.root / SUMMARY, Summary)
    verdict = _champion(summary)
    model = verdict.subject.split("/")[0]
    row = next(row for row in summary.rows if row.subject == verdict.subject)
    folder = ARTIFACTS / model
    made = lock.maker(folder)
    if made is None or not lock.holds(folder):
        raise _missing(folder)
    outs = lock.outs()
    data = str(read_json(lock.root / CARD)["name"])
    return Candidate(
        data=data,
        subject=verdict.subject,
        folder=lock.root / folder,
        file=_benchmarked_file(lock.root / folder, row),
        md5=outs[folder.as_posix()],
        metric=summary.selection.metric,
        dev_quality=verdict.dev_quality,
        dev_md5=outs[DEV.as_posix()],
        tags=_figures(verdict, row, summary.selection.metric) | _lineage(lock, made, data),
    )


def _missing(path: Path) -> RegistryError:
    return RegistryError(
        f"{path} is missing, or differs from its hash in dvc.lock",
        expected="the outputs of the last run, which were measured",
        next_step="run `dvc pull dvc.yaml` to fetch them, or `dvc repro` to make them",
    )


def _champion(summary: Summary) -> Verdict:
    for verdict in summary.selection.verdicts:
        if verdict.subject == summary.selection.champion and not verdict.refused_because:
            return verdict
    refusals = (
        f"\n    {verdict.subject}: {reason}"
        for verdict in summary.selection.verdicts
        for reason in verdict.refused_because
    )
    selection = summary.selection
    nearest = f"the nearest, {selection.packaged}, misses {', '.join(selection.missed)}" if selection.packaged else ""
    raise RegistryError(
        "the report has no champion to register",
        found=f"{nearest}{''.join(refusals)}" or "no candidates",
        expected="a student that meets every constraint in `report.constraints` of params.yaml",
        next_step="improve a student or change the constraint, then run `dvc repro`",
    )


def _benchmarked_file(folder: Path, row: ComparisonRow) -> str:
    """Return the benchmarked file of an artifact folder, found by its checksum, so that no other is registered."""
    wanted = row.speed.sha256 if row.speed else None
    for path in sorted(folder.rglob("*.onnx")):
        if sha256_file(path) == wanted:
            return path.relative_to(folder).as_posix()
    raise RegistryError(
        f"{folder.name} does not hold the file that was benchmarked", expected=wanted, next_step="run `dvc repro`"
    )


def _figures(verdict: Verdict, row: ComparisonRow, metric: str) -> dict[str, str]:
    tags = {"subject": verdict.subject, "dev.metric": metric, f"dev.{metric}": f"{verdict.dev_quality:.6f}"}
    if verdict.dev_retention_lower is not None:
        tags["dev.retention_lower"] = f"{verdict.dev_retention_lower:.4f}"
    if row.speed:
        tags |= {
            "size_bytes": str(row.speed.size_bytes),
            "p50_ms": f"{row.speed.p50_ms:.3f}",
            "speedup_over_teacher_torch": f"{row.speed.speedup_over_teacher_torch:.2f}",
        }
    return tags


def _lineage(lock: Lock, made: Made, data: str) -> dict[str, str]:
    """Return tags with the hashes of the data, teacher, code and settings that the candidate was made from."""
    outs = lock.outs()
    commit, dirty = git_state(lock.root)
    tags = {
        "dvc.stage": made.identity.stage,
        "dvc.key": made.identity.key,
        "dvc.pipeline": lock.key,
        "data": data,
        **dep_tags(made.identity.deps),
        **{f"dvc.out/{path}": md5 for path, md5 in made.outs.items()},
        **{f"dvc.out/{path}": md5 for path, md5 in outs.items() if _is_source(path)},
    }
    if TEACHER.as_posix() in outs:
        tags["teacher"] = outs[TEACHER.as_posix()]
    if commit is not None:
        tags |= {"git.commit": commit, "git.dirty": str(bool(dirty) or not lock.is_committed()).lower()}
    return tags


def _is_source(path: str) -> bool:
    return path == TEACHER.as_posix() or path.startswith("data/")
