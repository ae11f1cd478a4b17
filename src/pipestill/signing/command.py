"""`pipestill verify FOLDER --key PUBLIC`: is this folder, byte for byte, the one that the owner of the key released?

Offline, and without any training code. FOLDER must hold exactly the signed files: a changed, missing or added one is
refused. With --provenance the statement about what the release was made of is verified too, and its files compared.

Exit codes: 0 it is; 1 it is not, or that cannot be found out; 2 wrong arguments.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import PipestillError

SIGNATURE = "model.sig"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see the module for the codes."""
    parser = argparse.ArgumentParser(
        prog="pipestill verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the artifact folder")
    parser.add_argument("--key", type=Path, required=True, metavar="PUBLIC", help="the publisher's public key, in PEM")
    parser.add_argument("--signature", type=Path, help=f"the bundle (default: {SIGNATURE} beside FOLDER)")
    parser.add_argument("--provenance", type=Path, help="the signed provenance, if it is to be verified too")
    parsed = parser.parse_args(arguments)
    folder = parsed.folder.resolve()
    try:
        num_files = verify(folder, parsed.key, parsed.signature or folder.parent / SIGNATURE, parsed.provenance)
    except PipestillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f'error: {error}\n  next:     run `pip install "pipestill[verify]"`', file=sys.stderr)
        return 1
    print(f"{parsed.folder}: {num_files} files, signed with the private key of {parsed.key}")
    return 0


def verify(folder: Path, public_key: Path, signature: Path, provenance: Path | None = None) -> int:
    """Verify a folder against its signature, and its provenance where one is given; return the number of files.

    Args:
        folder: folder of the artifact.
        public_key: path of the public key that the reader trusts.
        signature: path of the bundle over the folder.
        provenance: path of the bundle with the provenance.

    Raises:
        SignatureError: the folder is not the signed one.
    """
    from pipestill.signing.envelope import SignatureError, read_statement
    from pipestill.signing.folder import refuse_other_files, stated_files

    stated = stated_files(read_statement(signature, public_key))
    refuse_other_files(folder, stated)
    if provenance is not None:
        subjects = read_statement(provenance, public_key).get("subject", [])
        if {subject["name"]: subject["digest"]["sha256"] for subject in subjects} != dict(stated):
            raise SignatureError(f"{provenance} is the provenance of other files", found=f"{len(subjects)} files")
    return len(stated)
