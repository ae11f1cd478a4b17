"""Links in a source's folder: none leads to a file outside it."""

from collections.abc import Iterable
from pathlib import Path

from pipestill.errors import SourceError

_LINK_LOOP = (OSError, RuntimeError)
"""Exceptions for links in a circle: RuntimeError up to Python 3.12, OSError since."""


def refuse_leaving(path: Path, name: str, roots: Iterable[Path]) -> None:
    """Refuse a path that, links followed, lies in none of some folders.

    Args:
        path: file or folder.
        name: name of the path in messages.
        roots: folders of the source, links resolved.

    Raises:
        SourceError: the path is a link that leaves the folders, or leads in a circle.
    """
    try:
        target = path.resolve()
    except _LINK_LOOP as error:
        raise SourceError(f"{name} is a link that leads in a circle", found=error, expected="a file") from error
    if not any(target.is_relative_to(root) for root in roots):
        raise SourceError(
            f"{name} is a link that leaves its folder",
            found=target,
            expected="a file that the source holds itself",
            next_step="put the file itself in the link's place, or choose another source",
        )
