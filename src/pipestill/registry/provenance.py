"""The provenance of a release: an in-toto statement with a SLSA predicate, made from dvc.lock.

It names the released files, and everything that they were made of: the commit, each stage with its command and params,
and the md5 of all code lists, data, models and caches that the stages read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipestill.fingerprint import sha256_json
from pipestill.redaction import redacted
from pipestill.tracking.lock import Made

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:pipestill:dvc-pipeline:v1"
BUILDER = "urn:pipestill:make-release:v1"
CODE = "data/code/"
FOLDER = ".dir"


def provenance(
    files: Mapping[str, str],
    stages: Iterable[Made],
    artifact: str,
    *,
    source: Mapping[str, str],
    byproducts: Mapping[str, str],
) -> dict[str, Any]:
    """Make the statement.

    Args:
        files: SHA-256 of each released file by its path in the artifact's folder.
        stages: all stages in dvc.lock.
        artifact: path of the artifact's folder.
        source: `uri` and `commit` of the git repository.
        byproducts: SHA-256 of each file that is published beside the artifact, by name.

    Returns:
        The statement, as it is written to JSON.
    """
    made = makers(stages, artifact)
    key = sha256_json({stage.identity.stage: [stage.identity.key, stage.outs] for stage in made})
    steps = {stage.identity.stage: {"cmd": stage.identity.cmd, "key": stage.identity.key} for stage in made}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"artifact": artifact, "params": _params(made)},
                "internalParameters": {"stages": steps},
                "resolvedDependencies": [
                    {"uri": f"git+{redacted(source['uri'])}", "digest": {"gitCommit": source["commit"]}},
                    *(_dependency(path, md5) for path, md5 in _dependencies(made).items()),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {"invocationId": key},
                "byproducts": [{"name": name, "digest": {"sha256": digest}} for name, digest in byproducts.items()],
            },
        },
    }


def makers(stages: Iterable[Made], artifact: str) -> list[Made]:
    """Return the stages that an artifact was made by, directly or not, sorted by name."""
    by_out = {path: made for made in stages for path in made.outs}
    found: dict[str, Made] = {}
    todo = [artifact]
    while todo:
        made = _maker(by_out, todo.pop())
        if made is not None and made.identity.stage not in found:
            found[made.identity.stage] = made
            todo += made.identity.deps
    return [found[stage] for stage in sorted(found)]


def _maker(by_out: Mapping[str, Made], path: str) -> Made | None:
    """Return the stage whose out a path is, or lies in, or holds."""
    for out, made in by_out.items():
        if out == path or Path(out) in Path(path).parents or Path(path) in Path(out).parents:
            return made
    return None


def _params(made: Iterable[Made]) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for stage in made:
        for file, values in stage.identity.params.items():
            merged.setdefault(file, {}).update(values)
    return merged


def _dependencies(made: Iterable[Made]) -> dict[str, str]:
    return dict(sorted({path: md5 for stage in made for path, md5 in stage.identity.deps.items()}.items()))


def _dependency(path: str, md5: str) -> dict[str, Any]:
    """Describe a file or folder that a stage read; DVC's md5 of a folder is that of the list of its files."""
    algorithm = "dvcFolderMd5" if md5.endswith(FOLDER) else "md5"
    kind = {"annotations": {"kind": "code list"}} if path.startswith(CODE) else {}
    return {"name": path, "digest": {algorithm: md5.removesuffix(FOLDER)}, **kind}
