"""Archives: what is wanted comes out; what tries to escape is refused."""

import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipestill.errors import SourceError
from pipestill.sources import archive
from pipestill.sources.archive import extract_member


def tar_bytes(*members: tuple[str, bytes | None, bytes], mode: str = "w:gz") -> bytes:
    """(name, content, kind): None for content where the kind has none."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(content or b"")
            info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def file(name: str, content: bytes = b"hello") -> tuple[str, bytes, bytes]:
    return name, content, tarfile.REGTYPE


NOISE = random.Random(0).randbytes(99_999).hex().encode()


def damaged(content: bytes) -> bytes:
    """The archive with bytes in its middle that it was not written with."""
    middle = len(content) // 2
    return content[:middle] + random.Random(1).randbytes(20_000) + content[middle + 20_000 :]


def zip_bytes(compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("rows.txt", NOISE)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def write_zip(path: Path, **names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for content, name in names.items():
            archive.writestr(name, content)
    return path


def test_a_file_comes_out_of_a_tar_inside_a_tar(tmp_path: Path) -> None:
    inner = tar_bytes(file("deep/rows.txt"))
    outer = write(tmp_path / "sdist.tar.gz", tar_bytes(file("top/inner.tar.gz", inner)))
    extract_member(outer, "top/inner.tar.gz!deep/rows.txt", tmp_path / "out" / "rows.txt")
    assert (tmp_path / "out" / "rows.txt").read_bytes() == b"hello"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rows.txt"]


def test_a_file_comes_out_of_a_wheel(tmp_path: Path) -> None:
    extract_member(write_zip(tmp_path / "a.whl", hello="pkg/rows.txt"), "pkg/rows.txt", tmp_path / "rows.txt")
    assert (tmp_path / "rows.txt").read_bytes() == b"hello"


@pytest.mark.parametrize("name", ["/etc/cron.d/job", "../up.txt", "a/../../up.txt", "C:\\up.txt", "a\\..\\up.txt"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_with_a_name_that_escapes_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    if kind == "tar":
        write(path, tar_bytes(file("good.txt"), file(name)))
    else:
        write_zip(path, hello="good.txt", bad=name)
    with pytest.raises(SourceError, match="unsafe member name"):
        extract_member(path, "good.txt", tmp_path / "out.txt")
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_regular_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.gz", tar_bytes(("rows.txt", None, kind)))
    with pytest.raises(SourceError, match="link, a folder or a device"):
        extract_member(path, "rows.txt", tmp_path / "out.txt")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("rows.txt")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match="link, a folder or a device"):
        extract_member(tmp_path / "a.zip", "rows.txt", tmp_path / "out.txt")


def test_a_member_that_unpacks_to_too_much_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.gz", tar_bytes(file("rows.txt", b"0" * 5_000_000)))
    with pytest.raises(SourceError, match="too large"):
        extract_member(path, "rows.txt", tmp_path / "out.txt", max_bytes=1_000_000)
    assert not (tmp_path / "out.txt").exists()


def test_a_missing_member_is_an_error_that_shows_what_is_near(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.gz", tar_bytes(file("other/rows.txt")))
    with pytest.raises(SourceError, match=r"other/rows\.txt"):
        extract_member(path, "rows.txt", tmp_path / "out.txt")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        tar_bytes(file("rows.txt", b"x" * 9999))[:-30],
        damaged(tar_bytes(file("rows.txt", NOISE))),
        damaged(tar_bytes(file("rows.txt", NOISE), mode="w:xz")),
        damaged(tar_bytes(file("rows.txt", NOISE), mode="w:bz2")),
        damaged(zip_bytes(zipfile.ZIP_DEFLATED)),
        damaged(zip_bytes(zipfile.ZIP_LZMA)),
    ],
    # The bytes of a .gz hold the time, so they name no test.
    ids=["empty", "other", "cut short", "gz", "xz", "bz2", "deflated", "lzma"],
)
def test_a_broken_archive_is_an_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be unpacked"):
        extract_member(write(tmp_path / "a.tar.gz", content), "rows.txt", tmp_path / "out.txt")


def test_an_encrypted_member_is_an_error_that_says_so(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.whl", hello="pkg/rows.txt")
    content = bytearray(archive.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1  # the bit for encryption, in both headers
    archive.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.whl cannot be unpacked") as raised:
        extract_member(archive, "pkg/rows.txt", tmp_path / "rows.txt")
    assert "encrypted" in str(raised.value)


def tar_of_headers(*headers: tuple[bytes, int, bytes], path: str = "a.tar") -> bytes:
    """(kind, size that the header claims, what follows), then rows.txt."""
    written = b""
    for kind, size, content in headers:
        info = tarfile.TarInfo("big")
        info.type, info.size = kind, size
        written += info.tobuf(tarfile.GNU_FORMAT) + content
    return written + tar_bytes(file("rows.txt"), mode="w")


LYING = {
    "a pax size of 10^20": (tarfile.XHDTYPE, 29, b"29 size=100000000000000000000\n".ljust(512, b"\0")),
    "a long name of 2 GiB": (tarfile.GNUTYPE_LONGNAME, 2 << 30, b"x" * 5120),
    "a pax header of 2 GiB": (tarfile.XHDTYPE, 2 << 30, b"x" * 5120),
    "a member of 1 TiB": (tarfile.REGTYPE, 1 << 40, b""),
}


@pytest.mark.parametrize("case", LYING)
def test_a_tar_whose_headers_lie_about_sizes_is_refused_at_once(case: str, tmp_path: Path) -> None:
    kind, size, content = LYING[case]
    written = tar_of_headers((kind, size, content), *([(tarfile.REGTYPE, 0, b"")] if kind == tarfile.XHDTYPE else []))
    for name, compressed in (("a.tar", written), ("a.tar.gz", gzip.compress(written))):
        with pytest.raises(SourceError, match="cannot be unpacked"):
            extract_member(write(tmp_path / name, compressed), "rows.txt", tmp_path / "out.txt")


def test_a_tar_of_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = write(tmp_path / "a.tar.gz", tar_bytes(*(file(f"{number}.txt") for number in range(4))))
    with pytest.raises(SourceError, match=r"(?s)cannot be unpacked.*more than 3 members"):
        extract_member(path, "0.txt", tmp_path / "out.txt")


def test_a_tar_that_unpacks_to_too_much_before_the_wanted_member_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.tar.gz", tar_bytes(file("big", b"0" * 5_000_000), file("rows.txt")))
    extract_member(path, "rows.txt", tmp_path / "out.txt")
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 1_000_000)
    with pytest.raises(SourceError, match="cannot be unpacked"):
        extract_member(path, "rows.txt", tmp_path / "out.txt")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_member_that_says_it_is_too_large_is_refused_before_anything_is_written(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    if kind == "tar":
        write(path, tar_bytes(file("rows.txt", b"0" * 2000)))
    else:
        with zipfile.ZipFile(path, "w") as written:
            written.writestr("rows.txt", b"0" * 2000)
    (tmp_path / "out.txt").write_text("before")
    with pytest.raises(SourceError, match="too large"):
        extract_member(path, "rows.txt", tmp_path / "out.txt", max_bytes=1000)
    assert (tmp_path / "out.txt").read_text() == "before"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_of_a_tar_is_read(mode: str, tmp_path: Path) -> None:
    extract_member(write(tmp_path / "a", tar_bytes(file("rows.txt"), mode=mode)), "rows.txt", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == b"hello"


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_flipped_bit_of_an_archive_is_an_error_or_no_harm(kind: str, tmp_path: Path) -> None:
    whole = tar_bytes(file("rows.txt", NOISE)) if kind == "tar" else zip_bytes(zipfile.ZIP_DEFLATED)
    places = random.Random(kind)
    for _ in range(200):
        content, place = bytearray(whole), places.choice([*range(600), *range(len(whole) - 300, len(whole))])
        content[place] ^= 1 << places.randrange(8)
        try:
            extract_member(write(tmp_path / "a", bytes(content)), "rows.txt", tmp_path / "out.txt")
        except SourceError as error:
            assert error.what  # noqa: PT017 (either way is right)
