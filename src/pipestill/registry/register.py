"""The registry: the report's champion as a version of the model `pipestill-<data>`, `challenger` or `champion`.

A version is `challenger` first and `champion` once it has passed the gate. Equal bytes are one version, however often
they are registered.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock

from pipestill.params import load_section
from pipestill.registry.candidate import ARTIFACTS, Candidate, read_candidate
from pipestill.registry.model_folder import ModelIds, model_folder
from pipestill.registry.params import RegisterParams
from pipestill.registry.promotion import compare, reasons_against
from pipestill.registry.releases import release_tags
from pipestill.tracking.live import MAX_TAG_CHARS, shorten
from pipestill.tracking.lock import Lock
from pipestill.tracking.pipeline_run import find_pipeline_run
from pipestill.tracking.scratch import SCRATCH
from pipestill.tracking.store import Store, open_store
from pipestill.tracking.sync import sync
from pipestill.tracking.writer import say

Standing = Literal["challenger", "champion"]
CHALLENGER: Standing = "challenger"
CHAMPION: Standing = "champion"
MAX_CARD_CHARS = 5000
"""Most characters of a version's description in mlflow's schema."""


class Registration(NamedTuple):
    """The outcome of a registration.

    Attributes:
        name: name of the registered model.
        version: version of the candidate.
        is_new: whether these bytes were registered for the first time.
        standing: alias that the version has now.
        refused_because: reasons why the gate refused it; empty if it passed or was not tried.
    """

    name: str
    version: str
    is_new: bool
    standing: Standing
    refused_because: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the outcome as lines to print."""
        known = "registered" if self.is_new else "registered already, byte for byte"
        lines = [f"{self.name} version {self.version}: {known}; it is {self.standing}"]
        return lines + [f"not champion: {reason}" for reason in self.refused_because]


def register(root: Path, *, promote: bool = True) -> Registration:
    """Register the report's champion, and make it champion of the registry if it passes the gate.

    The store is synced first, so that the version hangs on its pipeline run.

    Args:
        root: root of the repository.
        promote: try the gate; else the version stays challenger.

    Returns:
        The candidate's version, its alias, and the reasons of a refusal.

    Raises:
        RegistryError: the report has no champion, or files are missing.
        ParamsError: the section `register` is refused.
        StoreError: the store cannot be reached.
    """
    margin = load_section("register", RegisterParams, root / "params.yaml").max_dev_drop_fraction
    lock = Lock(root)
    candidate = read_candidate(lock)
    sync(root)
    store = open_store(lock.root, patient=True)
    name = model_name(candidate.data)
    with FileLock(lock.root / SCRATCH / "register.lock"):
        version, is_new = _version(store, lock, candidate, name)
        for tag, value in release_tags(lock).items():
            store.client.set_model_version_tag(name, version, tag, value)
    if _alias(store, name, CHAMPION) == version:
        return Registration(name, version, is_new, CHAMPION, ())
    store.client.set_registered_model_alias(name, CHALLENGER, version)
    refusals: tuple[str, ...] = ()
    if promote:
        refusals = _gate(store, lock, candidate, name, margin)
    if not promote or refusals:
        return Registration(name, version, is_new, CHALLENGER, refusals)
    store.client.set_registered_model_alias(name, CHAMPION, version)
    store.client.delete_registered_model_alias(name, CHALLENGER)
    return Registration(name, version, is_new, CHAMPION, ())


def model_name(data: str) -> str:
    """Return the name of a data set's registered model: `pipestill-<data>`, characters that mlflow refuses replaced."""
    return "pipestill-" + "".join(char if char.isalnum() or char in "._-" else "-" for char in data)


def _gate(store: Store, lock: Lock, candidate: Candidate, name: str, margin: float) -> tuple[str, ...]:
    present = _alias(store, name, CHAMPION)
    if present is None:
        return ()
    duel = compare(store, lock, candidate, store.client.get_model_version(name, present))
    return reasons_against(duel, candidate.metric, margin)


def _alias(store: Store, name: str, alias: str) -> str | None:
    """Return the version that has an alias."""
    found = store.client.get_registered_model(name).aliases.get(alias)
    return None if found is None else str(found)


def _version(store: Store, lock: Lock, candidate: Candidate, name: str) -> tuple[str, bool]:
    """Return the version of these bytes, and whether it had to be created."""
    _ensure_model(store, name, candidate.data)
    for version in store.client.search_model_versions(f"name = '{name}'"):
        if (version.tags.get("dvc.md5"), version.tags.get("file")) == (candidate.md5, candidate.file):
            return str(version.version), False
    return str(_create_version(store, lock, candidate, name).version), True


def _ensure_model(store: Store, name: str, data: str) -> None:
    if not store.client.search_registered_models(f"name = '{name}'"):
        store.client.create_registered_model(
            name,
            tags={"data": data},
            description=f"Classifiers distilled on {data}. `{CHAMPION}` passed the gate, `{CHALLENGER}` is the next.",
        )


def _create_version(store: Store, lock: Lock, candidate: Candidate, name: str) -> Any:  # noqa: ANN401 (mlflow's)
    from mlflow.entities import LoggedModelOutput

    client = store.client
    run_id = find_pipeline_run(store, lock).info.run_id
    own = {"dvc.md5": candidate.md5, "dvc.path": f"{ARTIFACTS}/{candidate.folder.name}", "file": candidate.file}
    tags = {key: shorten(value, MAX_TAG_CHARS) for key, value in (candidate.tags | own).items()}
    title = candidate.subject.replace("/", "-")
    model = client.create_logged_model(store.experiment_id, name=title, source_run_id=run_id, tags=tags)
    with model_folder(candidate.folder, candidate.file, ModelIds(model.model_id, run_id)) as folder:
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return client.create_model_version(
        name,
        source=f"models:/{model.model_id}",
        run_id=run_id,
        model_id=model.model_id,
        tags=tags,
        description=_card(candidate),
    )


def _card(candidate: Candidate) -> str:
    """Return the artifact's model card without its front matter."""
    text = (candidate.folder / "README.md").read_text(encoding="utf-8")
    body = text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text
    return shorten(body.strip(), MAX_CARD_CHARS)


def run_register(root: Path, *, promote: bool, tell: Callable[[str], None] = say) -> int:
    """Register, print the outcome, and return the exit code: 1 where the gate refused."""
    registration = register(root, promote=promote)
    for line in registration.lines():
        tell(line)
    return 1 if registration.refused_because else 0
