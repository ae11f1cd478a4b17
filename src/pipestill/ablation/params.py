"""The sections of pipelines/ablation/params.yaml."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from pipestill.benchmark.params import BenchmarkParams
from pipestill.defaults import STUDENTS, with_defaults
from pipestill.evaluation.params import EvaluateParams
from pipestill.exporters.params import ExportParams
from pipestill.logit_cache.params import CacheLogitsParams
from pipestill.params import IntTuple, Section, parse_section
from pipestill.params_file import ParamsFile
from pipestill.students.params import StudentKind
from pipestill.training.params import MaxLength, TrainingParams
from pipestill.training.student_params import EmbeddingSpec, StudentParams, TermParams, VocabularySpec
from pipestill.transfer.params import TransferParams


class StudentSettings(Section):
    """Settings of a student, for all recipes.

    Attributes:
        title: name in the table.
        architecture: kind of model and its sizes.
        vocabulary: whole vocabulary, or pruned to the tokens of its rows.
        embedding: full or factorised token embedding.
        max_length: the longest input in tokens; `auto` is the teacher's, or fits 99% of the train texts without one.
        training: optimiser and schedule settings; the epochs are passes over the train rows, which a recipe may reduce.
    """

    title: str
    architecture: StudentKind
    vocabulary: VocabularySpec
    embedding: EmbeddingSpec
    max_length: MaxLength
    training: TrainingParams


class Recipe(Section):
    """The losses, initial weights and rows of a training.

    Attributes:
        title: name in the table.
        init: model that the student is made from.
        rows: the train rows, or the ablation's transfer set.
        epochs_fraction: share of the student's epochs to train, at least one epoch: fewer passes over more rows.
        objective: weighted losses; those that need a teacher read the ablation's logit cache.
    """

    title: str
    init: Literal["models/teacher", "models/base"]
    rows: Literal["train", "transfer"]
    epochs_fraction: float = Field(gt=0, le=1)
    objective: Annotated[
        tuple[TermParams, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
    ]


class Cell(Section):
    """One student with one recipe."""

    student: str
    recipe: str


class Repeats(Section):
    """The seeds of the ablation: each cell is trained once per seed."""

    seeds: IntTuple = Field(min_length=1)

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("each seed must be at least 0 and given once")
        return seeds


FILE = ParamsFile(
    path="pipelines/ablation/params.yaml",
    docs="docs/ablation.md",
    sections={
        "transfer": TransferParams,
        "cache_logits": CacheLogitsParams,
        "repeats": Repeats,
        "export": ExportParams,
        "evaluate": EvaluateParams,
        "benchmark": BenchmarkParams,
    },
    named={"students": StudentSettings, "recipes": Recipe, "cells": Cell},
    own=("title",),
    composed=("cells",),
)


def student_params(student: StudentSettings, recipe: Recipe, seed: int) -> StudentParams:
    """Combine a student and a recipe into the settings of a student, with the ablation's transfer set and logit cache.

    Raises:
        pydantic.ValidationError: the two do not go together.
    """
    train = "data/prepared/train.parquet"
    asks_teacher = any(term.loss.asks_teacher for term in recipe.objective)
    epochs = max(1, round(student.training.epochs * recipe.epochs_fraction))
    return StudentParams.model_validate(
        {
            "seed": seed,
            "architecture": student.architecture,
            "vocabulary": student.vocabulary,
            "embedding": student.embedding,
            "init": recipe.init,
            "rows": train if recipe.rows == "train" else "data/ablation/transfer",
            "targets": "data/ablation/logits" if asks_teacher else train,
            "max_length": student.max_length,
            "objective": recipe.objective,
            "training": student.training.model_dump() | {"epochs": epochs},
        }
    )


def grid_students(content: Mapping[str, Any]) -> dict[str, StudentSettings]:
    """Parse the students by name, each with the defaults."""
    whole = with_defaults(content)
    return {name: parse_section(whole, f"{STUDENTS}.{name}", StudentSettings) for name in whole[STUDENTS]}


def check_grid(content: Mapping[str, Any]) -> dict[str, StudentParams]:
    """Check all of pipelines/ablation/params.yaml at once.

    Args:
        content: top-level mapping of the file.

    Returns:
        The student of each cell, with the first seed.

    Raises:
        ParamsError: one or more values are refused; the message lists all of them.
    """
    cells: dict[str, StudentParams] = {}

    def mistakes_between() -> list[str]:
        seed, students = parse_section(content, "repeats", Repeats).seeds[0], grid_students(content)
        lines: list[str] = []
        for name in content["cells"]:
            cell = parse_section(content, f"cells.{name}", Cell)
            lines += _check_cell(content, students, name, cell, seed, cells)
        return lines

    FILE.check(content, mistakes_between)
    return cells


def _check_cell(
    content: Mapping[str, Any],
    students: Mapping[str, StudentSettings],
    name: str,
    cell: Cell,
    seed: int,
    cells: dict[str, StudentParams],
) -> list[str]:
    """List the faults of a cell; a cell without faults is added to `cells`."""
    lines = [
        f"cells.{name}.{key} (found {value!r}): {section} has no such name"
        for key, value, section in (("student", cell.student, "students"), ("recipe", cell.recipe, "recipes"))
        if value not in content[section]
    ]
    if name != f"{cell.student}-{cell.recipe}":
        lines.append(f"cells.{name}: its name must be {cell.student}-{cell.recipe}")
    if not lines:
        recipe = parse_section(content, f"recipes.{cell.recipe}", Recipe)
        try:
            cells[name] = student_params(students[cell.student], recipe, seed)
        except ValidationError as error:
            lines = [f"cells.{name}: {detail['msg']}" for detail in error.errors(include_url=False)]
    return lines
