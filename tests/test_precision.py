"""Which precision `auto` stands for, with the features of CPUs and GPUs faked."""

from typing import Any

import pytest

from pipestill import precision
from pipestill.environment import Environment
from pipestill.precision import Support, choose_precision, cpu_support

XEON_WITHOUT_BF16 = ("avx2", "avx512f", "avx512_vnni")
SAPPHIRE_RAPIDS = (*XEON_WITHOUT_BF16, "avx512_bf16", "amx_int8", "amx_bf16")
ZEN_4 = (*XEON_WITHOUT_BF16, "avx512_bf16")
GRAVITON_3 = ("asimddp", "i8mm", "bf16")


@pytest.fixture(autouse=True)
def _no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in precision.MAX_ISA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    precision._warn_of_emulation.cache_clear()


def fake_cpu(monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    machine: Any = Environment.model_construct(cpu_flags=flags)
    monkeypatch.setattr(precision, "read_environment", lambda: machine)


@pytest.mark.parametrize(
    ("flags", "used"),
    [
        ((), "float32"),
        (("avx2",), "float32"),
        (XEON_WITHOUT_BF16, "float32"),
        (SAPPHIRE_RAPIDS, "bfloat16"),
        (ZEN_4, "bfloat16"),
        (GRAVITON_3, "bfloat16"),
    ],
)
def test_auto_is_bf16_where_the_cpu_multiplies_it(
    flags: tuple[str, ...], used: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_cpu(monkeypatch, flags)
    choice = choose_precision("auto", "cpu")
    assert (choice.setting, choice.asked, choice.used) == ("precision", "auto", used)
    named = [flag for flag in precision.BFLOAT16_CPU_FLAGS if flag in flags] or ["none"]
    assert named[0] in choice.reason
    assert not capsys.readouterr().out


@pytest.mark.parametrize("limit", ["AVX512_CORE_VNNI", "avx2", "SSE41"])
def test_a_limit_of_onednn_hides_what_the_cpu_has(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cpu(monkeypatch, SAPPHIRE_RAPIDS)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    choice = choose_precision("auto", "cpu")
    assert choice.used == "float32"
    assert limit in choice.reason


@pytest.mark.parametrize("limit", ["DEFAULT", "AVX512_CORE_BF16", "AVX512_CORE_AMX", "avx10_1_512"])
def test_a_limit_that_leaves_bf16_in_changes_nothing(limit: str) -> None:
    assert cpu_support(SAPPHIRE_RAPIDS, limit).native


def test_an_explicit_bf16_is_obeyed_where_it_is_emulated_and_its_cost_is_printed_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_cpu(monkeypatch, XEON_WITHOUT_BF16)
    choices = [choose_precision("bfloat16", "cpu") for _ in range(3)]
    assert {choice.used for choice in choices} == {"bfloat16"}
    assert capsys.readouterr().out.count("2.4 times as long") == 1


def test_an_explicit_float32_is_obeyed_where_bf16_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cpu(monkeypatch, SAPPHIRE_RAPIDS)
    assert choose_precision("float32", "cpu").used == "float32"


@pytest.mark.parametrize(("capability", "used"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_a_gpu_multiplies_bf16_from_compute_capability_8_on(
    capability: tuple[int, int], used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: capability)
    choice = choose_precision("auto", "cuda")
    assert choice.used == used
    assert f"{capability[0]}.{capability[1]}" in choice.reason


def test_the_line_on_the_terminal_names_value_setting_and_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_support", lambda *_: Support(native=False, evidence="it is old"))
    assert str(choose_precision("auto", "cpu")) == "precision float32 (auto: it is old)"
