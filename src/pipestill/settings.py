"""Every section of params.yaml and its specification: the whole file checked at once, before any work starts."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.baseline.params import BaselineParams
from pipestill.benchmark.params import BenchmarkParams
from pipestill.data.params import PrepareParams
from pipestill.defaults import OWN, STUDENTS, place, with_defaults
from pipestill.errors import ParamsError
from pipestill.evaluation.params import EvaluateParams
from pipestill.exporters.params import ExportParams
from pipestill.logit_cache.params import CacheLogitsParams, EnsembleParams, FeaturesParams
from pipestill.params import parse_section, read_params
from pipestill.params_file import TEACHER, ParamsFile
from pipestill.redaction import print_error
from pipestill.registry.params import RegisterParams
from pipestill.reporting.params import ReportParams
from pipestill.sources.params import FetchParams, MoreBaseParams
from pipestill.training.params import FinetuneTeacherParams, MoreTeacherParams
from pipestill.training.student_params import StudentParams
from pipestill.transfer.params import TransferParams

FILE = ParamsFile(
    path="params.yaml",
    docs="docs/pipeline.md",
    sections={
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
    },
    named={
        "students": StudentParams,
        "more_bases": MoreBaseParams,
        "more_teachers": MoreTeacherParams,
        "ensembles": EnsembleParams,
    },
    may_be_empty=("more_bases", "more_teachers", "ensembles"),
    own=OWN,
)
PIPELINE = Path("dvc.yaml")


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
    students: dict[str, StudentParams] = {}

    def mistakes_between() -> list[str]:
        whole = with_defaults(content)
        students.update({name: parse_section(whole, f"{STUDENTS}.{name}", StudentParams) for name in whole[STUDENTS]})
        features = parse_section(content, "cache_logits", CacheLogitsParams).features
        return [
            *_unknown_names(whole),
            *_unmade_variants(content),
            *_unlisted(content, pipeline),
            *_unreadable_features(content, students, features),
        ]

    FILE.check(content, mistakes_between)
    return students


def _unknown_names(content: Mapping[str, Any]) -> list[str]:
    """Names that one section uses and another does not have."""
    uses = [
        ("more_teachers", "base", "models/bases/", "more_bases"),
        (STUDENTS, "targets", "data/ensembles/", "ensembles"),
    ]
    lines = []
    for section, key, prefix, other in uses:
        for name, settings in content[section].items():
            used = str(settings[key])
            if used.startswith(prefix) and used.removeprefix(prefix) not in content[other]:
                lines.append(f"{section}.{name}.{key} (found {used!r}): {other} has no {used.removeprefix(prefix)}")
    teachers = {TEACHER, *content["more_teachers"]}
    for name, settings in content["ensembles"].items():
        lines += [
            f"ensembles.{name}.teachers: no teacher is called {member}; there are {', '.join(sorted(teachers))}"
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
    """Compare the names that dvc.yaml lists one by one with those in params.yaml."""
    stages = pipeline["stages"]
    lists = [
        (STUDENTS, "models/onnx/", stages["benchmark"]["deps"]),
        ("more_teachers", "data/more_logits/", stages["ensemble"]["do"]["deps"]),
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
        print_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
