"""The section `benchmark` of params.yaml."""

from pydantic import Field

from pipestill.params import Section


class BenchmarkParams(Section):
    """Settings of timing.

    Attributes:
        num_rows: test rows timed one by one in each round: the first of the table, which is in the order of a hash.
        warmup_runs: untimed runs of a subject before each of its blocks; each row is also run once before all.
        rounds: rounds in which all subjects take turns.
        throughput_batch_size: rows of a batch when rows a second are measured.
        throughput_batches: timed batches of a subject in each round.
    """

    num_rows: int = Field(ge=1)
    warmup_runs: int = Field(ge=1)
    rounds: int = Field(ge=2)
    throughput_batch_size: int = Field(ge=2)
    throughput_batches: int = Field(ge=1)
