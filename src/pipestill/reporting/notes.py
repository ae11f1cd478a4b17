"""The words around the table: advice, the choice with its reasons, the rows and the machine behind the numbers."""

from pipestill.reporting.params import Constraints
from pipestill.reporting.summary import Summary
from pipestill.tasks import TASKS


def notes(summary: Summary) -> str:
    """Describe the rows, intervals and machine behind the full table, then the choice with its reasons."""
    basis = _basis(
        summary,
        "Agreement and retention: against the PyTorch teacher.",
        "`model ms`: its median without tokenisation. `vs PyTorch` and `vs int8`: how many times faster than those "
        "variants of the teacher.",
    )
    return "\n".join([*basis, "", *choice_lines(summary)]) + "\n"


def short_notes(summary: Summary) -> str:
    """Describe the rows, intervals and machine behind the short table; ends in a newline."""
    basis = _basis(
        summary,
        f"Retention: {TASKS[summary.task].primary.title} as a share of the PyTorch teacher's.",
        "`vs PyTorch`: how many times faster than the PyTorch teacher.",
    )
    return "\n".join(basis) + "\n"


def opening(summary: Summary) -> str:
    """Write the first lines of the report: any advice, an empty line, then the outcome."""
    return "\n\n".join([*summary.advice, choice(summary)])


def choice(summary: Summary) -> str:
    """Write the outcome in one line: the champion, or the nearest candidate and its missed constraints, or neither."""
    selection = summary.selection
    if selection.champion is not None:
        return f"Champion: `{selection.champion}`."
    if selection.packaged is None:
        return "No champion: there is no candidate."
    missed = ", ".join(f"`{constraint}`" for constraint in selection.missed)
    return f"No champion: the nearest candidate, `{selection.packaged}`, misses {missed}."


def choice_lines(summary: Summary) -> list[str]:
    """Write the choice with its limits, its confirmation on test, and the verdict on each other candidate."""
    selection = summary.selection
    limits = limits_in_words(selection.constraints)
    lines = [f"{choice(summary)[:-1]}; the constraints on dev are {limits}.", ""]
    if selection.champion is not None:
        word = "confirm" if selection.confirmed_on_test else "do not confirm"
        best = f"the best {selection.metric} on dev within the constraints ({limits})"
        lines = [f"Champion: `{selection.champion}`, {best}; the test rows {word} its retention.", ""]
    for verdict in selection.verdicts:
        if verdict.refused_because:
            nearest = ", the nearest," if verdict.subject == selection.packaged else ""
            lines.append(f"- `{verdict.subject}`{nearest} is refused: {'; '.join(verdict.refused_because)}.")
        elif verdict.subject != selection.champion:
            quality = f"{selection.metric} {verdict.dev_quality:.4f} on dev"
            lines.append(f"- `{verdict.subject}` meets the constraints too, with {quality}.")
    return lines


def limits_in_words(limits: Constraints) -> str:
    """Format the constraints that set a limit, to follow the word "within"."""
    words = (
        (limits.min_retention_lower, f"retention at least {limits.min_retention_lower:.1%} at the lower end"),
        (
            limits.min_speedup_over_int8_teacher,
            f"{limits.min_speedup_over_int8_teacher:g}x faster than the int8 teacher",
        ),
        (
            limits.min_speedup_over_torch_teacher,
            f"{limits.min_speedup_over_torch_teacher:g}x faster than the PyTorch teacher",
        ),
        (limits.min_size_ratio, f"{limits.min_size_ratio:g}x smaller than the PyTorch teacher"),
    )
    return ", ".join(word for limit, word in words if limit) or "none"


def hardware(summary: Summary) -> str:
    """Describe the machine: processor, cores, and the instructions that speed up int8 arithmetic."""
    machine = summary.environment
    flags = [flag for flag in machine.cpu_flags if "vnni" in flag or "int8" in flag]
    return f"{machine.cpu_model}, {_count(machine.num_cpus, 'core')}, {', '.join(flags) if flags else 'no VNNI'}"


def _basis(summary: Summary, reference: str, columns: str) -> list[str]:
    """Describe the rows and intervals behind the quality figures, and the machine behind any latencies.

    Args:
        summary: summary of the report.
        reference: sentence on the model that students are compared with.
        columns: sentences on the columns of latency.
    """
    quality = (
        f"{summary.num_test_rows:,} test rows, {summary.num_labels} labels. Brackets: {summary.confidence:.0%} "
        f"paired-bootstrap intervals ({summary.replicates:,} replicates). {reference}"
    )
    speed = next((row.speed for row in summary.rows if row.speed), None)
    if speed is None:
        return [quality]
    latency = (
        f"Latency of one call with {_count(speed.batch_size, 'row')} on {_count(speed.threads, 'thread')}, from text "
        f"to logits, on {hardware(summary)}. {columns}"
    )
    return [quality, latency]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
