"""Reviews as their readers' programs read them: a Markdown parser, and an HTML parser."""

from __future__ import annotations

from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

_VOID = {"meta", "br", "link", "img", "hr", "input"}


def tokens(markdown: str) -> list[Token]:
    """Every token, those inside of others after them."""
    found: list[Token] = []
    for token in PARSER.parse(markdown):
        found += [token, *(token.children or [])]
    return found


def rendered(markdown: str) -> Page:
    """The page that a Markdown program makes of the text."""
    return Page.of(PARSER.render(markdown))


class Page(HTMLParser):
    """A page with its elements, the text in each kind of them, and whether all are closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        page.problems += [f"{tag} is never closed" for tag in page.open]
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
            self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"{tag} ends where it is not open")

    def handle_data(self, data: str) -> None:
        for index in range(len(self.texts) - 1, -1, -1):
            if self.open and self.texts[index][0] == self.open[-1]:
                self.texts[index] = (self.texts[index][0], self.texts[index][1] + data)
                break

    def of_kind(self, tag: str) -> list[str]:
        return [text for kind, text in self.texts if kind == tag]

    def count(self, tag: str) -> int:
        return sum(kind == tag for kind, _ in self.elements)
