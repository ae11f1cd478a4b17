"""A release on real git and DVC remotes, of a small artifact made by hand; and its way to an empty folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill.command import main
from pipestill.fingerprint import sha256_files
from pipestill.reporting.mark import header_lines
from release_projects import ROOT, Project, get, new_project
from signing.test_verify import save_keys

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two releases of different files: 1.0.0, which is in production, and 1.1.0."""
    folder = tmp_path_factory.mktemp("release")
    project = new_project(folder, str(folder / "data"))
    project.release("release", "1.0.0", "--stage", "prod")
    (project.root / "made/README.md").write_text("# the second")
    project.run("dvc", "repro", "-q")
    project.commit("the second")
    save_keys(folder, "key")
    project.release("release", "v1.1.0", "--key", str(folder / "key.pem"))
    return project


def test_the_tags_are_annotated_and_at_the_remote(project: Project) -> None:
    assert project.remote_tags() == ["classifier#prod#1", "classifier@v1.0.0", "classifier@v1.1.0"]
    for tag in project.remote_tags():
        assert project.run("git", "--git-dir", project.origin, "cat-file", "-t", tag).stdout == "tag\n"


def test_each_revision_and_stage_gives_its_exact_bytes_and_they_run(project: Project, tmp_path: Path) -> None:
    first = get(project, tmp_path / "by-revision", "--rev", "v1.0.0")
    second = get(project, tmp_path / "newer", "--rev", "v1.1.0")
    in_production = get(project, tmp_path / "by-stage", "--stage", "prod")
    made = sha256_files(project.root / "made")
    assert sha256_files(second) == made
    assert sha256_files(first) == sha256_files(in_production)
    assert {name for name, digest in sha256_files(first).items() if digest != made[name]} == {"README.md"}
    code = "import sys; from pipestill.predict.command import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(in_production)]
    done = subprocess.run(command, input="good\n", capture_output=True, text=True, check=True)
    assert '"label": "yes"' in done.stdout


def test_a_signed_release_is_verified_and_an_unsigned_one_says_so(project: Project, tmp_path: Path) -> None:
    got = get(project, tmp_path / "got", "--rev", "v1.1.0")
    published = project.root / "releases/v1.1.0"
    assert sorted(path.name for path in published.iterdir()) == [
        "bom.cdx.json",
        "model.sig",
        "provenance.json",
        "provenance.sig",
    ]
    public = project.root.parent / "key.pub"
    command = ["verify", str(got), "--key", str(public), "--signature", str(published / "model.sig")]
    command += ["--provenance", str(published / "provenance.sig")]
    assert main(command) == 0
    older = get(project, tmp_path / "older", "--rev", "v1.0.0")
    assert main([*command[:1], str(older), *command[2:]]) == 1
    statement = json.loads((published / "provenance.json").read_text())
    assert {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]} == sha256_files(got)
    commit = project.run("git", "rev-parse", "classifier@v1.1.0^{commit}").stdout.strip()
    build = statement["predicate"]["buildDefinition"]
    assert build["resolvedDependencies"][0]["digest"] == {"gitCommit": commit}
    assert list(build["internalParameters"]["stages"]) == ["package"]
    unsigned = project.root / "releases/v1.0.0"
    assert sorted(path.name for path in unsigned.iterdir()) == ["bom.cdx.json", "provenance.json"]


def test_a_version_is_promoted_later_and_the_stage_then_gives_it(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    other.release("promote", "1.1.0", "prod")
    assert "classifier#prod#2" in other.remote_tags()
    assert sha256_files(get(other, tmp_path / "got", "--stage", "prod")) == sha256_files(project.root / "made")
    refused = other.release("promote", "3.0.0", "prod", check=False)
    assert refused.returncode == 1
    assert "classifier@v3.0.0 was never released\n  found:    classifier@v1.0.0, classifier@v1.1.0" in refused.stderr


def test_what_is_no_release_is_refused_and_leaves_no_tag(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    tags = other.run("git", "tag").stdout

    def refusal(version: str) -> str:
        done = other.release("release", version, check=False)
        assert done.returncode == 1
        assert other.run("git", "tag").stdout == tags
        assert other.remote_tags() == tags.split()
        return done.stderr

    assert "invalid version" in refusal("1.2")
    assert "classifier@v1.1.0 is taken" in refusal("1.1.0")
    (other.root / "made/config.json").write_text("{}")
    assert "the working tree differs from its commit" in refusal("2.0.0")
    other.commit("made anew, and the pipeline not run")
    assert "the gate does not pass" in refusal("2.0.0")
    card = other.root / "made/README.md"
    card.write_text("\n".join(["---", *header_lines({"min_size_ratio": 5.0}), "---", card.read_text()]))
    other.run("dvc", "repro", "-q")
    other.commit("the nearest candidate")
    refused = refusal("2.0.0")
    assert "models/champion holds the nearest candidate, not a champion" in refused
    assert "found:    it misses `min_size_ratio: 5`" in refused
    assert "next:     improve a student or change the constraint" in refused
    other.run("git", "revert", "--no-edit", "HEAD")
    shutil.rmtree(other.root / "made/onnx")
    other.run("dvc", "repro", "-q")
    other.commit("no model")
    assert "models/champion does not hold a model" in refusal("2.0.0")
    other.run("git", "revert", "--no-edit", "HEAD")
    other.run("dvc", "remote", "modify", "shared", "url", str(tmp_path / "file/that/is"))
    (tmp_path / "file").write_text("")
    other.run("git", "commit", "-qam", "a remote that cannot be")
    assert "no branch of origin holds the commit" in refusal("2.0.0")
    other.run("git", "push", "-q", "origin", "main")
    assert "the data could not be pushed" in refusal("2.0.0")


def test_a_release_with_a_key_that_cannot_be_used_leaves_no_tag_and_no_file(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    (other.root / "note").write_text("a commit of its own")
    other.commit("a note")
    done = other.release("release", "2.0.0", "--key", str(tmp_path / "absent.pem"), check=False)
    assert done.returncode == 1
    assert "the private key cannot be read" in done.stderr
    assert "classifier@v2.0.0" not in other.run("git", "tag").stdout
    assert not (other.root / "releases/v2.0.0").exists()


def test_a_tag_that_cannot_be_pushed_is_taken_back(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    (other.root / "note").write_text("a commit of its own")
    other.commit("a note")
    hook = Path(other.origin) / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not today; exit 1\n")
    hook.chmod(0o755)
    tags = other.run("git", "tag").stdout
    done = other.release("release", "2.0.0", "--stage", "prod", check=False)
    assert done.returncode == 1
    assert "not today" in done.stderr
    assert other.run("git", "tag").stdout == tags


def test_a_release_without_a_store_of_mlflow_says_so_and_make_calls_the_script(
    project: Project, tmp_path: Path
) -> None:
    other = project.copy(tmp_path)
    (other.root / "note").write_text("a commit of its own")
    other.commit("a note")
    done = other.release("release", "2.0.0")
    assert "pushed to origin: classifier@v2.0.0" in done.stdout
    assert "warning: the release is not signed" in done.stderr
    assert "warning: MLflow's registry has no champion" in done.stderr
    assert not (other.root / "mlflow.db").exists()
    recipe = other.run("make", "-n", "-C", str(ROOT), "release", "VERSION=2.0.0", "STAGE=prod").stdout
    assert 'python tools/release.py release "2.0.0" --stage prod' in recipe
