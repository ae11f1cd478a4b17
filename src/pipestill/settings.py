"""Every section of params.yaml and its specification: the whole file checked at once, before any work starts."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.baseline.params import BaselineParams
from pipestill.benchmark.params import BenchmarkParams
from pipestill.data.params import PrepareParams
from pipestill.defaults import DEFAULTS, OWN, STUDENTS, default_refusals, place, student_refusals, with_defaults
from pipestill.errors import ParamsError
from pipestill.evaluation.params import EvaluateParams
from pipestill.exporters.params import ExportParams
from pipestill.logit_cache.params import CacheLogitsParams, CommitteeParams, FeaturesParams
from pipestill.params import parse_section, read_params, refusals
from pipestill.reporting.params import ReportParams
from pipestill.sources.params import FetchParams, MoreBaseParams
from pipestill.tracking.params import RegisterParams
from pipestill.training.params import FinetuneTeacherParams, MoreTeacherParams
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
"""The sections that every params.yaml has."""

NAMED: dict[str, Any] = {
    "students": StudentParams,
    "more_bases": MoreBaseParams,
    "more_teachers": MoreTeacherParams,
    "committees": CommitteeParams,
}
"""The sections that hold one specification under each name; all but `students` may be empty."""

PIPELINE = Path("dvc.yaml")
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
    known = [*SECTIONS, DEFAULTS, *NAMED]
    lines = [
        f"{section}: no such section; the sections are {', '.join(known)}"
        for section in content
        if section not in known
    ]
    for section, kind in SECTIONS.items():
        lines += refusals(content, section, kind)
    lines += default_refusals(content, StudentParams, OWN)
    for section, kind in NAMED.items():
        lines += _named_refusals(content, section, kind)
    if not content.get(STUDENTS):
        lines.append(f"{STUDENTS}: at least one student is needed, a name with its settings")
    students: dict[str, StudentParams] = {}
    if not lines:
        whole = with_defaults(content)
        students = {name: parse_section(whole, f"{STUDENTS}.{name}", StudentParams) for name in whole[STUDENTS]}
        features = parse_section(content, "cache_logits", CacheLogitsParams).features
        lines = [
            *_unknown_names(whole),
            *_unmade_variants(content),
            *_unlisted(content, pipeline),
            *_unreadable_features(content, students, features),
        ]
    lines = [*dict.fromkeys(lines)]  # a mistake in the defaults is found with each student too
    if lines:
        raise ParamsError(
            f"params.yaml: {len(lines)} value(s) refused",
            found="".join(f"\n    {line}" for line in lines),
            next_step="correct the values named above in params.yaml; docs/pipeline.md lists every section",
        )
    return students


def _named_refusals(content: Mapping[str, Any], section: str, kind: type[Any]) -> list[str]:
    named = content.get(section)
    if not isinstance(named, Mapping):
        return [f"{section} (found {named!r}): a mapping of names to settings is needed, {{}} where there are none"]
    lines = []
    for name in named:
        if isinstance(name, str):
            found = (
                student_refusals(content, name, kind)
                if section == STUDENTS
                else refusals(content, f"{section}.{name}", kind)
            )
            lines += _name_refusals(section, name) + found
        else:
            lines.append(f"{section}.{name}: YAML reads this name as {type(name).__name__}; begin it with a letter")
    return lines


def _name_refusals(section: str, name: str) -> list[str]:
    """A name is a folder, a stage and a run: letters, digits, underscores."""
    if name in {TEACHER, BASELINE} or not name.isascii() or not name.replace("_", "").isalnum():
        allowed = f"a name takes letters, digits and underscores and is not `{TEACHER}` or `{BASELINE}`"
        return [f"{section}.{name}: no name that can be used; {allowed}"]
    return []


def _unknown_names(content: Mapping[str, Any]) -> list[str]:
    """Names that one section uses and another does not have."""
    uses = [
        ("more_teachers", "base", "models/bases/", "more_bases"),
        (STUDENTS, "targets", "data/committees/", "committees"),
    ]
    lines = []
    for section, key, prefix, other in uses:
        for name, settings in content[section].items():
            used = str(settings[key])
            if used.startswith(prefix) and used.removeprefix(prefix) not in content[other]:
                lines.append(f"{section}.{name}.{key} (found {used!r}): {other} has no {used.removeprefix(prefix)}")
    teachers = {TEACHER, *content["more_teachers"]}
    for name, settings in content["committees"].items():
        lines += [
            f"committees.{name}.teachers: no teacher is called {member}; there are {', '.join(sorted(teachers))}"
            for member in settings["teachers"]
            if member not in teachers
        ]
    return lines


def _unmade_variants(content: Mapping[str, Any]) -> list[str]:
    """Variants that the report may choose and the export does not make."""
    made = parse_section(content, "export", ExportParams).variants
    return [
        f"report.variants (found {name!r}): the export makes {', '.join(made)}; `export.more` takes further formats"
        for name in parse_section(content, "report", ReportParams).variants
        if name not in made
    ]


def _unreadable_features(
    content: Mapping[str, Any], students: Mapping[str, StudentParams], kept: FeaturesParams
) -> list[str]:
    """Losses that read features which a student does not have, or not of the tokens that the cache holds."""
    lines = []
    for name, student in students.items():
        if not student.asks_features:
            continue
        losses = [term.loss for term in student.terms if term.loss.asks_features]
        kind = student.architecture.kind
        if not student.architecture.has_layers:
            kinds = ", ".join(loss.kind for loss in losses)
            lines.append(f"{place(content, name, ['objective'])}: {kinds} reads layers, and {kind} has none")
        every_token = [loss.kind for loss in losses if not loss.first_token_only]
        min_count = getattr(student.vocabulary, "min_count", 1)
        if every_token and kept.sites and kept.tokens == "all" and min_count > 1:
            where = place(content, name, ["vocabulary", "min_count"])
            lines.append(
                f"{where} (found {min_count}): {', '.join(every_token)} reads features "
                "of all tokens from the cache, and rare words have other tokens then; 1, or `features.sites: []`"
            )
    return lines


def _unlisted(content: Mapping[str, Any], pipeline: Mapping[str, Any]) -> list[str]:
    """What dvc.yaml lists one by one, held against the names in params.yaml."""
    stages = pipeline["stages"]
    lists = [
        (STUDENTS, "models/onnx/", stages["benchmark"]["deps"]),
        ("more_teachers", "data/more_logits/", stages["committee"]["do"]["deps"]),
    ]
    lines = []
    for section, prefix, deps in lists:
        listed = {dep.removeprefix(prefix) for dep in deps if dep.startswith(prefix)} - {TEACHER}
        names = {*content[section]}
        lines += [
            f"{section}.{name}: dvc.yaml does not list it yet: run `make deps`" for name in sorted(names - listed)
        ]
        lines += [
            f"{section}.{name} is listed in dvc.yaml but gone: run `make deps`" for name in sorted(listed - names)
        ]
    return lines


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
