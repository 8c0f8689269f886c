"""What a page is made of, read strictly: whatever a browser would have to guess is an error."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from ioi_stress.tracing.looks import LOOKS

VOID = {"meta", "input", "br", "col"}
BLOCKS = {
    "p",
    "div",
    "table",
    "ul",
    "dl",
    "pre",
    "section",
    "figure",
    "h1",
    "h2",
    "h3",
    "details",
    "header",
    "main",
    "nav",
    "footer",
}
RAW = {"script", "style"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Read:
    elements: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Outside of scripts and styles."""
        return " ".join(self.texts)

    def named(self, name: str) -> list[Element]:
        return [each for each in self.elements if each.name == name]

    def by_id(self, identity: str) -> Element:
        (found,) = [each for each in self.elements if each.attributes.get("id") == identity]
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.read = Read()
        self.open: list[Element] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [key for key, _ in attributes]
        assert len(set(names)) == len(names), (name, names)
        if name in BLOCKS:
            assert "p" not in [each.name for each in self.open], f"<{name}> would end the <p> it is in"
        element = Element(name, {key: value or "" for key, value in attributes})
        self.read.elements.append(element)
        if name not in VOID:
            self.open.append(element)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        assert "svg" in [each.name for each in self.open], f"<{name}/> is no HTML"
        self.handle_starttag(name, attributes)
        self.open.pop()

    def handle_endtag(self, name: str) -> None:
        assert self.open and self.open.pop().name == name, f"</{name}> ends nothing"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data
            if self.open[-1].name not in RAW:
                self.read.texts.append(data)


def read(page: str) -> Read:
    assert page.startswith("<!DOCTYPE html>\n") and page.isascii()
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser.read


def check_page(page: str) -> Read:
    """Well-formed, asking for nothing, and running nothing but what its policy names by its hash."""
    found = read(page)
    identities = [each.attributes["id"] for each in found.elements if "id" in each.attributes]
    assert len(set(identities)) == len(identities)
    (policy,) = [
        each.attributes["content"]
        for each in found.named("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'" and "unsafe" not in policy
    assert set(rules) == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    for name, rule in (("style", "style-src"), ("script", "script-src")):
        run = [each for each in found.named(name) if each.attributes.get("type") != "application/json"]
        assert [hashed(each.text) for each in run] == [each for each in rules[rule].split() if each != "'none'"]
        assert not any(each.attributes for each in run)
    for each in found.elements:
        assert each.name not in (
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "base",
            "use",
            "image",
            "form",
            "foreignobject",
        ), each
        for key, value in each.attributes.items():
            assert not key.startswith("on") and key not in ("src", "style", "srcset", "xlink:href", "action"), each
            if key == "href":
                assert value.startswith("#") and value[1:] in identities, each
            for reference in re.findall(r"url\(([^)]*)\)", value):
                assert reference[0] == "#" and reference[1:] in identities, each
    (style,) = found.named("style")
    assert "@import" not in style.text and set(re.findall(r"url\(([^)]*)\)", style.text)) <= {f"#hatch-{look.style}" for look in LOOKS.values() if look.hatch}
    assert len(found.named("title")) >= 1 and len(found.named("h1")) == 1
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        widths = {len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(widths) == 1, widths
    return found


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
