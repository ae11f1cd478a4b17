"""The gate on a remote whose objects were changed."""

from pathlib import Path

import pytest

from release_projects import ROOT, Project, new_project

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("gate")
    project = new_project(folder, str(folder / "data"))
    (project.root / "dvc.yaml").write_text((project.root / "dvc.yaml").read_text().replace("artifacts:", OTHER))
    project.run("dvc", "repro", "-q")
    project.run("dvc", "push", "-q")
    return project


OTHER = """  other:
    cmd: echo other > other.txt
    outs: [other.txt]
artifacts:"""


def gate(project: Project, *arguments: str) -> tuple[int, str]:
    done = project.run("python", str(ROOT / "ci/gate.py"), *arguments, check=False)
    return done.returncode, done.stdout + done.stderr


def remote_object(project: Project, path: str) -> Path:
    """Find the object of the remote that holds the bytes of a file."""
    wanted = (project.root / path).read_bytes()
    objects = (project.root.parent / "data").rglob("*")
    return next(found for found in objects if found.is_file() and found.read_bytes() == wanted)


def write(path: Path, content: bytes) -> None:
    """Write an object and leave it read-only: one that can be written DVC verifies by itself."""
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def test_the_gate_refuses_a_changed_object_of_a_release_and_others_when_asked(pushed: Project) -> None:
    assert gate(pushed)[0] == 0
    folder = next(path for path in (pushed.root.parent / "data").rglob("*.dir"))
    for path in (remote_object(pushed, "models/champion/config.json"), remote_object(pushed, "other.txt"), folder):
        before = path.read_bytes()
        write(path, before[:-3] + bytes([before[-3] ^ 1]) + before[-2:])
        code, printed = gate(pushed)
        everything = gate(pushed, "--verify-all")
        write(path, before)
        assert everything[0] == 1
        assert "1 object(s) in the remote have other bytes than their md5 says" in everything[1]
        if before == b"other\n":
            assert code == 0, printed
        else:
            assert code == 1
            assert "models/champion" in printed
    assert gate(pushed, "--verify-all")[0] == 0


@pytest.mark.parametrize("scheme", ["http", "ssh"])
def test_a_remote_that_cannot_be_read_is_named_without_its_password(
    pushed: Project, tmp_path: Path, scheme: str
) -> None:
    other = pushed.copy(tmp_path)
    other.run("dvc", "remote", "modify", "shared", "url", f"{scheme}://user:secret@127.0.0.1:9/data")
    code, printed = gate(other)
    assert code == 1
    assert "gate: " in printed
    assert "secret" not in printed
    assert "Traceback" not in printed
