"""Time offline against online distillation: the same student, rows and steps, in turns, in one process.

Offline reads the teacher's logits from the cache; online runs the teacher in the loop. What differs is the teacher's
forward pass alone. Needs the outs of `dvc repro cache_logits`; writes nothing but scratch.

Usage: `python tools/compare_teachers.py [student] [--rows 2048] [--rounds 3]`
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from pipestill.data.schema import read_labels
from pipestill.data.tables import DEV, LABELS, TRANSFER, Rows, open_table, read_columns
from pipestill.environment import read_environment
from pipestill.logit_cache import LogitCache
from pipestill.logit_cache.card import CARD_FILE, CacheCard
from pipestill.params import load_section
from pipestill.records import read_record
from pipestill.teacher import load_classifier
from pipestill.training.distillation import TEACHER, build_student
from pipestill.training.material import Material
from pipestill.training.params import TrainingParams
from pipestill.training.rows import TrainingRows
from pipestill.training.signals import Signal
from pipestill.training.student_params import StudentParams
from pipestill.training.teachers import CachedTeacher, OnlineTeacher
from pipestill.training.trainer import Listener, train

CACHE = Path("data/logits")
SILENT = Listener(on_step=lambda _step, _loss, _rate: None, on_epoch=lambda _point: None)


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", nargs="?", default="bert_l3", help="a key of `students` in params.yaml")
    parser.add_argument("--rows", type=int, default=2048, help="rows of the transfer set, spread over it")
    parser.add_argument("--rounds", type=int, default=3, help="each round times both, in turns")
    arguments = parser.parse_args()
    params = load_section(f"students.{arguments.student}", StudentParams)
    once = params.training.model_copy(update={"epochs": 1})
    table = open_table(TRANSFER)
    table = table.select(range(0, len(table), max(1, len(table) // arguments.rows))).select(range(arguments.rows))
    labels = read_labels(LABELS)
    cache = LogitCache.open(CACHE, read_record(CACHE / CARD_FILE, CacheCard).identity)
    teacher = load_classifier(TEACHER)
    dev = read_columns(DEV)
    few = Rows(dev.content_ids[:1], dev.texts[:1], dev.label_ids[:1])  # scoring dev is no part of what is compared

    def timed(signal: Signal, training: TrainingParams) -> tuple[float, float]:
        with tempfile.TemporaryDirectory(dir=".scratch") as scratch:
            material = Material(labels=labels, table=table, dev=few, scratch=Path(scratch))
            student = build_student(params, material).classifier
            rows = TrainingRows(table, student.tokenizer, Path(scratch))
            start = time.perf_counter()
            train(
                name=type(signal).__name__,
                classifier=student,
                rows=rows,
                dev=few,
                objective=params.terms,
                signal=signal,
                params=training,
                seed=params.seed,
                scratch=Path(scratch),
                listener=SILENT,
            )
            seconds = time.perf_counter() - start
        return seconds, signal.seconds

    offline, online, shares = [], [], []
    for _ in range(arguments.rounds):
        offline.append(timed(CachedTeacher(cache, list(table["content_id"])), once)[0])
        seconds, teacher_seconds = timed(OnlineTeacher(teacher, once.precision), once)
        online.append(seconds)
        shares.append(teacher_seconds / seconds)
    ratios = [slow / fast for slow, fast in zip(online, offline, strict=True)]
    environment = read_environment()
    print(f"student {arguments.student}, {arguments.rows} rows, {arguments.rounds} rounds, on {environment.cpu_model}")
    print(f"offline {statistics.median(offline):.1f} s, online {statistics.median(online):.1f} s an epoch (medians)")
    print(f"online / offline {statistics.median(ratios):.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"the teacher's forward takes {statistics.median(shares):.0%} of an online epoch")


if __name__ == "__main__":
    main()
