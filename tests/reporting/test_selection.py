from typing import Any

import pytest
from invented_records import ENVIRONMENT, REPORT, make_speed, make_speeds

from pipestill.errors import RecordError
from pipestill.metrics.records import EvaluateRecord
from pipestill.metrics.uncertainty import Estimate
from pipestill.reporting.params import Constraints, ReportParams
from pipestill.reporting.rows import ComparisonRow, Figures, compare
from pipestill.reporting.selection import choose_champion
from pipestill.reporting.summary import Summary, summarise


def make_row(
    model: str, *, dev: float = 0.9, test: float = 0.9, lower: float | None = 0.99, speedup: float | None = 20.0,
    over_int8: float = 2.0, variant: str = "onnx_int8", size_ratio: float = 8.0, test_lower: float = 0.99,
) -> ComparisonRow:  # fmt: skip
    def figures(quality: float, low: float | None) -> Figures:
        estimate = Estimate(value=quality, lower=quality, upper=quality)
        retention = None if low is None else Estimate(value=1, lower=low, upper=1)
        return Figures(
            primary_measure="accuracy",
            measures={"accuracy": estimate, "macro_f1": estimate},
            agreement=estimate,
            retention=retention,
        )

    speed = None
    if speedup is not None:
        speed = make_speed(9.8 / speedup, model=model, variant=variant, size_bytes=1)
        speed = speed.model_copy(update={"speedup_over_teacher_int8": over_int8})
    return ComparisonRow(
        model=model, variant=variant, dev=figures(dev, lower), test=figures(test, test_lower), size_bytes=1,
        size_ratio=size_ratio, speed=speed,
    )  # fmt: skip


def test_the_best_on_dev_wins_whatever_test_says() -> None:
    rows = [make_row("a", dev=0.90, test=0.99), make_row("b", dev=0.91, test=0.10)]
    assert choose_champion(rows, REPORT).champion == "b/onnx_int8"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lower": 0.9}, "lower end of retention on dev is 0.900, below 0.975"),
        ({"lower": None}, "lower end of retention on dev is unknown"),
        ({"over_int8": 1.294}, "speed-up over the int8 teacher is 1.29, below 1.3"),
        ({"over_int8": 1.2999}, "speed-up over the int8 teacher is 1.29, below 1.3"),
        ({"speedup": 9.98}, "speed-up over the PyTorch teacher is 9.9, below 10"),
        ({"size_ratio": 4.0}, "size ratio to the PyTorch teacher is 4.0, below 5"),
    ],
)
def test_a_better_candidate_that_misses_a_constraint_is_refused_with_the_reason(
    change: dict[str, Any], reason: str
) -> None:
    selection = choose_champion([make_row("a", dev=0.9), make_row("b", dev=0.95, **change)], REPORT)
    assert (selection.champion, selection.packaged, selection.missed) == ("a/onnx_int8", "a/onnx_int8", ())
    refused, fit = selection.verdicts
    assert refused.subject == "b/onnx_int8"
    assert refused.refused_because == (reason,)
    assert refused.shortfall > 0
    assert (fit.missed, fit.refused_because, fit.shortfall) == ((), (), 0)


def test_every_constraint_missed_is_named_by_its_key_in_params() -> None:
    verdict = choose_champion([make_row("a", lower=0.5, speedup=1, over_int8=1, size_ratio=1)], REPORT).verdicts[0]
    assert verdict.missed == tuple(Constraints.model_fields)
    assert len(verdict.refused_because) == 4
    assert verdict.shortfall == pytest.approx(0.475 / 0.975 + 0.3 / 1.3 + 0.9 + 0.8)


@pytest.mark.parametrize("speedup", [0.01, None])
def test_a_limit_of_zero_refuses_nobody(speedup: float | None) -> None:
    loose = REPORT.model_copy(update={"constraints": Constraints(**dict.fromkeys(Constraints.model_fields, 0))})
    row = make_row("a", lower=None, speedup=speedup, over_int8=0.01, size_ratio=0.01)
    assert choose_champion([row], loose).champion == "a/onnx_int8"


