"""A machine whose disk is full or whose cache is unusable is told in one sentence."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rendering import checkout
from rendering.cache import CACHE, cache_folder
from rendering.machine_faults import MachineFault, machine_faults_reported, sentence_of
from rendering.source_files import files_digest, pack, unpack
from tests.rendering.conftest import TinyProject

ABSOLUTE = f"name another folder by its absolute path in {CACHE}"


@contextmanager
def no_file_over(size: int) -> Generator[None]:
    """Within the block the kernel refuses to write more bytes into a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fault(action: Callable[[], object]) -> str:
    """The sentence of a fault that the action raises as one."""
    with pytest.raises(MachineFault) as raised:
        action()
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def reported(action: Callable[[], object]) -> str:
    """The sentence of a command about an action that raises an OSError."""
    return fault(machine_faults_reported()(action))


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "free some space there."),
        (errno.EDQUOT, "free some space there."),
        (errno.EFBIG, "raise the limit of a file's size (`ulimit -f`)."),
        (errno.EROFS, "make it writable."),
        (errno.EACCES, "make it writable."),
        (errno.EPERM, "make it writable."),
        (errno.ENOTDIR, "move the file away that lies where a folder must be."),
    ],
)
def test_place_reason_and_way_out_of_a_fault(number: int, way_out: str) -> None:
    reason = os.strerror(number)
    error = OSError(number, reason, "/srv/plan")
    assert sentence_of(error) == f"/srv/plan cannot be used ({reason}): {way_out}"


def test_a_write_without_a_name_names_the_disks_that_it_may_have_been() -> None:
    with pytest.raises(OSError, match="No space") as full, Path("/dev/full").open("wb", 0) as file:
        file.write(b"x")
    assert sentence_of(full.value) == (
        "the disk of the project, of the cache or of temporary files cannot be used (No space left "
        "on device): free some space there."
    )


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "", "x"), OSError("odd")])
def test_an_error_of_the_program_keeps_its_traceback(error: OSError) -> None:
    assert sentence_of(error) is None
    with pytest.raises(type(error)) as raised, machine_faults_reported():
        raise error
    assert raised.value is error


def test_a_copy_of_a_folder_that_fills_the_disk_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "large").write_bytes(b"x" * 10_000)
    with no_file_over(1000):
        sentence = reported(lambda: shutil.copytree(tmp_path / "from", tmp_path / "to"))
    assert sentence.startswith(f"{tmp_path}/to/large cannot be used (File too large): ")


# -- the cache ------------------------------------------------------------------------------------


def test_a_relative_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, "some/cache")
    assert reported(lambda: cache_folder("sources")) == (
        "KUBEFLOW_CACHE is some/cache: write an absolute path, because the programs of a run work "
        "in different folders."
    )


def test_without_a_home_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(CACHE, raising=False)
    monkeypatch.setattr(Path, "home", classmethod(homeless))
    assert reported(lambda: cache_folder("sources")) == (
        "This user has no home folder for the cache: name a folder in KUBEFLOW_CACHE."
    )


@pytest.mark.parametrize("below", [".", "sources"])
def test_a_cache_that_is_a_file_is_named(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    (tmp_path / "cache" / below).parent.mkdir(exist_ok=True)
    (tmp_path / "cache" / below).touch()
    assert reported(lambda: cache_folder("sources")) == (
        f"{tmp_path}/cache/sources cannot be used (Not a directory): move the file away that lies "
        f"where a folder must be, or {ABSOLUTE}."
    )


def test_a_cache_that_cannot_be_written_is_named(
    tiny: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No process makes a folder there, root neither.
    monkeypatch.setenv(CACHE, "/sys/cache")
    sentence = fault(tiny.render)
    assert sentence.startswith("/sys/cache")
    assert sentence.endswith(f"make it writable, or {ABSOLUTE}.")


def test_a_render_that_fills_the_cache_is_one_sentence_and_leaves_no_part(
    tiny: TinyProject, own_cache: Path
) -> None:
    tiny.render()
    for kind in ("build", "render"):
        for entry in (own_cache / kind).iterdir():
            entry.unlink()
    with no_file_over(2500):
        sentence = fault(tiny.render)
    assert sentence.startswith(f"{own_cache}/build/")
    assert f"(`ulimit -f`), or {ABSOLUTE}." in sentence
    assert list((own_cache / "build").iterdir()) == []


def test_unpacking_that_fills_the_cache_is_no_fault_of_the_archive(
    tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "large").write_bytes(b"x" * 10_000)
    pack(tmp_path / "from", "top", tmp_path / "a.tar.gz")
    with no_file_over(1000):
        sentence = reported(lambda: unpack(tmp_path / "a.tar.gz", [], own_cache / "large"))
    assert sentence.startswith(f"{own_cache}/large cannot be used (File too large): ")


def test_a_clone_that_fills_the_cache_is_no_fault_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\nexit 128\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(checkout, "_unreachable", set[str]())
    assert "No space left on device" in reported(lambda: checkout.answers("tiny/widgets"))


# -- the C locale ---------------------------------------------------------------------------------

C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def in_c_locale(program: str, *arguments: Path) -> str:
    """The output of a Python program in another process."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **C_LOCALE},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


RENDERS = """
import sys
from pathlib import Path
from rendering import render
rendered = render(
    Path(sys.argv[1]),
    partition="aws-cn",
    dns_suffix="amazonaws.com.cn",
    registry="<<image.prefix>>",
)
sys.stdout.write(rendered.digest + ascii(rendered.objects))
"""


def test_a_render_in_the_c_locale_is_that_of_any_other(tiny: TinyProject) -> None:
    overlay = tiny.release / "database.yaml"
    overlay.write_text(overlay.read_text("utf-8") + "  name: 数据库\n", "utf-8")
    output = in_c_locale(RENDERS, tiny.release)
    rendered = tiny.render()
    assert output == rendered.digest + ascii(rendered.objects)


UNPACKS = """
import sys
from pathlib import Path
from rendering.source_files import files_digest, unpack
unpack(Path(sys.argv[1]), [], Path(sys.argv[2]))
sys.stdout.write(files_digest(Path(sys.argv[2])))
"""


def test_files_unpacked_in_the_c_locale_have_their_names_and_digest(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "größe-大小.yaml").write_text("x")
    (tmp_path / "from" / "link").symlink_to("größe-大小.yaml")
    pack(tmp_path / "from", "top", tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", [], tmp_path / "here")
    output = in_c_locale(UNPACKS, tmp_path / "a.tar.gz", tmp_path / "there")
    names = [
        sorted(path.name for path in (tmp_path / place).iterdir())
        for place in ("from", "here", "there")
    ]
    assert names[0] == names[1] == names[2]
    assert output == files_digest(tmp_path / "here")
