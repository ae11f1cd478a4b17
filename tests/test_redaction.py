import pytest

from pipestill.redaction import print_error, redacted


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("http://user:secret@host", "http://host"),
        ("at http://user:secret@host:5000/api, then", "at http://host:5000/api, then"),
        ("http://user:p@ss@host/a@b", "http://host/a@b"),
        ("http://user:se/cret@host", "http://host"),
        ("https://ghp_token@host/repo.git", "https://host/repo.git"),
        ("postgresql+psycopg://u:secret@[::1]:5432/db", "postgresql+psycopg://[::1]:5432/db"),
        ("http://host/?token=abc&key=d%20e", "http://host/?token=***&key=***"),
        ("'http://host/x?abc'", "'http://host/x?***'"),
        ("http://host/#access_token=abc", "http://host/#access_token=***"),
        ("s3://bucket/path", "s3://bucket/path"),
        ("git+https://host:443/repo@v1", "git+https://host:443/repo@v1"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("a text without any: x@y.z", "a text without any: x@y.z"),
    ],
)
def test_credentials_of_an_address_are_removed_and_the_rest_is_kept(text: str, cleaned: str) -> None:
    assert redacted(text) == cleaned


def test_secrets_of_the_environment_are_masked_wherever_they_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k3yk3y")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:se%63ret@host")
    monkeypatch.setenv("USE_OF_TOKEN", "port")
    print_error(ValueError("nonnumeric port: 'se%63ret@host'; secret; t0ken1; k3yk3y"))
    assert capsys.readouterr().err == "error: nonnumeric port: '***@host'; ***; ***; ***\n"
