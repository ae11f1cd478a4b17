"""tools/setup_venv.py as a whole: pip from the registry, packages from an index on loopback whose downloads break off."""

import functools
import os
import random
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIG_BYTES = 1 << 20
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "example"
version = "1.0"
[tool.setuptools]
packages = []
"""

pytestmark = pytest.mark.timeout(600)


def save_wheel(folder: Path, name: str, num_bytes: int) -> None:
    """A wheel of one module, made longer by bytes that do not compress."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": b"VALUE = 1\n",
        f"{name}.bin": random.Random(0).randbytes(num_bytes),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, content)


class Index:
    """An index of the wheels in a folder.

    Attributes:
        broken: whether torch cannot be downloaded at all.
        requests: (path, Range) of every file that was asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = False
        self.requests: list[tuple[str, str]] = []

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a GET. Of a whole torch only half is sent: it takes a second request, for the rest."""
        kind, name = handler.path.strip("/").split("/")
        if kind == "simple":
            files = [path.name for path in self.folder.iterdir() if path.name.startswith(f"{name.replace('-', '_')}-")]
            self.answer(handler, 200, "".join(f'<a href="/files/{file}">{file}</a>' for file in files).encode())
            return
        asked = handler.headers.get("Range", "")
        self.requests.append((name, asked))
        content = (self.folder / name).read_bytes()
        if self.broken and name.startswith("torch"):
            self.answer(handler, 404, b"")
        elif start := re.match(r"bytes=(\d+)-", asked):
            first = int(start[1])
            self.answer(handler, 206, content[first:], f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.answer(handler, 200, content, sent=len(content) // 2 if name.startswith("torch") else len(content))

    def answer(
        self, handler: BaseHTTPRequestHandler, code: int, content: bytes, ranged: str = "", sent: int | None = None
    ) -> None:
        handler.send_response(code)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("ETag", '"1"')
        handler.send_header("Accept-Ranges", "bytes")
        if ranged:
            handler.send_header("Content-Range", ranged)
        handler.end_headers()
        handler.wfile.write(content[:sent])
        handler.close_connection = True


@contextmanager
def served(index: Index) -> Iterator[str]:
    """The address of an index, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.handle(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a lock of two packages beside pip and setuptools."""
    folder = tmp_path / "project"
    folder.mkdir()
    tools = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line.startswith(("pip=", "setuptools="))
    ]
    (folder / "requirements.lock").write_text(
        "\n".join(["small==1.0", "torch==1.0", 'other==1.0 ; python_version < "3"', *tools])
    )
    (folder / "pyproject.toml").write_text(PROJECT)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, *tools]
    subprocess.run(command, check=True)
    save_wheel(wheels, "small", 10)
    save_wheel(wheels, "torch", BIG_BYTES)
    return folder


def set_up(project: Path, address: str) -> subprocess.CompletedProcess[str]:
    configured = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment = configured | {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": address, "PIP_NO_CACHE_DIR": "1"}
    command = [sys.executable, ROOT / "tools/setup_venv.py", ".venv"]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_a_set_up_that_failed_goes_on_and_a_download_that_broke_off_is_resumed(project: Path, tmp_path: Path) -> None:
    index = Index(tmp_path / "wheels")
    with served(index) as address:
        again = functools.partial(set_up, project, address)
        index.broken = True
        failed = again()
        assert failed.returncode == 1
        assert "the end of .venv/pip.log:\n" in failed.stdout
        error = failed.stderr.splitlines()
        assert error[0] == "error: .venv could not be made: `pip install -r .venv/group.txt` failed"
        assert re.match(r"  found:    .*torch.*HTTP error 404", error[1])
        assert "\n  next:     run the same command again" in failed.stderr
        assert not (project / ".venv/ready").exists()

        index.broken, index.requests = False, []
        done = again()
        assert done.returncode == 0, done.stdout + done.stderr
        torch = [asked for name, asked in index.requests if name.startswith("torch")]
        assert torch[0] == ""
        assert re.fullmatch(r"bytes=\d+-", torch[1])
        assert int(torch[1][6:-1]) > BIG_BYTES // 3
        assert [name for name, _ in index.requests if name.startswith(("small", "pip"))] == []

        index.requests = []
        assert again().stdout == ""
        assert index.requests == []
    python = project / ".venv/bin/python"
    code = "import importlib.metadata as m, small, torch; print([m.version(n) for n in ('small', 'torch', 'example')])"
    assert (
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
        == "['1.0', '1.0', '1.0']\n"
    )
    assert list((project / ".venv").glob("lib/*/site-packages/__pycache__/torch.*.pyc")) != []
    assert "Progress " not in (project / ".venv/pip.log").read_text()


def test_an_environment_of_another_python_is_made_anew(project: Path, tmp_path: Path) -> None:
    stale = project / ".venv"
    (stale / "bin").mkdir(parents=True)
    (stale / "pyvenv.cfg").write_text("version = 3.9.1\n")
    (stale / "bin/python").symlink_to("/nowhere/python3.9")
    (stale / "ready").touch()
    with served(Index(tmp_path / "wheels")) as address:
        done = set_up(project, address)
    assert done.returncode == 0, done.stdout + done.stderr
    version = ".".join(map(str, sys.version_info[:3]))
    assert done.stdout.startswith(
        f"setting up .venv with Python {version} and 5 packages; pip's output goes to .venv/pip.log\n"
    )
    assert f"version = {version}\n" in (stale / "pyvenv.cfg").read_text()
