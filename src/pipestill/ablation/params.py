"""The sections of pipelines/ablation/params.yaml."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from pipestill.benchmark.params import BenchmarkParams
from pipestill.errors import ParamsError
from pipestill.evaluation.params import EvaluateParams
from pipestill.exporters.params import ExportParams
from pipestill.logit_cache.params import CacheLogitsParams
from pipestill.params import IntTuple, Section, parse_section, refusals
from pipestill.students import StudentKind
from pipestill.text.vocabulary import VocabularySpec
from pipestill.training.params import MaxLength, TrainingParams
from pipestill.training.student_params import StudentParams, TermParams
from pipestill.training.vocabulary import EmbeddingSpec
from pipestill.transfer.params import TransferParams


class StudentSettings(Section):
    """A student, whatever it learns from.

    Attributes:
        title: what the table calls it.
        architecture: what it is built like.
        vocabulary: which tokens it knows.
        embedding: how it keeps their embeddings.
        max_length: the longest input in tokens; `auto` is the teacher's, or fits 99% of the train texts without one.
        training: how it is trained; its epochs are those over the train rows, of which a recipe may take fewer.
    """

    title: str
    architecture: StudentKind
    vocabulary: VocabularySpec
    embedding: EmbeddingSpec
    max_length: MaxLength
    training: TrainingParams


class Recipe(Section):
    """What a student learns from.

    Attributes:
        title: what the table calls it.
        init: the model that it is made of.
        rows: the train rows, or the ablation's transfer set.
        epochs_fraction: share of the student's epochs that it trains, at least one: more rows, fewer passes.
        objective: the losses; one that asks a teacher asks the ablation's logit cache.
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
    """How often each cell is trained: once for each seed."""

    seeds: IntTuple = Field(min_length=1)

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("each seed is at least 0 and stands here once")
        return seeds


SECTIONS: dict[str, Any] = {
    "transfer": TransferParams,
    "cache_logits": CacheLogitsParams,
    "repeats": Repeats,
    "export": ExportParams,
    "evaluate": EvaluateParams,
    "benchmark": BenchmarkParams,
}
"""The sections with one specification."""
NAMED: dict[str, Any] = {"students": StudentSettings, "recipes": Recipe, "cells": Cell}
"""The sections that hold one specification under each name."""


def student_params(student: StudentSettings, recipe: Recipe, seed: int) -> StudentParams:
    """A student with a recipe as the trainer takes it.

    `rows` and `targets` name the main pipeline's transfer set and logit cache; what is opened are the ablation's own.

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
            "rows": train if recipe.rows == "train" else "data/transfer",
            "targets": "data/logits" if asks_teacher else train,
            "max_length": student.max_length,
            "objective": recipe.objective,
            "training": student.training.model_dump() | {"epochs": epochs},
        }
    )


def check_grid(content: Mapping[str, Any]) -> dict[str, StudentParams]:
    """Check all of pipelines/ablation/params.yaml at once.

    Args:
        content: its top-level mapping.

    Returns:
        The student of each cell, with the first seed.

    Raises:
        ParamsError: one or more values are refused; the message lists all of them.
    """
    lines = [f"{section}: no such section" for section in content if section not in {*SECTIONS, *NAMED}]
    for section, kind in SECTIONS.items():
        lines += refusals(content, section, kind)
    for section, kind in NAMED.items():
        named = content.get(section)
        if not isinstance(named, Mapping) or not named:
            lines.append(f"{section} (found {named!r}): a mapping of names to settings is needed")
            continue
        for name in named:
            lines += refusals(content, f"{section}.{name}", kind)
    cells: dict[str, StudentParams] = {}
    if not lines:
        seed = parse_section(content, "repeats", Repeats).seeds[0]
        for name in content["cells"]:
            cell = parse_section(content, f"cells.{name}", Cell)
            lines += _check_cell(content, name, cell, seed, cells)
    if lines:
        raise ParamsError(
            f"pipelines/ablation/params.yaml: {len(lines)} value(s) refused",
            found="".join(f"\n    {line}" for line in lines),
            next_step="correct the values named above; docs/ablation.md says what they mean",
        )
    return cells


def _check_cell(
    content: Mapping[str, Any], name: str, cell: Cell, seed: int, cells: dict[str, StudentParams]
) -> list[str]:
    """What is wrong with a cell; one with nothing wrong is added to `cells`."""
    lines = [
        f"cells.{name}.{key} (found {value!r}): {section} has no such name"
        for key, value, section in (("student", cell.student, "students"), ("recipe", cell.recipe, "recipes"))
        if value not in content[section]
    ]
    if name != f"{cell.student}-{cell.recipe}":
        lines.append(f"cells.{name}: its name must be {cell.student}-{cell.recipe}")
    if not lines:
        student = parse_section(content, f"students.{cell.student}", StudentSettings)
        recipe = parse_section(content, f"recipes.{cell.recipe}", Recipe)
        try:
            cells[name] = student_params(student, recipe, seed)
        except ValidationError as error:
            lines = [f"cells.{name}: {detail['msg']}" for detail in error.errors(include_url=False)]
    return lines
