"""Validation of the whole pipelines/mlm/params.yaml, so that a mistake in any section shows before the first stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.errors import ParamsError
from pipestill.mlm.params import MlmCacheParams, MlmDistillParams, MlmMasksParams, MlmTeacherParams
from pipestill.params import refusals

PARAMS = Path("pipelines/mlm/params.yaml")
SECTIONS: dict[str, Any] = {
    "mlm_masks": MlmMasksParams,
    "mlm_teacher": MlmTeacherParams,
    "mlm_cache": MlmCacheParams,
    "mlm_distill": MlmDistillParams,
}
"""Sections of the file, one for each stage."""


def check_mlm_settings(content: Mapping[str, Any]) -> None:
    """Check every section.

    Args:
        content: top-level mapping of the file.

    Raises:
        ParamsError: one or more values are refused; the message lists all of them.
    """
    known = ", ".join(SECTIONS)
    lines = [f"{name}: no such section; the sections are {known}" for name in content if name not in SECTIONS]
    for section, kind in SECTIONS.items():
        lines += refusals(content, section, kind)
    if lines:
        raise ParamsError(
            f"{PARAMS}: {len(lines)} value(s) refused",
            found="".join(f"\n    {line}" for line in lines),
            next_step="correct the values named above; docs/mlm.md explains each",
        )
