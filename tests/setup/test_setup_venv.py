"""The parts of a set-up that need no registry; tests/services/test_setup.py has the whole."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lock import with_markers
from setup_venv import USUAL_S, Setup, SetupError, is_usable, names_installed, read_lock, uncompiled

ROOT = Path(__file__).parents[2]


def test_a_lock_is_read_by_normalised_name_with_its_markers(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        '# a ==\nFlask==3.1 ; python_version < "3.12"\nFlask==3.2 ; python_version >= "3.12"\nzc.lock==4.0\n'
    )
    assert read_lock(lock) == {
        "flask": 'Flask==3.1 ; python_version < "3.12"\nFlask==3.2 ; python_version >= "3.12"',
        "zc_lock": "zc.lock==4.0",
    }


def test_installed_is_what_lies_there_in_the_pinned_version() -> None:
    pins = {
        "torch": "torch==2.13.0",
        "flask": 'Flask==3.1 ; python_version < "3.12"\nFlask==3.2',
        "zc_lock": "zc.lock==4.0",
    }
    folders = ["torch-2.13.0+cpu.dist-info", "zc.lock-4.0.dist-info", "flask-3.2.dist-info", "other-1.0.dist-info"]
    assert names_installed(folders, pins) == {"torch", "zc_lock", "flask"}
    assert names_installed(["torch-2.13.dist-info", "flask-3.1.dist-info", "zc_lock-4.0.1.dist-info"], pins) == {
        "flask"
    }


def test_files_to_compile_are_those_that_are_not_yet_and_that_somebody_loads(tmp_path: Path) -> None:
    for name in ("torch/a.py", "torch/b.py", "torch/tests/c.py", "transformers/models/whale/d.py", "torch/e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    compiled = Path(importlib.util.cache_from_source(str(tmp_path / "torch/b.py")))
    compiled.parent.mkdir()
    compiled.touch()
    assert list(uncompiled(tmp_path)) == [tmp_path / "torch/a.py"]


def test_an_environment_is_kept_only_with_the_same_python_and_with_pip(tmp_path: Path) -> None:
    version = sys.version_info[:2]
    assert is_usable(Path(sys.executable), version)
    assert not is_usable(Path(sys.executable), (version[0], version[1] + 1))
    assert not is_usable(tmp_path / "python", version)


def test_a_new_lock_keeps_markers_and_the_lines_for_other_pythons() -> None:
    old = [
        "# head",
        "same==1.0",
        'split==1.0 ; python_version < "3.0"',
        'split==1.1 ; python_version >= "3.0"',
        'elsewhere==2.0 ; sys_platform == "none"',
        'gone==1.0 ; python_version >= "3.0"',
    ]
    assert with_markers(old, {"same==1.2", "Split==1.5", "new==0.1"}) == {
        "same==1.2",
        'split==1.0 ; python_version < "3.0"',
        'Split==1.5 ; python_version >= "3.0"',
        'elsewhere==2.0 ; sys_platform == "none"',
        "new==0.1",
    }


def command(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return name


def find_python(folder: Path, *candidates: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    arguments = ["sh", ROOT / "tools/find_python.sh", *candidates]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)


def test_the_first_python_that_is_there_runs_and_fits_is_taken(tmp_path: Path) -> None:
    shim = command(tmp_path, "shim3.12", "echo 'shim3.12: command not found' >&2; exit 127")
    old = command(tmp_path, "old3.9", "echo 'Python 3.9.18' >&2; exit 1")
    good = command(tmp_path, "good", f'exec {sys.executable} "$@"')
    other = command(tmp_path, "other", f'exec {sys.executable} "$@"')
    done = find_python(tmp_path, "missing3.11", shim, old, good, other)
    assert (done.returncode, done.stdout, done.stderr) == (0, "good\n", "")


def test_where_no_python_fits_each_candidate_is_named_with_what_it_is(tmp_path: Path) -> None:
    shim = command(tmp_path, "shim3.12", "echo >&2; echo 'shim3.12: command not found' >&2; exit 127")
    silent = command(tmp_path, "silent", "exit 1")
    done = find_python(tmp_path, "missing3.11", shim, silent)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[:5] == [
        "error: no Python can make the environment",
        "  found:    missing3.11: no such command",
        "            shim3.12: shim3.12: command not found",
        "            silent: does not run",
        "  expected: Python 3.11, 3.12 or 3.13 with the module ensurepip, as one of these commands",
    ]
    assert "make setup PYTHON=" in done.stderr


@pytest.mark.parametrize(
    ("version", "modules", "reason"),
    [
        ((3, 10, 1), "venv", "Python 3.10.1"),
        ((3, 14, 0), "venv", "Python 3.14.0"),
        ((3, 12, 3), "none", "Python 3.12.3 without the module none"),
    ],
)
def test_a_python_is_refused_by_its_version_or_for_want_of_ensurepip(
    version: tuple[int, ...], modules: str, reason: str
) -> None:
    (code,) = re.findall(r"suitable='\n(.*?)'\n", (ROOT / "tools/find_python.sh").read_text(), re.DOTALL)
    code = code.replace("import sys", f"import sys; sys.version_info = {version}").replace("ensurepip, venv", modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{reason}\n")


def test_make_keeps_the_python_of_an_environment_and_asks_for_one_that_is_named(tmp_path: Path) -> None:
    def planned(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "MAKEFLAGS"}}
        made = ["make", "-n", "-C", str(ROOT), "setup", f"VENV={tmp_path}", *arguments]
        return subprocess.run(made, env=environment, capture_output=True, text=True, check=True).stdout

    assert "find_python.sh python3.11 python3.12 python3.13 python3)" in " ".join(planned().split())
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    assert f"find_python.sh {tmp_path}/bin/python python3.11 " in planned()
    (tmp_path / "ready").touch()
    assert "find_python" not in planned()
    assert "find_python.sh python3.12)" in planned("PYTHON=python3.12")


def test_a_failed_set_up_shows_the_log_without_credentials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = Setup(tmp_path, USUAL_S, append=False)
    setup.watch.begin("packages")
    setup.log_path.write_text("Looking in indexes: https://user:secret@host/simple\n")
    with pytest.raises(SetupError, match="`pip install x` failed"):
        setup.fail("pip install x", "exit code 1")
    setup._log.close()
    printed = capsys.readouterr().out
    assert "Looking in indexes: https://host/simple" in printed
    assert "secret" not in printed
