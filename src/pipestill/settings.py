"""Every section of params.yaml and its specification: the whole file checked at once, before any work starts."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.baseline.params import BaselineParams
from pipestill.benchmark.params import BenchmarkParams
from pipestill.data.params import PrepareParams
from pipestill.errors import ParamsError
from pipestill.evaluation.params import EvaluateParams
from pipestill.exporters.params import ExportParams
from pipestill.logit_cache.params import CacheLogitsParams
from pipestill.params import parse_section, read_params, refusals
from pipestill.reporting.params import ReportParams
from pipestill.sources.params import FetchParams
from pipestill.tracking.params import RegisterParams
from pipestill.training.finetune import FinetuneTeacherParams
from pipestill.training.student_params import StudentParams
from pipestill.transfer.params import TransferParams

SECTIONS: dict[str, Any] = {
    "fetch": FetchParams,
    "prepare": PrepareParams,
    "transfer": TransferParams,
    "finetune_teacher": FinetuneTeacherParams,
    "cache_logits": CacheLogitsParams,
    "export": ExportParams,
    "baseline": BaselineParams,
    "evaluate": EvaluateParams,
    "benchmark": BenchmarkParams,
    "report": ReportParams,
    "register": RegisterParams,
}
"""The sections that every params.yaml has; `students` holds one more specification under each name."""

PIPELINE = Path("dvc.yaml")
STUDENTS = "students"
TEACHER = "teacher"
BASELINE = "baseline"


def check_settings(content: Mapping[str, Any], pipeline: Mapping[str, Any]) -> dict[str, StudentParams]:
    """Check a whole params.yaml.

    Args:
        content: its top-level mapping.
        pipeline: the top-level mapping of dvc.yaml, whose last stages list every student's artifacts.

    Returns:
        The students by name.

    Raises:
        ParamsError: one or more values are refused; the message lists all of them, from every section.
    """
    lines = [
        f"{section}: no such section; the sections are {', '.join([*SECTIONS, STUDENTS])}"
        for section in content
        if section not in {*SECTIONS, STUDENTS}
    ]
    for section, kind in SECTIONS.items():
        lines += refusals(content, section, kind)
    students = content.get(STUDENTS)
    if isinstance(students, Mapping) and students:
        for name in students:
            lines += _name_refusals(str(name)) + refusals(content, f"{STUDENTS}.{name}", StudentParams)
        lines += _unlisted(students, pipeline)
    else:
        lines.append(f"{STUDENTS} (found {students!r}): at least one student is needed, a name with its settings")
        students = {}
    if lines:
        raise ParamsError(
            f"params.yaml: {len(lines)} value(s) refused",
            found="".join(f"\n    {line}" for line in lines),
            next_step="correct the values named above in params.yaml; docs/pipeline.md lists every section",
        )
    return {name: parse_section(content, f"{STUDENTS}.{name}", StudentParams) for name in students}


def _name_refusals(name: str) -> list[str]:
    """A student's name is a folder, a stage and a run: letters, digits, underscores."""
    if name in {TEACHER, BASELINE} or not name.isascii() or not name.replace("_", "").isalnum():
        allowed = f"it takes letters, digits and underscores and is not `{TEACHER}` or `{BASELINE}`"
        return [f"{STUDENTS}.{name}: no name for a student; {allowed}"]
    return []


def _unlisted(students: Mapping[str, Any], pipeline: Mapping[str, Any]) -> list[str]:
    """Students whose artifacts the benchmark does not list, and artifacts listed of students that are gone."""
    prefix = "models/onnx/"
    deps = pipeline["stages"]["benchmark"]["deps"]
    listed = {dep.removeprefix(prefix) for dep in deps if dep.startswith(prefix)} - {TEACHER}
    lines = [
        f"{STUDENTS}.{name}: dvc.yaml does not list it yet: run `make deps`" for name in sorted({*students} - listed)
    ]
    return lines + [
        f"{STUDENTS}.{name} is listed in dvc.yaml but gone: run `make deps`" for name in sorted(listed - {*students})
    ]


def main() -> int:
    """`python -m pipestill.settings`: check params.yaml before DVC reads it; returns the exit code."""
    try:
        check_settings(read_params(), read_params(PIPELINE))
    except ParamsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
