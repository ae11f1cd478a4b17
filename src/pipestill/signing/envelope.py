"""Signed statements: an in-toto statement in a DSSE envelope in a Sigstore bundle, signed with an elliptic-curve key.

The bundle is the one that the package `model-signing` writes and verifies with `sign key` and `verify key`.
"""

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipestill.errors import PipestillError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PASSWORD = "PIPESTILL_SIGNING_PASSWORD"  # noqa: S105 (the variable's name)
"""The variable that holds the password of an encrypted private key."""
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
KEYS = "an elliptic-curve key (P-256, P-384 or P-521) in PEM"


class SignatureError(PipestillError):
    """A signature cannot be made, or a folder or statement is not the signed one."""


def sign_statement(statement: dict[str, Any], private_key: Path) -> bytes:
    """Sign an in-toto statement and return the bundle as JSON.

    Args:
        statement: statement to sign.
        private_key: path of the private key, in PEM.

    Raises:
        SignatureError: the key cannot be used.
    """
    key = _read_private_key(private_key)
    payload = json.dumps(statement, indent=1).encode()
    signature = key.sign(_encoded(payload), _ecdsa(key.curve))
    bundle = {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": _hint(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode()


def read_statement(bundle: Path, public_key: Path) -> dict[str, Any]:
    """Verify a bundle's signature and return its statement; nothing of it is used before that.

    Args:
        bundle: path of the signature.
        public_key: path of the public key, in PEM, that the reader trusts.

    Raises:
        SignatureError: a file cannot be read, or another key or another statement was signed.
    """
    key = _read_public_key(public_key)
    try:
        envelope = json.loads(_read(bundle, "the signature"))["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        fits = envelope["payloadType"] == PAYLOAD_TYPE
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error) as error:
        raise SignatureError(f"{bundle} is not a signature", found=error, expected="a Sigstore bundle") from error
    try:
        key.verify(signature, _encoded(payload), _ecdsa(key.curve))
    except InvalidSignature:
        fits = False
    if not fits:
        raise SignatureError(
            f"{bundle} was not signed with the private key of {public_key}, or was changed",
            next_step="do not use what it stands for; ask the publisher for the public key, over another way",
        )
    statement = json.loads(payload)
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise SignatureError(f"{bundle} signs something else", expected=f"a statement of type {STATEMENT_TYPE}")
    return statement


def _encoded(payload: bytes) -> bytes:
    """Encode a payload and its type for signing (DSSE v1)."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _ecdsa(curve: ec.EllipticCurve) -> ec.ECDSA:
    return ec.ECDSA(_HASHES[curve.name])


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    password = os.environ.get(PASSWORD)
    try:
        key = serialization.load_pem_private_key(
            _read(path, "the private key"), password.encode() if password else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause is left out: a message about a key may quote it.
        raise SignatureError(
            f"{path} is not a private key that can be read",
            expected=f"{KEYS}; if it is encrypted, with its password in {PASSWORD}",
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise SignatureError(f"{path} holds a key of another kind", expected=KEYS)
    return key


def _read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(_read(path, "the public key"))
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureError(f"{path} is not a public key that can be read", expected=KEYS) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise SignatureError(f"{path} holds a key of another kind", expected=KEYS)
    return key


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignatureError(f"{what} cannot be read", found=error) from error