def test_what_was_not_timed_lacks_the_whole_of_both_speed_ups() -> None:
    verdict = choose_champion([make_row("a", speedup=None)], REPORT).verdicts[0]
    assert verdict.missed == ("min_speedup_over_int8_teacher", "min_speedup_over_torch_teacher")
    assert verdict.refused_because[0] == "speed-up over the int8 teacher is unknown"
    assert verdict.shortfall == 2


def test_without_a_fit_candidate_the_nearest_is_packaged_and_there_is_no_champion() -> None:
    rows = [
        make_row("best_on_dev", dev=0.95, lower=0.5),
        make_row("nearest", dev=0.8, size_ratio=4.5),
        make_row("misses_two_by_little", dev=0.9, size_ratio=4.7, over_int8=1.2),
    ]
    selection = choose_champion(rows, REPORT)
    assert selection.champion is None
    assert selection.confirmed_on_test is None
    assert (selection.packaged, selection.missed) == ("nearest/onnx_int8", ("min_size_ratio",))


def test_between_candidates_that_lack_equally_much_the_better_on_dev_is_the_nearest() -> None:
    rows = [make_row("worse", dev=0.8, size_ratio=4), make_row("better", dev=0.9, size_ratio=4)]
    assert choose_champion(rows, REPORT).packaged == "better/onnx_int8"


def test_without_candidates_nothing_is_packaged() -> None:
    selection = choose_champion([make_row("teacher")], REPORT)
    assert (selection.champion, selection.packaged, selection.missed) == (None, None, ())


def test_a_champion_that_test_does_not_confirm_stays_champion_and_says_so() -> None:
    selection = choose_champion([make_row("a", test_lower=0.9)], REPORT)
    assert selection.champion == "a/onnx_int8"
    assert selection.confirmed_on_test is False


def test_between_equals_the_faster_wins() -> None:
    rows = [make_row("slow", over_int8=1.4), make_row("fast", over_int8=3)]
    assert choose_champion(rows, REPORT).champion == "fast/onnx_int8"


def test_teacher_baseline_and_other_variants_are_no_candidates() -> None:
    rows = [make_row("teacher"), make_row("baseline", variant="linear"), make_row("a", variant="torch")]
    assert choose_champion(rows, REPORT).verdicts == ()


def test_macro_f1_can_be_the_metric() -> None:
    params = ReportParams.model_validate(REPORT.model_dump() | {"metric": "macro_f1", "variants": ["onnx_int8"]})
    assert choose_champion([make_row("a")], params).metric == "macro_f1"


def test_ratios_are_the_teachers_over_the_candidates(summary: Summary) -> None:
    row = next(row for row in summary.rows if row.subject == "bert_l3/onnx_int8")
    assert row.speedup_over_torch == pytest.approx(9.8 / 0.87)
    assert row.speedup_over_int8 == pytest.approx(2.1 / 0.87)
    assert row.size_ratio == pytest.approx(90.9 / 17.7)
    assert summary.champion == summary.packaged == row
    assert summary.missed == {}


def test_what_was_not_timed_has_no_speed(evaluations: list[EvaluateRecord]) -> None:
    rows = compare(evaluations, {})
    assert all(row.speed is None and row.speedup_over_torch is None for row in rows)
    assert all(row.size_bytes for row in rows)
    summary = summarise(evaluations, {}, ENVIRONMENT, REPORT)
    assert summary.champion is None
    assert summary.packaged is not None
    assert summary.missed["min_speedup_over_int8_teacher"] == 1.3


def test_a_file_timed_that_was_not_scored_is_refused(evaluations: list[EvaluateRecord]) -> None:
    other = make_speeds() | {"bert_l3/onnx_int8": make_speed(1, model="other", variant="x", size_bytes=1)}
    with pytest.raises(RecordError, match="timed as bert_l3/onnx_int8 differs from the one that was scored"):
        compare(evaluations, other)


def test_a_summary_is_read_back_as_it_was_written(summary: Summary) -> None:
    assert Summary.model_validate_json(summary.model_dump_json()) == summary
    assert {row.subject for row in summary.rows} >= set(make_speeds())
