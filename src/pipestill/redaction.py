"""Removal of credentials from text that is printed: user and password of an address, values of its query, tokens."""

import os
import re
import sys
from collections.abc import Mapping
from urllib.parse import unquote

MASK = "***"
MIN_CHARS = 6
"""Fewest characters of a secret that is searched for by itself: shorter ones occur in ordinary words."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://)([^\s'\"<>`]*)")
# With an unescaped `/` a password is not part of the host any more; a port in its place would be a number.
_USER = re.compile(r"[^/?#]*@|[^\[/:@]*:(?!\d*(?:[/?#]|$)).*@")
_VALUE = re.compile(r"(?<==)[^&#;,)]+")
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|SECRET_ACCESS_KEY|API_KEY)$")
_ADDRESS_NAME = re.compile(r"(URI|URL)$")


def redacted(text: object) -> str:
    """Return a text without credentials.

    In every address the user and the password are removed and the values of the query and the fragment masked. Secrets
    of the environment are masked wherever they stand: variables called `..._PASSWORD`, `..._TOKEN` and the like, and
    passwords in addresses called `..._URI` or `..._URL`.

    Args:
        text: message, or an exception that holds one.
    """
    cleaned = _ADDRESS.sub(_without_credentials, str(text))
    for secret in sorted(_secrets(os.environ), key=len, reverse=True):
        cleaned = cleaned.replace(secret, MASK)
    return cleaned


def print_error(error: object) -> None:
    """Print an error on standard error, without credentials."""
    print(f"error: {redacted(error)}", file=sys.stderr)


def _without_credentials(address: re.Match[str]) -> str:
    scheme, rest = address.groups()
    rest = _USER.sub("", rest, count=1) if _USER.match(rest) else rest
    place, mark, detail = _split(rest)
    return f"{scheme}{place}{mark}{_VALUE.sub(MASK, detail) if '=' in detail else MASK if detail else ''}"


def _split(rest: str) -> tuple[str, str, str]:
    """Split the end of an address at its query, or at its fragment where it has no query."""
    found = re.search(r"[?#]", rest)
    return (rest, "", "") if found is None else (rest[: found.start()], found[0], rest[found.end() :])


def _secrets(environment: Mapping[str, str]) -> set[str]:
    """Collect the secrets in environment variables."""
    found = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            found.add(value)
        elif _ADDRESS_NAME.search(name) and (user := _USER.match(value.partition("://")[2])):
            name_part, _, password = user[0].removesuffix("@").partition(":")
            found.add(password or name_part)
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if len(secret) >= MIN_CHARS}
