"""Release the artifact that dvc.yaml declares: data to the DVC remote, an annotated tag to the git remote.

python tools/release.py release 1.2.0                release the commit that is checked out
python tools/release.py release 1.2.0 --stage prod   and give it to a stage
python tools/release.py release 1.2.0 --key KEY.pem  and sign it
python tools/release.py promote 1.2.0 prod           give a stage to a version that was released before

Nothing is tagged unless the gate passes, and a tag that could not be pushed is taken back. The release's signature,
provenance and bill of materials are written to releases/VERSION, to be published with it. A release that is not signed,
or not the champion of MLflow's registry, is made with a warning. See docs/releases.md.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from pipestill.errors import PipestillError
from pipestill.redaction import print_error
from pipestill.registry.attestation import attest
from pipestill.registry.releases import ARTIFACT, note_release
from pipestill.reporting.mark import in_words, missed_constraints
from pipestill.signing.command import SIGNATURE

CARD = "README.md"
RELEASES = Path("releases")
"""The folder, which git ignores, of the files that are published with a release."""
NEEDED = ("config.json", "tokenizer.json", CARD)
GATE = Path(__file__).parents[1] / "ci/gate.py"
SEMVER = r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?"


class ReleaseError(PipestillError):
    """A version cannot be released."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command in the repository of the current folder, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--git-remote", default="origin", help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    release_command = commands.add_parser("release", help="release the commit that is checked out")
    release_command.add_argument("version", help="such as 1.2.0")
    release_command.add_argument("--stage", help="such as prod")
    release_command.add_argument("--key", type=Path, help="private key, in PEM, to sign the release with")
    promote_command = commands.add_parser("promote", help="give a stage to a released version")
    promote_command.add_argument("version")
    promote_command.add_argument("stage")
    parsed = parser.parse_args(arguments)
    try:
        version = checked_version(parsed.version)
        if parsed.command == "release":
            made = release(version, parsed.stage, parsed.git_remote, parsed.key)
        else:
            made = promote(version, parsed.stage, parsed.git_remote)
    except PipestillError as error:
        print_error(error)
        return 1
    print(f"pushed to {parsed.git_remote}: {', '.join(made)}")
    if parsed.command == "release":
        print_published(RELEASES / version)
        line, is_champion = note_release(Path.cwd(), f"{ARTIFACT}@{version}")
        print(line if is_champion else f"warning: {line}", file=sys.stdout if is_champion else sys.stderr)
    return 0


def checked_version(text: str) -> str:
    """Check a version, and return it with gto's `v`."""
    version = text.removeprefix("v")
    if not re.fullmatch(SEMVER, version):
        raise ReleaseError("invalid version", found=text, expected="MAJOR.MINOR.PATCH, such as 1.2.0")
    return f"v{version}"


def release(version: str, stage: str | None, remote: str, key: Path | None = None) -> list[str]:
    """Push the data, pass the gate, sign, tag and push the tags; the signatures are written to releases/VERSION.

    Returns:
        The tags.

    Raises:
        ReleaseError: a condition of a release is not met; nothing is tagged.
    """
    refuse_uncommitted()
    refuse_unpushed(remote)
    refuse_taken(f"{ARTIFACT}@{version}", remote)
    path = artifact_path()
    refuse_incomplete(path)
    refuse_marked(path)
    run("dvc", "push", failure="the data could not be pushed")
    run(sys.executable, str(GATE), failure="the gate does not pass")
    published = attest(Path.cwd(), path, version, remote=remote, key=key)
    made = tag_and_push(version, stage, remote, register=True)
    folder = RELEASES / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in published.items():
        (folder / name).write_bytes(content)
    return made


def print_published(folder: Path) -> None:
    """Print the files to publish with a release, and whether it is signed."""
    print(f"to publish with it: {', '.join(str(path) for path in sorted(folder.iterdir()))}")
    if not (folder / SIGNATURE).exists():
        print("warning: the release is not signed: `--key KEY.pem` (make: KEY=KEY.pem) signs it", file=sys.stderr)


def promote(version: str, stage: str, remote: str) -> list[str]:
    """Give a stage to a version that was released before, and push the tag for it."""
    run("git", "fetch", "--tags", "--quiet", remote, failure=f"the tags of {remote} could not be read")
    if not tags(f"{ARTIFACT}@{version}"):
        released = ", ".join(tags(f"{ARTIFACT}@*")) or "none"
        raise ReleaseError(f"{ARTIFACT}@{version} was never released", found=released, next_step="release it first")
    return tag_and_push(version, stage, remote, register=False)


