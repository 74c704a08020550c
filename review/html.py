"""A review as one HTML file: for reading on a screen, in light and dark, without script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from review.blocks import (
    Block,
    Code,
    Differences,
    Entries,
    Folded,
    Paragraph,
    Piece,
    Section,
    Strong,
    Table,
    Text,
)
from review.content import sections, summary, worst
from review.danger_section import danger_section
from review.review import Review
from review.values import visible

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

# Contrast of text at least 4.5 to 1 in both schemes (WCAG 2.2, 1.4.3).
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #f2f4f7; --line: #c8ced6;
  --bad: #a40e26; --good: #0b5d2a; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #14171b; --soft: #20252c;
  --line: #444c56; --bad: #ff9c97; --good: #7ee2a0; --link: #8ec4ff; } }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0 1rem; }
h2 { font-size: 1.3rem; margin-top: 2rem; border-top: 1px solid var(--line); padding-top: 1rem; }
ul, ol { padding-left: 1.2rem; } li { margin: .3rem 0; } li ul { margin: .2rem 0; }
h1 + ul { list-style: none; padding: 0; }
h1 + ul > li { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; }
ol { list-style-position: inside; padding: 0; }
ol > li { background: var(--soft); border-left: .3rem solid var(--bad); border-radius: .3rem;
  padding: .6rem .8rem; margin: .6rem 0; }
ol ul { list-style: none; padding: 0; } ol code { background: var(--paper); }
code, pre { font: .9em ui-monospace, monospace; background: var(--soft); border-radius: .2rem;
  overflow-wrap: anywhere; }
code { padding: 0 .2em; } pre { padding: .6rem; overflow-x: auto; white-space: pre-wrap; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left;
  vertical-align: top; }
thead th { background: var(--soft); } tbody th { font-weight: normal; min-width: 8rem; }
ins { color: var(--good); text-decoration: none; } del { color: var(--bad); text-decoration: none; }
a { color: var(--link); } summary { cursor: pointer; }
nav ul { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; padding: 0; }
nav li { margin: 0; } nav a { display: block; border: 1px solid var(--line); border-radius: 1rem;
  padding: .1rem .8rem; text-decoration: none; }
"""


def html(reviews: Sequence[Review]) -> str:
    """One whole document. It refers to nothing outside of itself and runs nothing."""
    stacks = ", ".join(review.stack for review in reviews)
    several = len(reviews) > 1
    changed = [review for review in reviews if not review.empty]
    parts: list[Section] = [each for review in changed if (each := danger_section(review))]
    for review in changed:
        parts += sections(review)
    titles = [f"{each.title}: {each.stack}" if several else each.title for each in parts]
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>Review of {escape(stacks)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        "<h1>What this change would do</h1>",
        "<ul>",
    ]
    for review in reviews:
        lines.append(f"<li>{_text(summary(review))}")
        if review.dangers:
            lines.append(f"<br><strong>Worst:</strong> {_text(worst(review))}")
        lines.append("</li>")
    lines.append("</ul>")
    if titles:
        lines += ['<nav aria-label="Sections">', "<ul>"]
        lines += [
            f'<li><a href="#s{index}">{escape(each)}</a></li>' for index, each in enumerate(titles)
        ]
        lines += ["</ul>", "</nav>"]
    for index, (each, section) in enumerate(zip(titles, parts, strict=True)):
        lines += [f'<section aria-labelledby="s{index}">', f'<h2 id="s{index}">{escape(each)}</h2>']
        for block in section.blocks:
            lines += _block(block)
        lines.append("</section>")
    sides = dict.fromkeys((review.base, review.head) for review in reviews)
    compared = "; ".join(f"{escape(base)} → {escape(head)}" for base, head in sides)
    lines += [
        "</main>",
        f"<footer><p>Compared: {compared}, by the engine on simulated clouds.</p></footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _text(text: Text) -> str:
    return "".join(map(_piece, text))


def _piece(piece: Piece) -> str:
    if isinstance(piece, Code):
        return f"<code>{escape(visible(piece.text))}</code>"
    if isinstance(piece, Strong):
        return f"<strong>{escape(piece.text)}</strong>"
    return escape(piece)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield f"<p>{_text(text)}</p>"
        case Entries(items, _, start):
            kind = "ol" if start else "ul"
            yield f'<ol start="{start}">' if start else "<ul>"
            for item in items:
                below = "".join(f"<li>{_text(each)}</li>" for each in item.below)
                yield f"<li>{_text(item.text)}{f'<ul>{below}</ul>' if below else ''}</li>"
            yield f"</{kind}>"
        case Table(head, rows, _):
            yield "<table>"
            cells = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
            yield f"<thead><tr>{cells}</tr></thead>"
            yield "<tbody>"
            for row in rows:
                first, *rest = map(_text, row)
                cells = "".join(f"<td>{each}</td>" for each in rest)
                yield f'<tr><th scope="row">{first}</th>{cells}</tr>'
            yield "</tbody>"
            yield "</table>"
        case Differences(items, _):
            for item in items:
                yield f"<pre><strong>{escape(item.title)}</strong>"
                yield from map(_line, item.lines)
                yield "</pre>"
        case Folded(inner, blocks):
            yield f"<details><summary>{_text(inner)}</summary>"
            for each in blocks:
                yield from _block(each)
            yield "</details>"


def _line(line: str) -> str:
    tag = {"+": "ins", "-": "del"}.get(line[:1])
    return f"<{tag}>{escape(line)}</{tag}>" if tag else escape(line)
