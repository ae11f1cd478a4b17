"""Average the logits of several teachers, and measure their agreement."""

import argparse
from pathlib import Path

from pipestill.logit_cache.ensemble import open_member, write_ensemble
from pipestill.logit_cache.params import EnsembleParams
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

CACHES = Path("data/more_logits")
TEACHER = "teacher"
TEACHER_CACHE = Path("data/logits")
ENSEMBLES = Path("data/ensembles")
RECORDS = Path("metrics/ensembles")


def main() -> None:
    """Read params, open the members' caches, write the ensemble's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ensemble", help="a key of `ensembles` in params.yaml")
    name: str = parser.parse_args().ensemble
    params = load_section(f"ensembles.{name}", EnsembleParams)
    with stage_run(params) as run:
        members = {
            member: open_member(TEACHER_CACHE if member == TEACHER else CACHES / member) for member in params.teachers
        }
        record = write_ensemble(
            members=members, weights=params.teachers, out=ENSEMBLES / name, scratch=run.scratch / "shards"
        )
        write_json(RECORDS / f"{name}.json", record)
        run.log_metrics(
            {f"agreement.{pair}".replace(" ", "_"): v for pair, v in record.agreement_between_members.items()}
        )
        run.log_metrics({f"agreement_with_ensemble.{who}": v for who, v in record.agreement_with_ensemble.items()})


if __name__ == "__main__":
    run_main(main)
