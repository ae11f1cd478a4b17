"""The errors of pipestill: each names the thing, what was found, what was expected and the next step.

The tree::

    PipestillError
    |-- ParamsError          a section of params.yaml does not fit its specification
    |-- SourceError          a data set or model could not be fetched, verified or unpacked
    |-- DataError            the fetched rows cannot become a data set
    |-- CacheError           the logit cache cannot be used
    |   |-- StaleCacheError  it belongs to another teacher, tokenizer or set of rows
    |   `-- CorruptCacheError  a file of it is missing, truncated or changed
    |-- ModelError           a teacher or student cannot be built or loaded
    |-- ExportError          the logits of an exported file differ from its source's
    |   `-- GateError        a limit declared in params.yaml is not met
    |-- PredictError         an artifact or an input of `pipestill predict` is unusable
    `-- RecordError          a record on disk is missing or malformed
"""


class PipestillError(Exception):
    """An error that a user can act on.

    Args:
        what: the faulty thing, named so that the user can find it.
        found: the value or state that was found.
        expected: the value or state that was expected.
        next_step: the user's next step.
    """

    def __init__(
        self,
        what: str,
        *,
        found: object = None,
        expected: object = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.found = found
        self.expected = expected
        self.next_step = next_step
        lines = [what]
        if found is not None:
            lines.append(f"  found:    {found}")
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if next_step is not None:
            lines.append(f"  next:     {next_step}")
        super().__init__("\n".join(lines))


class ParamsError(PipestillError):
    """A section of params.yaml does not fit its specification."""


class SourceError(PipestillError):
    """A data set or model could not be fetched, verified or unpacked."""


class DataError(PipestillError):
    """The fetched rows cannot become a data set."""


class CacheError(PipestillError):
    """The logit cache cannot be used."""


class StaleCacheError(CacheError):
    """The logit cache belongs to another teacher, tokenizer or set of rows."""


class CorruptCacheError(CacheError):
    """A file of the logit cache is missing, truncated or changed."""


class ModelError(PipestillError):
    """A teacher or student cannot be built or loaded."""


class ExportError(PipestillError):
    """The logits of an exported file differ from those of its source."""


class GateError(ExportError):
    """An exported file misses a limit declared in params.yaml."""


class PredictError(PipestillError):
    """An artifact or an input of `pipestill predict` is unusable."""


class RecordError(PipestillError):
    """A record on disk is missing or malformed."""
