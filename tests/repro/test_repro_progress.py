import pytest

from pipestill.repro.lines import Event, read_event
from pipestill.repro.progress import Progress

STAGES = ("check", "fetch", "prepare", "distill@a", "distill@b", "report")
LAST = {"check": 1.0, "fetch": 2.0, "prepare": 3.0, "distill@a": 192.0, "distill@b": 100.0, "report": 8.0}


def shown(progress: Progress, *lines: tuple[str, float]) -> list[str]:
    return [text for line, now_s in lines for text in progress.advance(line, now_s)]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("Running stage 'fetch':", Event("running", "fetch")),
        ("Running stage 'pipelines/mlm/dvc.yaml:mlm_cache':", Event("running", "mlm_cache")),
        ("Stage 'distill@a' didn't change, skipping", Event("unchanged", "distill@a")),
        ("'data/rows.dvc' didn't change, skipping", Event("unchanged", "data/rows.dvc")),
        ("Stage 'x' is cached - skipping run, checking out outputs", Event("restored", "x")),
        ("Updating lock file 'dvc.lock'", Event("locked", "dvc.lock")),
        ("teacher: step 10 of 492, epoch 0.04", None),
        ("a text says: Running stage 'fetch':", None),
    ],
)
def test_dvc_s_lines_are_read_as_it_writes_them(line: str, event: Event | None) -> None:
    assert read_event(line) == event


def test_a_whole_run_is_numbered_timed_and_summed_up() -> None:
    progress = Progress(STAGES, LAST)
    said = shown(
        progress,
        ("Stage 'check' didn't change, skipping", 1),
        ("Stage 'fetch' didn't change, skipping", 1),
        ("Stage 'prepare' is cached - skipping run, checking out outputs", 2),
        ("Updating lock file 'dvc.lock'", 2),
        ("", 2),
        ("Running stage 'distill@a':", 3),
        ("> python stages/distill.py a", 3),
        ("a: step 10 of 20", 100),
        ("> a line of the stage's own", 101),
        ("Updating lock file 'dvc.lock'", 195),
        ("Running stage 'distill@b':", 196),
        ("> python stages/distill.py b", 196),
        ("Running stage 'report':", 200),
        ("Updating lock file 'dvc.lock'", 208),
        ("To track the changes with git, run:", 208),
        ("\tgit add dvc.lock", 208),
        ("Use `dvc push` to send your updates to remote storage.", 209),
    )
    assert said == [
        "[3/6] 2 stages unchanged, 1 stage restored from the cache",
        "[4/6] distill@a ... (3 min 12 s the last time)",
        "a: step 10 of 20",
        "> a line of the stage's own",
        "[4/6] distill@a done in 3 min 12 s; 3 min 15 s so far, at most 1 min 48 s left by the last run",
        "[5/6] distill@b ... (1 min 40 s the last time)",
        "[5/6] distill@b done in 4.0 s; 3 min 20 s so far, at most 8.0 s left by the last run",
        "[6/6] report ... (8.0 s the last time)",
        "[6/6] report done in 8.0 s; 3 min 28 s so far",
    ]
    assert progress.end(0, 209) == ["6 stages in 3 min 29 s: 3 run, 2 unchanged, 1 restored from the cache"]


def test_without_the_time_of_every_stage_to_come_nothing_is_estimated() -> None:
    progress = Progress(STAGES, {name: seconds for name, seconds in LAST.items() if name != "report"})
    said = shown(progress, ("Running stage 'check':", 0), ("Updating lock file 'dvc.lock'", 5))
    assert said == ["[1/6] check ... (1.0 s the last time)", "[1/6] check done in 5.0 s; 5.0 s so far"]
    assert shown(Progress(STAGES, {}), ("Running stage 'check':", 0)) == ["[1/6] check ..."]


def test_a_run_of_nothing_is_one_line() -> None:
    progress = Progress(STAGES, LAST)
    assert shown(progress, *((f"Stage '{name}' didn't change, skipping", 1.0) for name in STAGES)) == []
    assert shown(progress, ("Data and pipelines are up to date.", 1.0)) == []
    assert progress.end(0, 1.5) == ["6 stages in 1.5 s: 6 unchanged"]


def test_a_stage_that_fails_is_named_and_none_is_called_done() -> None:
    progress = Progress(STAGES, LAST)
    shown(progress, ("Running stage 'check':", 0), ("ValueError: no good", 3))
    assert progress.end(255, 4) == ["[1/6] check did not finish; it ran for 4.0 s"]
    assert Progress((), {}).end(255, 1) == []


def test_a_stage_of_another_pipeline_is_added_to_the_total() -> None:
    progress = Progress(("check", "report"), {})
    said = shown(progress, ("Running stage 'pipelines/mlm/dvc.yaml:mlm_distill':", 0))
    assert said == ["[1/3] mlm_distill ..."]


def test_numbers_stand_below_each_other() -> None:
    progress = Progress([f"stage_{number}" for number in range(23)], {})
    assert shown(progress, ("Running stage 'stage_0':", 0)) == ["[ 1/23] stage_0 ..."]
