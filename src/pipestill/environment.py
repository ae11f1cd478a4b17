"""The environment of a measurement: machine and software, kept beside the numbers."""

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

from pipestill.records import Record
from pipestill.threads import num_threads

PACKAGES = (
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "dvc",
    "mlflow",
)
"""Distributions whose version can change a number."""

CPU_FLAGS = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16"),
    *("asimddp", "i8mm", "bf16"),
)
"""Instruction sets of x86 and Arm that affect the speed and exactness of int8 and bf16 arithmetic."""


class Environment(Record):
    """The machine and the software of one execution; `threads` is the number of threads of the stage."""

    python: str
    platform: str
    cpu_model: str
    cpu_flags: tuple[str, ...]
    num_cpus: int
    threads: int
    memory_bytes: int
    packages: dict[str, str]


@cache
def read_environment() -> Environment:
    """Describe this machine and the installed packages."""
    cpu_flags = _cpu_field("flags") or _cpu_field("Features") or ""  # x86's name of the field, and Arm's
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu_model=_cpu_field("model name") or platform.processor() or "unknown",
        cpu_flags=tuple(flag for flag in CPU_FLAGS if flag in cpu_flags.split()),
        num_cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=num_threads(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        packages={name: version for name in PACKAGES if (version := _version(name))},
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_field(name: str) -> str | None:
    """Read one field of the first processor in /proc/cpuinfo; None if the file or field is missing."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return None
    for line in path.read_text(encoding="utf-8").splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return None
