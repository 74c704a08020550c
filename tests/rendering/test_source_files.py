"""Archives are unpacked into their own folder or not at all, and files have one digest."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from rendering import source_files
from rendering.source_files import SourceRejected, files_digest, pack, unpack


def archive_of(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "made.tar.gz"
    with tarfile.open(path, mode="w:gz") as writer:
        for info in members:
            writer.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def file(name: str, size: int = 1) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([file("top/../../outside")], "outside the archive's folder"),
        ([file("/etc/outside")], "outside the archive's folder"),
        ([special("top/pipe", tarfile.FIFOTYPE)], "no file, folder or symbolic link"),
        ([special("top/device", tarfile.CHRTYPE)], "no file, folder or symbolic link"),
        ([special("top/hard", tarfile.LNKTYPE, "/etc/passwd")], "no file, folder or symbolic"),
        ([special("top/out", tarfile.SYMTYPE, "../../outside")], "leads out of the archive"),
        ([special("top/out", tarfile.SYMTYPE, "/etc")], "leads out of the archive"),
        ([file("top/a"), file("top/a")], "File exists"),
    ],
)
def test_a_member_that_belongs_elsewhere_is_refused(
    members: list[tarfile.TarInfo], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceRejected, match=f"made.tar.gz cannot be unpacked: .*{reason}"):
        unpack(archive_of(tmp_path, *members), [], tmp_path / "here")
    assert not (tmp_path / "outside").exists()


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    link = special("top/a", tarfile.SYMTYPE, "b")
    archive = archive_of(tmp_path, link, file("top/a/c"), file("top/b/d"))
    with pytest.raises(SourceRejected, match="cannot be unpacked"):
        unpack(archive, [], tmp_path / "here")
    assert not (tmp_path / "here" / "b" / "c").exists()


@pytest.mark.parametrize(
    "members",
    [
        [file("top/a", 600), file("top/code/b", 600)],
        [file(f"top/{number}", 0) for number in range(4)],
    ],
    ids=["large files", "many files"],
)
def test_an_archive_that_would_fill_the_disk_is_refused_before_it_is_unpacked(
    members: list[tarfile.TarInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "MOST_BYTES", 2000)
    with pytest.raises(SourceRejected, match="unpacks to more than"):
        unpack(archive_of(tmp_path, *members), ["a", "0"], tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_an_archive_with_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, file("top/a"), file(f"top/{'b' * (1 << 20)}"))
    with pytest.raises(SourceRejected, match="a header is longer than any file name needs"):
        unpack(archive, [], tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x1f\x8b\x08\x00cut off"])
def test_what_is_no_archive_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "made.tar.gz"
    path.write_bytes(content)
    with pytest.raises(SourceRejected, match=r"made\.tar\.gz cannot be unpacked"):
        unpack(path, [], tmp_path / "here")


def test_what_was_packed_unpacks_to_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "made" / "a").mkdir(parents=True)
    (tmp_path / "made" / "a" / "b").write_text("b")
    (tmp_path / "made" / "link").symlink_to("a/b")
    pack(tmp_path / "made", "top", tmp_path / "made.tar.gz")
    unpack(tmp_path / "made.tar.gz", [], tmp_path / "again")
    assert files_digest(tmp_path / "again") == files_digest(tmp_path / "made")


def test_the_digest_of_files_is_their_names_contents_and_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    digests = [files_digest(tmp_path)]
    (tmp_path / "a").write_text("2")
    digests.append(files_digest(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    digests.append(files_digest(tmp_path))
    (tmp_path / "c").symlink_to("b")
    digests.append(files_digest(tmp_path))
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to("a")
    digests.append(files_digest(tmp_path))
    assert len(set(digests)) == 5
