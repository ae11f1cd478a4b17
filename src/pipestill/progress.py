"""Progress of long work: a bar on a terminal, and occasional lines in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Never, TypeVar

from tqdm import tqdm

LINE_S = 20.0
"""Seconds between two lines of a log; shorter work prints nothing."""

Item = TypeVar("Item")


def shown(items: Iterable[Item], name: str, units: str, total: int | None = None) -> Iterator[Item]:
    """Yield items and show how many are done.

    Args:
        items: items to work through.
        name: name of the work.
        units: plural noun for the items.
        total: number of items; None for the items' own length, if they have one.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        yield from tqdm(items, desc=name, unit=f" {units}", leave=False, total=total)
        return
    of_total = "" if total is None else f" of {total}"
    last_line = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last_line >= LINE_S:
            last_line = now
            print(f"{name}: {done}{of_total} {units}", flush=True)
        yield item


@contextmanager
def advancing(total: int, name: str, units: str) -> Iterator[Callable[[int], None]]:
    """Show work that is done in batches of items: the bar moves, or a line is printed, with every batch.

    Args:
        total: number of all items.
        name: name of the work.
        units: plural noun for the items.

    Yields:
        A function to call with the number of items of each batch.
    """
    bar: tqdm[Never]
    with tqdm(total=total, desc=name, unit=f" {units}", disable=not sys.stderr.isatty()) as bar:
        done = 0

        def advance(num_items: int) -> None:
            nonlocal done
            done += num_items
            bar.update(num_items)
            if bar.disable:
                print(f"{name}: {done} of {total} {units}", flush=True)

        yield advance
