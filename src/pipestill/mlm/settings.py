"""The sections of pipelines/mlm/params.yaml, for the check of the whole file before the first stage."""

from pathlib import Path

from pipestill.mlm.params import MlmCacheParams, MlmDistillParams, MlmMasksParams, MlmTeacherParams
from pipestill.params_file import ParamsFile

PARAMS = Path("pipelines/mlm/params.yaml")
FILE = ParamsFile(
    path=PARAMS.as_posix(),
    docs="docs/mlm.md",
    sections={
        "mlm_masks": MlmMasksParams,
        "mlm_teacher": MlmTeacherParams,
        "mlm_cache": MlmCacheParams,
        "mlm_distill": MlmDistillParams,
    },
)
