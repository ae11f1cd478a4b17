"""Time offline against online distillation: the same student, rows and steps, in turns, in one process.

Offline reads the teacher's logits from the cache; online runs the teacher in the loop. They differ only in the
teacher's forward pass. Needs the outs of `dvc repro cache_logits`; writes only scratch files.

Usage: `python tools/compare_teachers.py [student] [--rows 2048] [--rounds 3]`
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from pipestill.data.tables import DEV, LABELS, TRANSFER, Rows, open_table, read_columns
from pipestill.environment import read_environment
from pipestill.records import read_record
from pipestill.student_files import settings_file
from pipestill.tasks.targets import read_labels
from pipestill.training.callbacks import Callbacks
from pipestill.training.classifier import train_classifier
from pipestill.training.distillation import LOGITS, TEACHER, build_student, signal_for
from pipestill.training.inputs import TrainingInputs
from pipestill.training.records import EpochPoint
from pipestill.training.student_params import StudentParams

SCRATCH = ".scratch"
SILENT: Callbacks[EpochPoint] = Callbacks(on_step=lambda _step, _loss, _rate: None, on_epoch=lambda _point: None)


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", nargs="?", default="bert_pruned", help="a key of `students` in params.yaml")
    parser.add_argument("--rows", type=int, default=2048, help="rows of the transfer set, spread over it")
    parser.add_argument("--rounds", type=int, default=3, help="each round times both, in turns")
    arguments = parser.parse_args()
    params = read_record(settings_file(arguments.student), StudentParams)
    if not params.asks_teacher:
        parser.error(f"{arguments.student} is trained without a teacher, so a comparison is not possible")
    params = params.model_copy(update={"training": params.training.model_copy(update={"epochs": 1})})
    table = open_table(TRANSFER)
    num_rows = min(arguments.rows, len(table))
    table = table.select(range(0, len(table), len(table) // num_rows)).select(range(num_rows))
    labels, dev = read_labels(LABELS), read_columns(DEV)
    few = Rows(dev.content_ids[:1], dev.texts[:1], dev.label_ids[:1])  # scoring dev is not part of the comparison
    Path(SCRATCH).mkdir(exist_ok=True)

    def timed(targets: Path) -> tuple[float, float]:
        """Measure the seconds of an epoch with one source of targets, and those spent on the targets."""
        with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
            inputs = TrainingInputs(labels=labels, table=table, dev=few, scratch=Path(scratch))
            student, _, _, old_ids = build_student(params, inputs)
            asked = params.model_copy(update={"targets": str(targets)})
            signal = signal_for(asked, student, inputs, old_ids)
            start = time.perf_counter()
            train_classifier(
                name=str(targets),
                classifier=student,
                inputs=inputs,
                objective=params.terms,
                signal=signal,
                settings=params.training,
                seed=params.seed,
                callbacks=SILENT,
            )
            return time.perf_counter() - start, signal.seconds

    offline, online, shares = [], [], []
    for _ in range(arguments.rounds):
        offline.append(timed(LOGITS)[0])
        seconds, teacher_seconds = timed(TEACHER)
        online.append(seconds)
        shares.append(teacher_seconds / seconds)
    ratios = [slow / fast for slow, fast in zip(online, offline, strict=True)]
    environment = read_environment()
    print(f"student {arguments.student}, {num_rows} rows, {arguments.rounds} rounds, on {environment.cpu_model}")
    print(f"offline {statistics.median(offline):.1f} s, online {statistics.median(online):.1f} s an epoch (medians)")
    print(f"online / offline {statistics.median(ratios):.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"the teacher's forward takes {statistics.median(shares):.0%} of an online epoch")


if __name__ == "__main__":
    main()
