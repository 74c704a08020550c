"""What a command prints: its result on standard output, all else on standard error.

Escape codes go to terminals only, and to none where ``NO_COLOR`` is set (https://no-color.org).
Tables have no lines to draw and the width of the terminal, 80 columns in a pipe.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from terminal.exit_codes import READER_GONE

Format = Literal["table", "json", "text"]
Row = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Row], str | Text]]
"""Title of a column -> the key of a row, or what makes the cell."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise _reader_gone(self.file)


def _console(**options: Any) -> Console:
    colour = None if os.environ.get("NO_COLOR") else "auto"
    return _Console(
        color_system=colour, emoji=False, highlight=False, soft_wrap=True, markup=False, **options
    )


class Cells(NamedTuple):
    """One line of a section: a label in a style, and text."""

    label: str
    style: str
    text: str


_ANY_WIDTH = 10_000
SENTENCES = "KUBEFLOW_SENTENCES"
"""A file that gets the sentences of a failure too, for a program that runs the command."""

results = _console()
"""Standard output, for programs. Brackets are printed as they are."""

messages = _console(stderr=True)
"""Standard error, for people: progress, notices, errors."""


def say(text: object) -> None:
    """Print one line of the result."""
    with _for_a_reader():
        typer.echo(text)


def fail(sentences: Sequence[str], code: int) -> typer.Exit:
    """Print the sentences and return the exception to raise."""
    if file := os.environ.get(SENTENCES):
        Path(file).write_text(json.dumps(list(sentences)), "utf-8")
    for sentence in sentences:
        messages.print(sentence, style="red")
    return typer.Exit(code)


def format_option(keys: str, text: str = "tab-separated, one row per line") -> Any:
    """The option ``--format`` of a command that lists rows.

    Args:
        keys: of each row in JSON, for the help.
        text: what the text format has.
    """
    return typer.Option(
        "--format",
        help=f"json: a list of objects with {keys}. text: {text}.",
        show_default="table on a terminal, else text",
    )


def chosen(format_: Format | None) -> Format:
    """The format, or what is printed where none is named: lines to a program."""
    return format_ or ("table" if sys.stdout.isatty() else "text")


def tab_separated(row: Row) -> str:
    """The values of a row on one line; of a list all, with semicolons between."""
    return "\t".join(map(_one_line, row.values()))


def show(
    rows: Sequence[Row],
    format_: Format | None,
    columns: Columns,
    *,
    line: Callable[[Row], str] = tab_separated,
    optional: Sequence[str] = (),
) -> None:
    """Print the rows of a result.

    Args:
        rows: as JSON has them.
        format_: of the option; None: a table on a terminal, else text.
        columns: of the table.
        line: of a row in the text format.
        optional: columns that are left out, the last first, until every cell fits on one line.
    """
    match chosen(format_):
        case "json":
            say(json.dumps(rows, indent=2))
        case "text":
            for row in rows:
                say(line(row))
        case "table":
            _table(rows, columns, optional)


def sections(of: Iterable[tuple[Cells, Sequence[Cells]]]) -> None:
    """Print headings with the lines below each, the text folded beside its label.

    Args:
        of: label and text of the heading, then of each of its lines, with styles of the labels.
    """
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for heading, lines in of:
        drawn.add_row(Text(heading.label, heading.style), Text(heading.text, "bold"))
        for each in lines:
            drawn.add_row(Text(f"  {each.label}", each.style), each.text)
    with _for_a_reader():
        results.print(drawn, soft_wrap=False)


def _table(rows: Sequence[Row], columns: Columns, optional: Sequence[str]) -> None:
    left_out: list[str] = []
    drawn = _drawn(rows, columns)
    for title in reversed(optional):
        if _width(drawn) <= results.width:
            break
        left_out.insert(0, title)
        drawn = _drawn(rows, {each: columns[each] for each in columns if each not in left_out})
    if rows:
        with _for_a_reader():
            results.print(drawn, soft_wrap=False)
    if rows and left_out:
        messages.print(
            f"Not in a table of this width: {', '.join(left_out)} (--format text has them).",
            style="dim",
        )


def _drawn(rows: Sequence[Row], columns: Columns) -> Table:
    """A table of the columns that are not empty."""
    table = Table(box=None, pad_edge=False)
    cells: list[list[str | Text]] = []
    for title, cell in columns.items():
        of_rows = [row[cell] if isinstance(cell, str) else cell(row) for row in rows]
        if any(of_rows):
            table.add_column(title, overflow="fold")
            cells.append(of_rows)
    for of_row in zip(*cells, strict=True):
        table.add_row(*of_row)
    return table


def _width(table: Table) -> int:
    """Columns that the table takes with every cell on one line."""
    return results.measure(table, options=results.options.update(max_width=_ANY_WIDTH)).maximum


def _one_line(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_one_line, value))
    return " ".join(str("" if value is None else value).split())


@contextmanager
def _for_a_reader() -> Generator[None]:
    """Ends the command where the program that reads standard output has ended, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise _reader_gone(sys.stdout) from None


def _reader_gone(stream: IO[str]) -> typer.Exit:
    # Python writes what is left in the buffer once more when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return typer.Exit(READER_GONE)
