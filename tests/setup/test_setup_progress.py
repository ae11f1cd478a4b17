"""What is read from pip's lines, what is estimated from it, and what a log and a terminal show."""

import io
import itertools
import re

import pytest

from setup_progress import LINE_S, PipOutput, Watch, left_s, minutes, normalise, packages_done, split

COLLECTS = """\
Looking in indexes: https://index.example/simple
Collecting aiohttp-retry==2.9.1 (from -r requirements.lock (line 4))
  Downloading aiohttp_retry-2.9.1-py3-none-any.whl (10.0 kB)
Processing /wheels/annotated_types-0.8.0-py3-none-any.whl (from -r requirements.lock (line 10))
Requirement already satisfied: ruamel.yaml.clib==0.2.15 in ./lib (from -r requirements.lock (line 1))
Ignoring backports-zstd: markers 'python_version < "3.14"' don't match your environment
Collecting psycopg[binary]>=3 (from -r requirements.lock (line 7))
Collecting torch==2.13.0 (from -r requirements.lock (line 8))
  Downloading https://files.example/torch-2.13.0-cp311-cp311-linux_x86_64.whl (526.6 MB)
Progress 0 of 526600000
Progress 131650000 of 526600000
"""
UNPACKS = "Installing collected packages: annotated_types, torch, aiohttp_retry\n"


def read(text: str) -> PipOutput:
    pip = PipOutput()
    for line in text.splitlines():
        pip.read(line)
    return pip


def test_pip_s_lines_say_what_is_collected_ignored_and_downloaded() -> None:
    pip = read(COLLECTS)
    assert pip.collected == {"aiohttp_retry", "annotated_types", "ruamel_yaml_clib", "psycopg", "torch"}
    assert pip.ignored == {"backports_zstd"}
    assert pip.doing() == "downloading torch, 131.7 of 526.6 MB"


def test_a_download_that_is_over_is_no_longer_shown() -> None:
    assert read(f"{COLLECTS}Progress 526600000 of 526600000\n").doing() == ""
    assert read(f"{COLLECTS}Collecting vine==5.1.0 (from -r requirements.lock (line 9))\n").doing() == ""
    assert read(COLLECTS + UNPACKS).doing() == "unpacking 3"


def test_progress_stays_out_of_the_log_and_the_first_error_is_kept() -> None:
    pip = PipOutput()
    assert not pip.read("Progress 10 of 20")
    assert pip.read("ERROR: No matching distribution found for torch==2.13.0")
    assert pip.read("ERROR: something that follows from it")
    assert pip.problem == "No matching distribution found for torch==2.13.0"


def test_names_are_compared_as_pip_compares_them() -> None:
    assert normalise("Ruamel.YAML--clib") == "ruamel_yaml_clib"


def test_groups_keep_the_order_and_a_heavy_package_has_one_of_its_own() -> None:
    assert split(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert split(["a", "torch", "b"], 40) == [["a"], ["torch"], ["b"]]
    assert split([], 40) == []


def test_the_share_of_work_done_grows_with_what_is_found_downloaded_and_unpacked() -> None:
    pins = ["annotated_types", "torch", "vine"]
    steps = [
        packages_done(pins, set(), PipOutput()),
        packages_done(pins, set(), read("Processing /wheels/annotated_types-0.8.0-py3-none-any.whl\n")),
        packages_done(pins, set(), read(COLLECTS)),
        packages_done(pins, set(), read(f"{COLLECTS}Progress 400000000 of 526600000\n")),
        packages_done(pins, set(), read(f"{COLLECTS}Progress 526600000 of 526600000\n")),
        packages_done(pins, {"torch"}, read(COLLECTS)),
        packages_done(pins, set(pins), read(COLLECTS)),
    ]
    assert steps == sorted(steps)
    assert steps[0] == 0.0
    assert steps[2] == pytest.approx((0.6 + 0.6 * 40 / 4) / 42)  # a quarter of torch
    assert steps[-1] == 1.0
    assert packages_done([], set(), PipOutput()) == 1.0


def test_what_is_left_goes_by_the_pace_of_the_phase_and_the_usual_time_of_the_others() -> None:
    usual_s = {"packages": 60.0, "bytecode": 40.0}
    assert left_s(usual_s, "packages", 0.0, 0.0) == 100
    assert left_s(usual_s, "packages", 0.01, 30.0) == 70  # too little is done to go by
    assert left_s(usual_s, "packages", 0.0, 300.0) == 40
    assert left_s(usual_s, "packages", 0.25, 50.0) == 150 + 40
    assert left_s(usual_s, "bytecode", 0.5, 30.0) == 30


def test_seconds_are_written_as_minutes() -> None:
    assert [minutes(seconds) for seconds in (0, 59.9, 61, 600)] == ["0:00", "0:59", "1:01", "10:00"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watch(stream: io.StringIO, step_s: float) -> Watch:
    """A watch whose clock goes on by step_s whenever it is read."""
    ticks = itertools.count(0.0, step_s)
    return Watch({"packages": 60.0, "bytecode": 40.0}, stream, lambda: next(ticks))


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    log = io.StringIO()
    shown = watch(log, LINE_S / 2)
    for done in (1, 2, 3, 4):
        shown.show(done / 4, f"{done} of 4 installed")
    shown.begin("bytecode")
    shown.show(0.0)
    shown.close(".venv is set up")
    assert log.getvalue().splitlines() == [
        "[1/2] 0:10 so far, about 0:50 left: packages: 2 of 4 installed",
        "[1/2] 0:20 so far, about 0:40 left: packages: 4 of 4 installed",
        "[2/2] 0:30 so far, about 0:35 left: bytecode",
        ".venv is set up in 0:35",
    ]


def test_a_terminal_gets_one_line_that_moves_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    shown = watch(terminal, 1.0)
    shown.show(0.5, "1 of 2 installed")
    shown.show(1.0, "2 of 2 installed")
    shown.close(".venv is set up")
    lines = re.split(r"\r\x1b\[K", terminal.getvalue())
    assert lines[0] == ""
    assert lines[1] == "[1/2] 0:01 so far, about 0:41 left: pac"
    assert lines[3] == ".venv is set up in 0:03\n"
    assert [line for line in lines[:3] if "\n" in line] == []
