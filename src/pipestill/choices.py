"""A setting that params.yaml leaves to the program: the value used, and the reason."""

from pipestill.records import Record


class Choice(Record):
    """One setting, as it was asked for and as it was used.

    Attributes:
        setting: its name in params.yaml, such as `precision`.
        asked: the value in params.yaml, such as `auto`.
        used: the value that the stage ran with.
        reason: the ground for it, in a few words.
    """

    setting: str
    asked: str
    used: str
    reason: str

    def __str__(self) -> str:
        """One line for a terminal: `precision float32 (auto: ...)`."""
        return f"{self.setting} {self.used} ({self.asked}: {self.reason})"
