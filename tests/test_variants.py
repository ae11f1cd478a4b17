"""The variants of a model: names, titles and files, from one module and from nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.exporter_models import EXPORTERS
from pipestill.errors import RecordError
from pipestill.variants import FP32, INT8, LINEAR, TORCH, exported_variants, onnx_variant, variant_named

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("src", "stages", "tools", "ci") for path in (ROOT / folder).rglob("*.py"))
OWNER = ROOT / "src/pipestill/variants.py"

ALL = (TORCH, LINEAR, *(exporter.variant for exporter in EXPORTERS))
LITERALS = {text for variant in ALL for text in (variant.name, variant.file, Path(variant.file).name, variant.title)}
LITERALS -= {"", *(text for one in (TORCH, LINEAR) for text in (one.name, one.title, one.file))}
"""Texts that only `variants` may hold; `torch`, `linear` and what goes with them mean other things too."""


def test_files_have_the_names_that_transformers_js_and_optimum_expect() -> None:
    assert [variant.file for variant in (FP32, INT8, onnx_variant("fp16"), onnx_variant("q4"))] == [
        "onnx/model.onnx",
        "onnx/model_quantized.onnx",
        "onnx/model_fp16.onnx",
        "onnx/model_q4.onnx",
    ]


def test_quantised_variants_are_those_whose_logits_may_depend_on_the_batch() -> None:
    floats = [onnx_variant(dtype).computes_in_floats for dtype in ("fp32", "fp16", "bf16", "int8", "q4", "uint8")]
    assert floats == [True, True, True, False, False, False]


@pytest.mark.parametrize("variant", ALL, ids=lambda variant: variant.name)
def test_a_variant_is_found_by_its_name(variant: object) -> None:
    assert variant_named(variant.name) == variant  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["onnx", "onnx_", "pytorch", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match=f"unknown variant: {name}"):
        variant_named(name)


def test_a_folder_s_variants_are_its_files_and_the_two_that_every_artifact_has(tmp_path: Path) -> None:
    assert exported_variants(tmp_path) == (FP32, INT8)
    (tmp_path / "onnx").mkdir()
    for file in ("model.onnx", "model_quantized.onnx", "model_q4.onnx", "model_fp16.onnx", "other.onnx"):
        (tmp_path / "onnx" / file).touch()
    assert exported_variants(tmp_path) == (FP32, onnx_variant("fp16"), onnx_variant("q4"), INT8)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The line and value of every text of a module, docstrings and the kinds of settings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "kind":
            left_out |= {*ast.walk(node.annotation)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_module_holds_a_variant_s_name_title_or_file(path: Path) -> None:
    found = [f"{line}: {text!r}" for line, text in texts(path) if any(literal in text for literal in LITERALS)]
    assert found == [] or path == OWNER


def test_the_search_finds_a_name_in_code_and_none_in_a_docstring(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""onnx_int8"""\nclass A:\n    kind: Literal["onnx_fp16"]\nX = f"a {X} onnx_int8/b"\n')
    found = [(line, text) for line, text in texts(module) if any(literal in text for literal in LITERALS)]
    assert found == [(4, " onnx_int8/b")]