def refuse_uncommitted() -> None:
    """Refuse a tree that differs from its commit: a tag names a commit."""
    changed = run("git", "status", "--porcelain", failure="the current folder is not a git repository")
    if changed:
        raise ReleaseError(
            "the working tree differs from its commit", found=changed, next_step="commit dvc.lock and the rest first"
        )


def refuse_unpushed(remote: str) -> None:
    """Refuse a commit that is not pushed: `dvc artifacts get` clones the remote's branches."""
    run("git", "fetch", "--quiet", remote, failure=f"{remote} cannot be reached")
    if not run("git", "branch", "--remotes", "--contains", "HEAD", failure="the repository does not have a commit"):
        raise ReleaseError(f"no branch of {remote} holds the commit", next_step=f"push its branch to {remote} first")


def refuse_taken(tag: str, remote: str) -> None:
    """Refuse a version that exists, here or at the remote."""
    there = run("git", "ls-remote", "--tags", remote, f"refs/tags/{tag}", failure=f"{remote} cannot be reached")
    if there or tags(tag):
        raise ReleaseError(f"{tag} is taken", found=there or "a local tag", next_step="choose the next version")


def artifact_path() -> str:
    """Read the artifact's path from dvc.yaml."""
    declared = YAML(typ="safe").load(Path("dvc.yaml")).get("artifacts", {})
    if ARTIFACT not in declared:
        raise ReleaseError(f"dvc.yaml does not declare the artifact {ARTIFACT}", found=list(declared))
    return str(declared[ARTIFACT]["path"])


def refuse_incomplete(path: str) -> None:
    """Refuse a folder without a model."""
    from dvc.api import DVCFileSystem

    fs = DVCFileSystem(".")  # reads dvc.lock and the cache: the files need not be checked out
    missing = [name for name in NEEDED if not fs.isfile(f"{path}/{name}")]
    if missing or not [name for name in fs.find(path) if name.endswith(".onnx")]:
        raise ReleaseError(
            f"{path} does not hold a model",
            found=f"without {', '.join([*missing, 'onnx/*.onnx'])}",
            next_step="run `dvc repro`; if the report has no candidate, the card in that folder names the reason",
        )


def refuse_marked(path: str) -> None:
    """Refuse a nearest candidate, whose card names the constraints that it misses."""
    from dvc.api import DVCFileSystem

    missed = missed_constraints(DVCFileSystem(".").read_text(f"{path}/{CARD}", encoding="utf-8"))
    if missed:
        raise ReleaseError(
            f"{path} holds the nearest candidate, not a champion",
            found=f"it misses {in_words(missed)}",
            expected="a student that meets every constraint in `report.constraints` of params.yaml",
            next_step="improve a student or change the constraint, then run `dvc repro` and commit dvc.lock",
        )


def tag_and_push(version: str, stage: str | None, remote: str, *, register: bool) -> list[str]:
    """Make the annotated tags with gto and push them all or none; those that were not pushed are deleted."""
    from gto import api
    from gto.exceptions import GTOException

    before = set(tags("*"))
    try:
        if register:
            api.register(".", ARTIFACT, "HEAD", version=version, message=f"{ARTIFACT} {version}")
        if stage:
            message = f"{ARTIFACT} {version} goes to {stage}"
            api.assign(".", ARTIFACT, stage, version=version, message=message, skip_registration=True)
        made = sorted(set(tags("*")) - before)
        refs = [f"refs/tags/{tag}" for tag in made]
        run("git", "push", "--quiet", "--atomic", remote, *refs, failure=f"the tags could not be pushed to {remote}")
    except BaseException as error:
        for tag in set(tags("*")) - before:
            run("git", "tag", "-d", tag, failure=f"the tag {tag} could not be deleted")
        if isinstance(error, GTOException):
            raise ReleaseError(f"gto did not make a tag for {ARTIFACT} {version}", found=error) from error
        raise
    return made


def tags(pattern: str) -> list[str]:
    """List the local tags that match a pattern."""
    return run("git", "tag", "--list", pattern, failure="the current folder is not a git repository").splitlines()


def run(*command: str, failure: str) -> str:
    """Run a command and return its output.

    Raises:
        ReleaseError: the command failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (git, dvc and the gate)
    if done.returncode != 0:
        raise ReleaseError(f"{failure}: `{' '.join(command)}`", found=(done.stdout + done.stderr).strip())
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
