"""How many threads the numeric libraries get, how they wait, and that they hear of it in time."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipestill import threads
from pipestill.code.closure import closure
from pipestill.code.tree import file_of
from pipestill.errors import ParamsError

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.chdir(ROOT)
    threads.num_threads.cache_clear()


@pytest.mark.parametrize(
    ("given", "set_to"),
    [
        ({"PIPESTILL_THREADS": "3"}, {"OMP_NUM_THREADS": "3", "GOMP_SPINCOUNT": threads.SPIN_COUNT}),
        ({"PIPESTILL_THREADS": "3", "OMP_NUM_THREADS": "8"}, {"OMP_NUM_THREADS": "3"}),
        ({"OMP_NUM_THREADS": "8"}, {"OMP_NUM_THREADS": "8"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"PIPESTILL_THREADS": "two"}, {"PIPESTILL_THREADS": "two"}),  # refused later, with words
    ],
)
def test_openmp_hears_of_threads_and_spinning_but_what_the_user_set_stays(
    given: dict[str, str], set_to: dict[str, str]
) -> None:
    environ = dict(given)
    threads.configure(environ)
    assert set_to.items() <= environ.items()
    if "OMP_WAIT_POLICY" in given:
        assert "GOMP_SPINCOUNT" not in environ
    if given.get(threads.VARIABLE) == "two":
        assert "OMP_NUM_THREADS" not in environ


def test_a_container_s_limit_counts_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cpu_count", lambda *, only_physical_cores: 5 if only_physical_cores else 10)
    assert threads.num_threads() == 5
    environ: dict[str, str] = {}
    threads.configure(environ)
    assert environ["OMP_NUM_THREADS"] == "5"


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused_with_what_to_do(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(threads.VARIABLE, value)
    with pytest.raises(ParamsError, match=f"(?s){threads.VARIABLE}.*{value}.*at least 1.*unset"):
        threads.num_threads()


def test_work_is_spread_over_as_many_threads_as_there_are_and_comes_back_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(threads.VARIABLE, "3")
    together = threading.Barrier(3, timeout=20)  # passes only when three calls run at once

    def wait_for_the_others(item: int) -> int:
        together.wait()
        return -item

    assert list(threads.spread(wait_for_the_others, range(6))) == [0, -1, -2, -3, -4, -5]


def test_only_a_window_of_calls_is_ahead_of_the_results_that_were_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.VARIABLE, "2")
    taken = 0
    ahead = []

    def items() -> Iterator[int]:
        for item in range(1_000):
            ahead.append(item - taken)
            yield item

    for expected, result in enumerate(threads.spread(lambda item: item, items())):
        assert result == expected
        taken += 1
    assert taken == 1_000
    assert threads.WINDOW <= max(ahead) <= 2 * threads.WINDOW


def test_an_error_comes_in_its_turn_and_starts_no_call_that_still_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.VARIABLE, "1")
    called = []
    go_on = threading.Event()

    def call(item: int) -> int:
        called.append(item)
        if item == 1:
            raise ValueError("the second item")
        if item == 2:
            assert go_on.wait(20)
        return item

    results = threads.spread(call, range(1_000))
    assert next(results) == 0
    threading.Timer(1, go_on.set).start()  # long after the error has come
    with pytest.raises(ValueError, match="the second item"):
        next(results)
    assert called == [0, 1, 2], "the third had begun"


def test_torch_computes_with_the_threads_that_the_variable_names() -> None:
    code = "import pipestill.threads, torch; print(torch.get_num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "PYTHONPATH": str(ROOT / "src"), threads.VARIABLE: "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"


COMPUTE_NOTHING = ("check", "ablation_check", "mlm_check", "ablation_table", "benchmark", "ablation_latency")
"""Stages that load torch and compute nothing with it: they parse params, read records, or time other processes."""


def loads_torch(stage: Path) -> bool:
    """Whether a stage's own code, or a module that it imports, imports torch when it is loaded."""
    files = {file_of(Path(path)) for path in (stage, *closure(stage))}
    return any(re.search(r"^(import|from) torch\b", path.read_text(), re.MULTILINE) for path in files)


@pytest.mark.parametrize("stage", sorted((ROOT / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_a_stage_that_computes_with_torch_imports_threads_first(stage: Path) -> None:
    relative = stage.relative_to(ROOT)
    first = next(line for line in relative.read_text().splitlines() if line.startswith(("import pipe", "from pipe")))
    computes = loads_torch(relative) and relative.stem not in COMPUTE_NOTHING
    assert first.startswith("import pipestill.threads") == computes, f"{relative} begins its imports with {first!r}"
