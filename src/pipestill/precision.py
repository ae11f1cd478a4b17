"""The arithmetic of matrix products: bf16 where the device computes it natively, fp32 elsewhere (decision 11).

`auto` is resolved on each machine, and a stage's key holds the word `auto`, not the precision used: outputs of another
machine are accepted. The stage's record holds the precision used.
"""

import os
from functools import cache
from typing import Literal, NamedTuple

from pipestill.choices import Choice
from pipestill.environment import read_environment

Precision = Literal["float32", "bfloat16"]
"""The arithmetic of matrix products; weights, logits and losses stay float32."""
PrecisionSetting = Literal["auto", "float32", "bfloat16"]
"""A precision in params.yaml. float16 is not allowed: its range is too small for training without loss scaling."""

BFLOAT16_CPU_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
"""Instruction sets that multiply bf16 numbers: Intel's and AMD's, and Arm's."""
MAX_ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Variables that limit the instruction set of oneDNN, which computes torch's products."""
BFLOAT16_ISA_MARKS = ("BF16", "FP16", "AMX", "AVX10", "DEFAULT", "ALL")
"""Parts of oneDNN's names of instruction sets with bf16 products."""
BFLOAT16_CAPABILITY = 8
"""CUDA's major compute capability from which tensor cores multiply bf16 (Ampere)."""
EMULATION_COST = "a training step takes about 2.4 times as long as in float32"
"""Cost of emulated bf16, measured with MiniLM-L6 on two cores of a Xeon without bf16 instructions."""


class PrecisionChoice(Choice):
    """The precision used, and the reason."""

    used: Precision


class Support(NamedTuple):
    """Native bf16 support of a device, with the evidence for it."""

    native: bool
    evidence: str


def choose_precision(asked: PrecisionSetting, device_type: str) -> PrecisionChoice:
    """Choose the precision for a device of this machine.

    An explicit bfloat16 is used everywhere; where the device emulates it, the cost is printed once.

    Args:
        asked: the value in params.yaml.
        device_type: `cpu` or `cuda`.
    """
    support = cuda_support() if device_type == "cuda" else cpu_support(read_environment().cpu_flags, _max_isa())
    if asked == "auto":
        used: Precision = "bfloat16" if support.native else "float32"
        return PrecisionChoice(setting="precision", asked=asked, used=used, reason=support.evidence)
    if asked == "bfloat16" and not support.native:
        _warn_of_emulation(support.evidence)
    return PrecisionChoice(setting="precision", asked=asked, used=asked, reason="set in params.yaml")


def cpu_support(cpu_flags: tuple[str, ...], max_isa: str | None) -> Support:
    """Find out whether a CPU multiplies bf16 numbers natively.

    Args:
        cpu_flags: instruction sets of the CPU, as named in `/proc/cpuinfo`.
        max_isa: largest instruction set that oneDNN may use; None without a limit.
    """
    found = [flag for flag in BFLOAT16_CPU_FLAGS if flag in cpu_flags]
    if not found:
        return Support(native=False, evidence=f"the CPU has none of {', '.join(BFLOAT16_CPU_FLAGS)}")
    if max_isa is not None and not any(mark in max_isa.upper() for mark in BFLOAT16_ISA_MARKS):
        return Support(native=False, evidence=f"{MAX_ISA_VARIABLES[0]}={max_isa} hides {found[0]}")
    return Support(native=True, evidence=f"the CPU has {found[0]}")


def cuda_support() -> Support:
    """Find out whether the GPU multiplies bf16 numbers natively."""
    import torch

    major, minor = torch.cuda.get_device_capability()
    evidence = f"the GPU has compute capability {major}.{minor}"
    return Support(native=major >= BFLOAT16_CAPABILITY, evidence=evidence)


def _max_isa() -> str | None:
    return next((os.environ[name] for name in MAX_ISA_VARIABLES if os.environ.get(name)), None)


@cache
def _warn_of_emulation(evidence: str) -> None:
    print(f"precision bfloat16 is emulated here ({evidence}): {EMULATION_COST}; `auto` uses float32", flush=True)
