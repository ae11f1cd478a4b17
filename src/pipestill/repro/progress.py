"""Progress of a pipeline: DVC's lines become numbered ones, with the time taken and, where known, the time left."""

from collections import Counter
from collections.abc import Collection, Mapping

from pipestill.reporting.walltimes import duration
from pipestill.repro.lines import is_left_out, read_event

WORDS = {"unchanged": "unchanged", "restored": "restored from the cache"}


class Progress:
    """Counter of the stages of one `dvc repro`. It does not read a clock: every call passes the time.

    Args:
        stages: stages of the pipeline; others that DVC names are added.
        last_s: duration of each stage's last run in seconds, where known.
    """

    def __init__(self, stages: Collection[str], last_s: Mapping[str, float]) -> None:
        self._stages = dict.fromkeys(stages)
        self._last_s = last_s
        self._outcomes: dict[str, str] = {}
        self._skipped: Counter[str] = Counter()
        self._running: str | None = None
        self._started_s = 0.0
        self._is_echo_due = False

    def advance(self, line: str, now_s: float) -> list[str]:
        """Process one line of `dvc repro`.

        Args:
            line: line without its newline.
            now_s: seconds since the start.

        Returns:
            The lines to show for it: a stage's own lines unchanged, DVC's numbered and shortened.
        """
        event = read_event(line)
        if event is None:
            is_echo = self._is_echo_due and line.startswith("> ")
            self._is_echo_due = self._is_echo_due and not is_echo and not line
            return [] if is_echo or is_left_out(line) else [line]
        shown = self._finish(now_s)
        if event.kind == "locked":
            return shown
        self._outcomes[event.stage] = event.kind
        self._stages.setdefault(event.stage)
        if event.kind != "running":
            self._skipped[event.kind] += 1
            return shown
        shown += self._flush_skipped(len(self._outcomes) - 1)
        self._running, self._started_s, self._is_echo_due = event.stage, now_s, True
        last_s = self._last_s.get(event.stage)
        last = "" if last_s is None else f" ({duration(last_s)} the last time)"
        return [*shown, f"{self._number()} {event.stage} ...{last}"]

    def end(self, code: int, now_s: float) -> list[str]:
        """Process the end of `dvc repro`.

        Args:
            code: exit code of `dvc repro`.
            now_s: seconds since the start.

        Returns:
            The lines to show for it, the last one a summary of all stages.
        """
        if code != 0 and self._running is not None:
            took = duration(now_s - self._started_s)
            return [f"{self._number()} {self._running} did not finish; it ran for {took}"]
        shown = self._finish(now_s)
        if code != 0:
            return [*shown, *self._flush_skipped(len(self._outcomes))]
        counts = Counter(self._outcomes.values())
        words = {"running": "run"} | WORDS
        parts = [f"{counts[kind]} {word}" for kind, word in words.items() if counts[kind]]
        return [*shown, f"{_stages(len(self._outcomes))} in {duration(now_s)}: {', '.join(parts) or 'nothing to do'}"]

    def _finish(self, now_s: float) -> list[str]:
        """Write the line on the stage that ran, if one did."""
        if self._running is None:
            return []
        took = f"{self._running} done in {duration(now_s - self._started_s)}"
        self._running = None
        left_s = self._left_s()
        left = f", at most {duration(left_s)} left by the last run" if left_s else ""
        return [f"{self._number()} {took}; {duration(now_s)} so far{left}"]

    def _left_s(self) -> float | None:
        """Sum the last durations of all stages to come, some of which may be skipped; None if one is unknown."""
        to_come = [self._last_s.get(stage) for stage in self._stages if stage not in self._outcomes]
        known = [seconds for seconds in to_come if seconds is not None]
        return sum(known) if len(known) == len(to_come) else None

    def _flush_skipped(self, done: int) -> list[str]:
        if not self._skipped:
            return []
        parts = [f"{_stages(self._skipped[kind])} {word}" for kind, word in WORDS.items() if self._skipped[kind]]
        self._skipped.clear()
        return [f"{self._number(done)} {', '.join(parts)}"]

    def _number(self, done: int | None = None) -> str:
        total = len(self._stages)
        return f"[{len(self._outcomes) if done is None else done:>{len(str(total))}}/{total}]"


def _stages(number: int) -> str:
    return f"{number} stage" if number == 1 else f"{number} stages"
