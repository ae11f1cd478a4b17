"""Standard streams as shells leave them: closed, full, or interrupted while the command starts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CODE = "import sys; from pipestill.predict.command import main; print('begun', file=sys.stderr); sys.exit(main())"


def shell(folder: Path, redirections: str, *arguments: str, stdin: str = "good\n\nbad\n") -> tuple[int, str, str]:
    """Run the command behind some redirections of a shell: its exit code and what arrives on both outputs."""
    inner = f'"$0" -c "$1" predict "${{@:2}}" {redirections}'
    code = CODE.replace("print('begun', file=sys.stderr); ", "")
    command = ["bash", "-c", inner, sys.executable, code, str(folder), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    return done.returncode, done.stdout, done.stderr


def test_a_closed_standard_error_leaves_the_answers_clean(artifact: Path) -> None:
    for redirection in ("2>&-", "2>/dev/full"):
        code, out, _ = shell(artifact, redirection)
        assert code == 3
        assert [json.loads(line)["line"] for line in out.splitlines()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        (">/dev/full", "the answers cannot be written\n  found:    [Errno 28]"),
        (">&-", "standard output is closed"),
        ("<&-", "standard input is closed"),
    ],
)
def test_a_stream_that_cannot_be_used_is_named(artifact: Path, redirection: str, message: str) -> None:
    for count in (1, 10_000):  # less and more than a buffer
        code, out, err = shell(artifact, redirection, stdin="good\n" * count)
        assert (code, out) == (1, "")
        assert message in err
        assert "Traceback" not in err
        assert "Exception ignored" not in err


def test_with_all_streams_closed_the_command_ends_in_code_1(artifact: Path) -> None:
    assert shell(artifact, "<&- >&- 2>&-")[0] == 1


def test_an_input_s_name_may_hold_any_bytes(artifact: Path, tmp_path: Path) -> None:
    names = [os.fsencode(tmp_path / name) for name in ("a.txt", os.fsdecode(b"\xff.txt"))]
    for name in names:
        Path(os.fsdecode(name)).write_text("good\n")
    command = [sys.executable, "-c", CODE, "predict", str(artifact), *names]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["yes", "yes"]


@pytest.mark.parametrize("option", ["--batch-size", "--threads", "--top-k"])
def test_a_number_without_sense_is_a_wrong_argument(artifact: Path, option: str) -> None:
    numbers = ["0", "-1", "ten", "1.5", "9" * 10_000, *(["1000000"] if option != "--top-k" else [])]
    for number in numbers:
        code, _, err = shell(artifact, "", option, number)
        assert code == 2
        assert f"argument {option}" in err
        assert "is not a whole number" in err


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.2, 0.3, 0.5])
def test_ctrl_c_while_the_command_starts_ends_it_with_code_130(artifact: Path, delay_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "predict", str(artifact)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no thread takes part)
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"begun\n"
    time.sleep(delay_s + 0.02)  # from the line to the handler
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_ctrl_c_inside_an_import_that_turns_it_into_another_error_ends_it_alike(artifact: Path, tmp_path: Path) -> None:
    """As modules written in C++ do; this one stands in for onnxruntime."""
    (tmp_path / "onnxruntime.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(9)\n"
        "except KeyboardInterrupt:\n"
        "    raise ImportError('initialization failed')\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{CODE}"
    command = [sys.executable, "-c", code, "predict", str(artifact)]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stderr) == (130, b"begun\n")


def test_help_needs_neither_numpy_nor_onnxruntime() -> None:
    code = "import sys\nsys.modules['numpy'] = sys.modules['onnxruntime'] = None\n" + CODE
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "--help"], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert b"--batch-size" in done.stdout
