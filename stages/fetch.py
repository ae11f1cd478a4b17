"""Fetch the data set and the teacher base that params.yaml names, pinned and verified; or one more base."""

import argparse
from pathlib import Path

from pipestill.params import load_section
from pipestill.raw import RAW
from pipestill.sources.fetch import fetch_dataset, fetch_model
from pipestill.sources.params import FetchParams, MoreBaseParams
from pipestill.tracking import run_main, stage_run

BASE = Path("models/base")
MORE = Path("models/bases")


def main() -> None:
    """Fill data/raw and models/base, or the folder of one more base."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", nargs="?", help="a key of `more_bases` in params.yaml")
    name: str | None = parser.parse_args().base
    if name is None:
        fetch_all()
    else:
        fetch_base(name)


def fetch_all() -> None:
    """Fill data/raw and models/base."""
    params = load_section("fetch", FetchParams)
    with stage_run(params) as run:
        manifest = fetch_dataset(params.dataset, RAW)
        fetch_model(params.base, BASE)
        run.log_metrics(
            {
                "num_files": float(len(manifest.files)),
                "raw_size_bytes": float(sum(file.size_bytes for file in manifest.files)),
                "base_size_bytes": size_bytes(BASE),
            }
        )


def fetch_base(name: str) -> None:
    """Fill the folder of one more base."""
    params = load_section(f"more_bases.{name}", MoreBaseParams)
    with stage_run(params) as run:
        fetch_model(params.source, MORE / name)
        run.log_metrics({"base_size_bytes": size_bytes(MORE / name)})


def size_bytes(folder: Path) -> float:
    """Sum the bytes of the files in a folder."""
    return float(sum(path.stat().st_size for path in folder.iterdir()))


if __name__ == "__main__":
    run_main(main)
