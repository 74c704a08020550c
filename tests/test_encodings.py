"""Files and output of programs are UTF-8 in every locale: no encoding is left to the locale."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    path
    for path in ROOT.glob("**/*.py")
    if path.relative_to(ROOT).parts[0] not in ("build", "tests", ".venv")
)
# Positional arguments of those methods of pathlib.Path up to the encoding.
ARGUMENTS = {"read_text": 1, "write_text": 2}
NO_TEXT = ("opener.open", "os.open", "tarfile.open", "webbrowser.open", "zipfile.ZipFile.open")


def of_the_locale(source: str) -> Iterator[int]:
    """The lines with a call that takes its encoding from the locale.

    Ruff's unspecified-encoding (PLW1514, a preview rule) finds them only where it can infer that
    the object is a path.
    """
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        named = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if "encoding" in named:
            continue
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
        texts = [each.value for each in call.args if isinstance(each, ast.Constant)]
        modes = [text for text in texts if isinstance(text, str) and set(text) <= set("rwxabt+")]
        is_path = name in ARGUMENTS and len(call.args) < ARGUMENTS[name]
        is_stream = name in ("open", "fdopen", "NamedTemporaryFile") and not any(
            "b" in mode for mode in modes
        )
        is_program = "True" in (named.get("text"), named.get("universal_newlines"))
        other = ast.unparse(function) in NO_TEXT
        if (is_path or is_stream or is_program) and not other:
            yield call.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_encoding_is_left_to_the_locale(path: Path) -> None:
    assert list(of_the_locale(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("path.read_text()", [1]),
        ("path.write_text(text)", [1]),
        ("path.open()", [1]),
        ("path.open('w')", [1]),
        ("open(path)", [1]),
        ("os.fdopen(number, 'w')", [1]),
        ("subprocess.run(command, text=True)", [1]),
        ("path.read_text('utf-8')", []),
        ("path.write_text(text, 'utf-8')", []),
        ("path.open('xb')", []),
        ("path.open('w', encoding='utf-8')", []),
        ("os.open(path, flags)", []),
        ("zipfile.ZipFile.open(archive, name)", []),
        ("subprocess.run(command, encoding='utf-8')", []),
    ],
)
def test_what_counts_as_left_to_the_locale(call: str, found: list[int]) -> None:
    assert list(of_the_locale(call)) == found
