"""`pipestill verify`: the signed folder passes, every tampering is refused, offline and without any training code."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from pipestill.command import main
from pipestill.signing.envelope import PASSWORD, STATEMENT_TYPE, SignatureError, sign_statement
from pipestill.signing.folder import folder_statement, sha256_of_files

OTHER_TOOL = Path(__file__).with_name("of_model_signing")
"""A folder signed by `python -m model_signing sign key`, version 1.1.1."""


def save_keys(folder: Path, name: str, *, curve: ec.EllipticCurve | None = None, password: bytes | None = None) -> Path:
    """Write NAME.pem and NAME.pub, and return the private key's path."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    return save(folder, name, key, password)


def save(folder: Path, name: str, key: object, password: bytes | None = None) -> Path:
    closed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, pkcs8, closed))  # type: ignore[attr-defined]
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    (folder / f"{name}.pub").write_bytes(public)
    return folder / f"{name}.pem"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A folder `champion`, its signature beside it, and two pairs of keys."""
    folder = tmp_path / "champion"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "negative", "1": "positive"}}))
    (folder / "README.md").write_text("# a card")
    (folder / "onnx/model_quantized.onnx").write_bytes(bytes(range(256)) * 1000)
    key = save_keys(tmp_path, "key")
    save_keys(tmp_path, "other")
    (tmp_path / "model.sig").write_bytes(sign_statement(folder_statement("x", sha256_of_files(folder)), key))
    return folder


def verify(folder: Path, key: str = "key.pub", *more: str) -> int:
    return main(["verify", str(folder), "--key", str(folder.parent / key), *more])


def flip(folder: Path) -> None:
    path = folder / "onnx/model_quantized.onnx"
    content = bytearray(path.read_bytes())
    content[1234] ^= 1
    path.write_bytes(content)


def swap_labels(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "positive", "1": "negative"}}))


def remove(folder: Path) -> None:
    (folder / "README.md").unlink()


def add(folder: Path) -> None:
    (folder / "onnx/model.onnx").write_text("another")


def link(folder: Path) -> None:
    (folder / "README.md").rename(folder.parent / "moved")
    (folder / "README.md").symlink_to(folder.parent / "moved")


def sign_by_another(folder: Path) -> None:
    bundle = sign_statement(folder_statement("x", sha256_of_files(folder)), folder.parent / "other.pem")
    (folder.parent / "model.sig").write_bytes(bundle)


def rewrite_the_statement(folder: Path) -> None:
    """Change a file, and the statement with it, without the key."""
    flip(folder)
    ours = json.loads((folder.parent / "model.sig").read_text())
    sign_by_another(folder)
    forged = json.loads((folder.parent / "model.sig").read_text())
    ours["dsseEnvelope"]["payload"] = forged["dsseEnvelope"]["payload"]
    (folder.parent / "model.sig").write_text(json.dumps(ours))


def sign_something_else(folder: Path) -> None:
    statement = {"_type": STATEMENT_TYPE, "subject": [], "predicateType": "x", "predicate": {}}
    (folder.parent / "model.sig").write_bytes(sign_statement(statement, folder.parent / "key.pem"))


def scribble(folder: Path) -> None:
    (folder.parent / "model.sig").write_text('{"dsseEnvelope": []}')


def test_the_signed_folder_passes(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(released) == 0
    assert "3 files, signed with the private key of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (flip, "onnx/model_quantized.onnx was changed"),
        (swap_labels, "config.json was changed"),
        (remove, "README.md is missing"),
        (add, "onnx/model.onnx was added"),
        (sign_by_another, "was not signed with the private key"),
        (rewrite_the_statement, "was not signed with the private key"),
        (link, "is a link"),
        (sign_something_else, "does not list a folder's files"),
        (scribble, "is not a signature"),
        (shutil.rmtree, "is missing or empty"),
    ],
)
def test_every_tampering_is_refused(
    released: Path, capsys: pytest.CaptureFixture[str], tamper: Callable[[Path], None], said: str
) -> None:
    tamper(released)
    assert verify(released) == 1
    assert said in capsys.readouterr().err


def test_another_key_than_the_signer_s_is_refused(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(released, "other.pub") == 1
    assert "was not signed with the private key of" in capsys.readouterr().err


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_larger_curves_and_encrypted_keys_work(
    released: Path, monkeypatch: pytest.MonkeyPatch, curve: ec.EllipticCurve
) -> None:
    key = save_keys(released.parent, "large", curve=curve, password=b"a password")
    statement = folder_statement("x", sha256_of_files(released))
    with pytest.raises(SignatureError, match=PASSWORD):
        sign_statement(statement, key)
    monkeypatch.setenv(PASSWORD, "a password")
    (released.parent / "model.sig").write_bytes(sign_statement(statement, key))
    assert verify(released, "large.pub") == 0


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey.generate()])
def test_keys_of_another_kind_are_refused(released: Path, capsys: pytest.CaptureFixture[str], key: object) -> None:
    with pytest.raises(SignatureError, match=r"(?s)another kind.*P-256"):
        sign_statement({}, save(released.parent, "strange", key))
    assert verify(released, "strange.pub") == 1
    assert "another kind" in capsys.readouterr().err
    assert verify(released, "absent.pub") == 1
    (released.parent / "key.pub").write_text("no key")
    assert verify(released) == 1
    assert "is not a public key" in capsys.readouterr().err


def test_the_provenance_is_of_the_same_files_or_refused(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = released.parent / "provenance.sig"
    files = sha256_of_files(released)
    for subjects, code in ((files, 0), (files | {"README.md": "0" * 64}, 1)):
        listed = [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()]
        statement = {"_type": STATEMENT_TYPE, "subject": listed, "predicateType": "https://slsa.dev/provenance/v1"}
        path.write_bytes(sign_statement(statement, released.parent / "key.pem"))
        assert verify(released, "key.pub", "--provenance", str(path)) == code
    assert "the provenance of other files" in capsys.readouterr().err


def test_a_signature_of_model_signing_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OTHER_TOOL, tmp_path / "made")
    folder = tmp_path / "made/folder"
    assert verify(folder, "public.pem") == 0
    (folder / "config.json").write_text("{ }")
    assert verify(folder, "public.pem") == 1
    assert "config.json was changed" in capsys.readouterr().err


def test_verifying_needs_no_training_code_no_network_and_no_second(released: Path) -> None:
    code = """
import socket, sys
socket.socket = None
for name in ("torch", "transformers", "mlflow", "dvc", "onnxruntime", "tokenizers", "numpy", "pydantic"):
    sys.modules[name] = None
from pipestill.command import main
sys.exit(main())
"""
    command = [sys.executable, "-c", code, "verify", str(released), "--key", str(released.parent / "key.pub")]
    taken = []
    for _ in range(3):  # the machine may be busy with something else
        start_s = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.monotonic() - start_s)
    assert min(taken) < 1
