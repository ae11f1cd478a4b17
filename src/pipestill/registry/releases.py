"""The link between releases and the registry: a version's tags hold the md5 of models/champion and its release.

A release is gto's annotated tag on a commit, whose dvc.lock holds the artifact's md5. A registered version has the same
md5 in its tag `dvc.out/models/champion`.
"""

from pathlib import Path
from typing import Any

from pipestill.errors import PipestillError
from pipestill.redaction import redacted
from pipestill.registry.candidate import SUMMARY
from pipestill.tracking.faults import SQLITE, store_errors
from pipestill.tracking.identity import git_tags
from pipestill.tracking.lock import Lock
from pipestill.tracking.store import open_store, tracking_uri

CHAMPION_FOLDER = Path("models/champion")
CHOICE = SUMMARY.as_posix()
"""The output that names the champion; a folder made from another choice holds another champion."""
CONTENT_TAG = f"dvc.out/{CHAMPION_FOLDER.as_posix()}"
RELEASE_TAG = "release"
ARTIFACT = "classifier"
"""The artifact's name in dvc.yaml, and the first part of its releases' tags."""
ALIAS = "champion"
REGISTER = "run `make register`, which also notes the release"


def release_tags(lock: Lock) -> dict[str, str]:
    """Return the tags that link a version of the report's champion to its released folder.

    Args:
        lock: dvc.lock of the repository.

    Returns:
        The folder's md5, if `package` made it from the choice in the lock; the releases of HEAD, if HEAD holds this
        lock.
    """
    made, choice = lock.maker(CHAMPION_FOLDER), lock.outs().get(CHOICE)
    if made is None or choice is None or made.identity.deps.get(CHOICE) != choice:
        return {}
    tags = {CONTENT_TAG: made.outs[CHAMPION_FOLDER.as_posix()]}
    releases = git_tags(lock.root, f"{ARTIFACT}@*") if lock.is_committed() else ()
    return tags | ({RELEASE_TAG: " ".join(releases)} if releases else {})


def note_release(root: Path, release: str) -> tuple[str, bool]:
    """Tag the registry's version of a released folder with the release.

    Args:
        root: root of the repository, with the released commit checked out.
        release: tag of the release, such as `classifier@v1.2.0`.

    Returns:
        A line to print, and whether the released folder is the registry's champion.
    """
    uri = tracking_uri(root)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        return f"MLflow's registry has no champion, since there is no store here: {REGISTER}", False
    try:
        with store_errors(uri):
            lock = Lock(root)
            md5 = lock.outs()[CHAMPION_FOLDER.as_posix()]
            client = open_store(root, patient=True).client
            found = client.search_model_versions(f"tags.`{CONTENT_TAG}` = '{md5}'")
            if not found:
                return f"MLflow's registry does not know the released folder (md5 {md5}): {REGISTER}", False
            return _note(client, found[0], release)
    except PipestillError as error:
        return f"MLflow's registry could not be tagged with {release}: {redacted(error)}\n  next: {REGISTER}", False


def _note(client: Any, version: Any, release: str) -> tuple[str, bool]:  # noqa: ANN401 (mlflow has no types for us)
    releases = " ".join(dict.fromkeys([*version.tags.get(RELEASE_TAG, "").split(), release]))
    client.set_model_version_tag(version.name, version.version, RELEASE_TAG, releases)
    title = f"{version.name} version {version.version}"
    champion = client.get_registered_model(version.name).aliases.get(ALIAS)
    if str(champion) == str(version.version):
        return f"{release} is {title}, the registry's champion", True
    present = f"version {champion}" if champion is not None else "none"
    return (
        f"{release} is {title}, but the registry's champion is {present}: run `make register`, which compares them",
        False,
    )
