"""The `register` section of params.yaml."""

from pydantic import Field

from pipestill.params import Section


class RegisterParams(Section):
    """The rule by which a challenger becomes champion.

    `max_dev_drop_fraction` is how far its quality on dev may lie below that of the present champion, in the metric that
    the report chooses by: a smaller or faster file may cost a little quality.
    """

    max_dev_drop_fraction: float = Field(ge=0, le=1)
