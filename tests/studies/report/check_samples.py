# SPDX-License-Identifier: Apache-2.0
"""check_samples.py FOLDER: reads what study_report_samples wrote with parsers that are not ours.

SVG must be well-formed XML without scripts and references; HTML must nest without omitted or stray end tags, have each id
once, and refer to nothing but itself and data URIs.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}
SVG_NAMES = {"svg", "title", "polyline", "polygon", "rect", "circle", "text", "image"}
HTML_NAMES = SVG_NAMES | {
    "html", "head", "body", "style", "header", "main", "nav", "section", "footer", "h1", "h2", "p", "pre", "div", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "a", "figure", "figcaption", "img", "meta"}


def check_reference(where, name, value):
    if name in ("src", "href") and not (value.startswith("data:image/") or value.startswith("#")):
        sys.exit(f"{where}: {name}={value[:40]!r} refers to something outside")
    if name.startswith("on"):
        sys.exit(f"{where}: event attribute {name}")


class Page(HTMLParser):
    def __init__(self, where):
        super().__init__(convert_charrefs=True)
        self.where, self.open, self.ids, self.links = where, [], set(), set()

    def handle_starttag(self, tag, attrs):
        if tag not in HTML_NAMES:
            sys.exit(f"{self.where}: unexpected <{tag}> at {self.getpos()}")
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            sys.exit(f"{self.where}: an attribute of <{tag}> occurs twice")
        for name, value in attrs:
            check_reference(self.where, name, value or "")
            if name == "id":
                if value in self.ids:
                    sys.exit(f"{self.where}: id {value} twice")
                self.ids.add(value)
            if name == "href" and value.startswith("#"):
                self.links.add(value[1:])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            sys.exit(f"{self.where}: </{tag}> at {self.getpos()} closes something else")


folder = pathlib.Path(sys.argv[1])
svgs = sorted(folder.glob("*.svg"))
if len(svgs) < 6:
    sys.exit("samples are missing")
for path in svgs:
    root = xml.etree.ElementTree.parse(path).getroot()
    for element in root.iter():
        name = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        if name not in SVG_NAMES:
            sys.exit(f"{path.name}: unexpected <{name}>")
        for key, value in element.attrib.items():
            check_reference(path.name, key, value)
    if not path.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n"):
        sys.exit(f"{path.name} has no PNG beside it")

text = (folder / "report.html").read_bytes().decode("utf-8")
page = Page("report.html")
page.feed(text)
page.close()
if page.open:
    sys.exit(f"report.html: never closed: {page.open}")
if not page.links <= page.ids:
    sys.exit(f"report.html: links to nowhere: {page.links - page.ids}")
if re.search(r"https?:|@import|url\(", text):
    sys.exit("report.html names an address")
print(f"{len(svgs)} SVG files and report.html read well")
