"""The MLflow entities of one execution (tags, artifacts, data sets, models), for a live run and for a replayed one."""

import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from pipestill.choices import Choice
from pipestill.code.lists import is_code
from pipestill.environment import Environment
from pipestill.fingerprint import sha256_json
from pipestill.tracking.identity import StageIdentity
from pipestill.tracking.live import BATCH_SIZE, MAX_TAG_CHARS, batches, safe_name, shorten
from pipestill.tracking.run_record import DatasetInfo, ModelInfo
from pipestill.tracking.store import Store


def content_tags(
    identity: StageIdentity, execution_id: str, git_commit: str | None, git_dirty: bool | None, experiment: str | None
) -> dict[str, str]:
    """Return the tags that hold the hashes of a run's command, inputs and settings.

    Args:
        identity: command, inputs and settings of the execution.
        execution_id: id of this one execution.
        git_commit: the commit that was checked out: an ancestor of the commit that will hold the result.
        git_dirty: whether tracked files differed from that commit.
        experiment: the name of the DVC experiment, if it was one.
    """
    tags = {
        "dvc.stage": identity.stage,
        "dvc.key": identity.key,
        "dvc.execution": execution_id,
        "dvc.cmd": identity.cmd,
        "mlflow.source.name": identity.cmd,
        "mlflow.source.type": "JOB",
        **dep_tags(identity.deps),
    }
    if git_commit is not None:
        tags |= {"mlflow.source.git.commit": git_commit, "git.commit": git_commit, "git.dirty": str(git_dirty).lower()}
    if experiment is not None:
        tags["dvc.exp"] = experiment
    return tags


def dep_tags(deps: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of the inputs: a tag for each artifact, and one for all of the code.

    Fifty modules, a tag each, would hide the data and the models among them; the run record names each module.
    """
    code = {path: md5 for path, md5 in deps.items() if is_code(path)}
    tags = {f"dvc.dep/{path}": md5 for path, md5 in deps.items() if path not in code}
    return tags | {"dvc.code": sha256_json(code)} if code else tags


def process_tags() -> dict[str, str]:
    """Return the tags that name this process, from which sync sees whether the writer of a run still lives."""
    process = psutil.Process()
    return {
        "process.host": platform.node(),
        "process.id": str(process.pid),
        "process.started": f"{process.create_time():.2f}",
    }


def write_tags(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags on a run; names and values are fitted to mlflow's rules."""
    from mlflow.entities import RunTag

    entries = [RunTag(safe_name(key), shorten(value, MAX_TAG_CHARS)) for key, value in tags.items()]
    for batch in batches(entries, BATCH_SIZE):
        store.client.log_batch(run_id, tags=batch)


def write_outs(store: Store, run_id: str, outs: Mapping[str, str]) -> None:
    """Tag a run with the md5 of each of its outputs."""
    write_tags(store, run_id, {f"dvc.out/{path}": md5 for path, md5 in outs.items()})


def write_artifact(store: Store, run_id: str, name: str, content: bytes) -> None:
    """Put one file on a run's page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        parent = Path(name).parent.as_posix()
        store.client.log_artifact(run_id, str(path), None if parent == "." else parent)


def write_environment(store: Store, run_id: str, environment: Environment) -> None:
    """Put the machine and the software on a run's page."""
    write_artifact(store, run_id, "environment.json", environment.model_dump_json(indent=2).encode())


def write_choices(store: Store, run_id: str, choices: Sequence[Choice]) -> None:
    """Tag a run with its `auto` settings: `chosen.<setting>` holds the value used and the reason."""
    write_tags(store, run_id, {f"chosen.{choice.setting}": f"{choice.used} ({choice.reason})" for choice in choices})


def write_dataset(store: Store, run_id: str, dataset: DatasetInfo) -> None:
    """Add a data set to a run's inputs; the digest is DVC's md5, as in every DVC cache and remote."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"path": dataset.path, "md5": dataset.md5})
    entry = Dataset(name=dataset.name, digest=dataset.md5[:36], source_type="dvc", source=source)
    store.client.log_inputs(
        run_id, datasets=[DatasetInput(entry, tags=[InputTag("mlflow.data.context", dataset.context)])]
    )


def write_model(store: Store, run_id: str, model: ModelInfo) -> None:
    """Add a model to a run's outputs. It is external: DVC holds the weights, the tag says which."""
    from mlflow.entities import LoggedModelOutput

    tags = {"mlflow.model.isExternal": "true", "dvc.md5": model.md5, "dvc.path": model.path}
    name = "".join("-" if char in "/:.%\"'@" else char for char in model.name)
    created = store.client.create_logged_model(store.experiment_id, name=name, source_run_id=run_id, tags=tags)
    store.client.finalize_logged_model(created.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(created.model_id, step=0)])
