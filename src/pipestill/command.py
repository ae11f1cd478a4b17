"""The program `pipestill`: `predict` runs an artifact, `verify` checks one against its signature."""

import sys
from collections.abc import Sequence

VERIFY = "verify"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; only its own modules are imported."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [VERIFY]:
        from pipestill.signing.command import main as verify

        return verify(given[1:])
    from pipestill.predict.command import main as predict

    return predict(given)
