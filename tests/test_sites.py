"""Sites as they are written in params.yaml."""

import pytest

from pipestill.sites import Site


@pytest.mark.parametrize("text", ["hidden:0", "hidden:12", "query:1", "key:3", "value:6"])
def test_a_site_is_read_as_it_is_written(text: str) -> None:
    assert str(Site.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["hidden", "hidden:", "hidden:-1", "hidden:x", "query:0", "attention:1", "", ":1", "hidden:²"]
)
def test_what_is_no_site_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unknown site"):
        Site.parse(text)
