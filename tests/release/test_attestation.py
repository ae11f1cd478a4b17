"""Provenance and bill of materials, from a lock and a list of packages made by hand."""

from pathlib import Path

from pipestill.registry.bill import bill_of_materials
from pipestill.registry.provenance import makers, provenance
from pipestill.tracking.identity import StageIdentity
from pipestill.tracking.lock import Made

FILES = {"config.json": "a" * 64, "onnx/model.onnx": "b" * 64}


def made(stage: str, deps: dict[str, str], outs: dict[str, str], **params: object) -> Made:
    identity = StageIdentity(stage=stage, cmd=f"python {stage}.py", deps=deps, params={"params.yaml": params})
    return Made(identity, outs, None)


STAGES = [
    made("fetch", {"data/code/fetch.json": "1" * 32}, {"data/raw": "2" * 32 + ".dir"}, fetch={"name": "x"}),
    made("cache", {"data/raw": "2" * 32 + ".dir"}, {"data/logits": "3" * 32 + ".dir"}),
    made("distill", {"data/logits": "3" * 32 + ".dir"}, {"models/onnx/a": "4" * 32 + ".dir"}, seed=1),
    made("package", {"models/onnx": "5" * 32 + ".dir"}, {"models/champion": "6" * 32 + ".dir"}),
    made("ablation", {"data/raw": "2" * 32 + ".dir"}, {"reports/ablation": "7" * 32}, other=2),
]


def test_the_stages_of_an_artifact_are_those_that_it_depends_on() -> None:
    found = [stage.identity.stage for stage in makers(STAGES, "models/champion")]
    assert found == ["cache", "distill", "fetch", "package"]


def test_the_provenance_names_code_params_data_and_cache() -> None:
    source = {"uri": "https://user:secret@host/repo.git", "commit": "c" * 40}
    statement = provenance(FILES, STAGES, "models/champion", source=source, byproducts={"bom.cdx.json": "d" * 64})
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][1] == {"name": "onnx/model.onnx", "digest": {"sha256": "b" * 64}}
    build = statement["predicate"]["buildDefinition"]
    assert build["externalParameters"]["params"] == {"params.yaml": {"fetch": {"name": "x"}, "seed": 1}}
    assert build["internalParameters"]["stages"]["distill"]["cmd"] == "python distill.py"
    git, *read = build["resolvedDependencies"]
    assert git == {"uri": "git+https://host/repo.git", "digest": {"gitCommit": "c" * 40}}
    named = {entry["name"]: entry for entry in read}
    assert named["data/code/fetch.json"]["digest"] == {"md5": "1" * 32}
    assert named["data/code/fetch.json"]["annotations"] == {"kind": "code list"}
    assert named["data/logits"]["digest"] == {"dvcFolderMd5": "3" * 32}
    details = statement["predicate"]["runDetails"]
    assert details["byproducts"] == [{"name": "bom.cdx.json", "digest": {"sha256": "d" * 64}}]
    assert "secret" not in str(statement)


def test_the_bill_lists_every_locked_package_and_every_file(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# a comment\n--index-url x\nnumpy==2.4.6 \\\n    --hash=sha256:ab\nruamel.yaml==0.19.1\n"
        'tomli==2.0 ; python_version < "3.11"\n'
    )
    bill = bill_of_materials("classifier", "v1.0.0", FILES, lock)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert [package["purl"] for package in bill["components"]] == [
        "pkg:pypi/numpy@2.4.6",
        "pkg:pypi/ruamel-yaml@0.19.1",
        "pkg:pypi/tomli@2.0",
    ]
    assert bill["components"][2]["properties"] == [{"name": "python:marker", "value": 'python_version < "3.11"'}]
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert bill == bill_of_materials("classifier", "v1.0.0", FILES, lock)
