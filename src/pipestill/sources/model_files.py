"""The files of a teacher base: weights in safetensors, config and tokenizer. Code and pickles are never taken."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from pipestill.sources.links import refuse_leaving

MODEL_FILES = (
    "added_tokens.json",
    "config.json",
    "model.safetensors",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""Files that are taken where a folder or repository has them."""
_SHOWN = 20


def copy_model_files(source: Path, target: Path, place: str, roots: Iterable[Path]) -> None:
    """Copy the files of a base, and print the names of all others in its folder.

    Args:
        source: folder of the base.
        target: folder to fill.
        place: folder or repository of the base, for messages.
        roots: folders that the files, links followed, have to lie in.

    Raises:
        SourceError: a file is a link to a file outside `roots`.
    """
    for name in MODEL_FILES:
        if (source / name).is_file():
            refuse_leaving(source / name, f"{place}/{name}", roots)
            shutil.copyfile(source / name, target / name)
    print_left_behind(place, (entry.name for entry in source.iterdir()))


def print_left_behind(place: str, names: Iterable[str]) -> None:
    """Print which files of a base are not taken.

    Args:
        place: folder or repository of the base.
        names: paths of all its files and folders, relative to it.
    """
    left = sorted(name if name.isprintable() else ascii(name) for name in set(names) - set(MODEL_FILES))
    if left:
        more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        print(
            f"fetch: left behind in {place}: {', '.join(left[:_SHOWN])}{more}. Of a base only weights in safetensors, "
            "config.json and tokenizer files are taken; its code is never run",
            flush=True,
        )
