"""The record of an `auto` setting: the value used, and the reason for it."""

from pipestill.records import Record


class Choice(Record):
    """One setting: the value in params.yaml and the value used.

    Attributes:
        setting: the key in params.yaml, such as `precision`.
        asked: the value in params.yaml, such as `auto`.
        used: the value that the stage ran with.
        reason: the reason for that value, in a few words.
    """

    setting: str
    asked: str
    used: str
    reason: str

    def __str__(self) -> str:
        """Write the setting on one line for a terminal: `precision float32 (auto: ...)`."""
        return f"{self.setting} {self.used} ({self.asked}: {self.reason})"
