"""Fetch the data set and the teacher base that params.yaml names, pinned and verified."""

from pathlib import Path

from pipestill.params import load_section
from pipestill.raw import RAW
from pipestill.sources.fetch import fetch_dataset, fetch_model
from pipestill.sources.params import FetchParams
from pipestill.tracking import run_main, stage_run

BASE = Path("models/base")


def main() -> None:
    """Fill data/raw and models/base."""
    params = load_section("fetch", FetchParams)
    with stage_run(params) as run:
        manifest = fetch_dataset(params.dataset, RAW)
        fetch_model(params.base, BASE)
        run.log_metrics(
            {
                "num_files": float(len(manifest.files)),
                "raw_size_bytes": float(sum(file.size_bytes for file in manifest.files)),
                "base_size_bytes": float(sum(path.stat().st_size for path in BASE.iterdir())),
            }
        )


if __name__ == "__main__":
    run_main(main)
