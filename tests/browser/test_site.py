"""The built site asks nobody else for anything, says nothing on the console, and can be read by everyone."""

import functools
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import axe_playwright_python
import pytest
from conftest import SITE, chapters, pages

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

every_page = pytest.mark.parametrize("path", pages())
every_chapter = pytest.mark.parametrize("path", chapters())


def violations(page, contrast: bool) -> list[str]:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE)
    found = page.evaluate(
        """([tags, contrast]) => axe.run(document, {
            runOnly: {type: 'tag', values: tags}, rules: {'color-contrast': {enabled: contrast}},
            preload: false, reporter: 'no-passes'})""",
        [RULES, contrast],
    )
    return [f"{v['id']}: {v['nodes'][0]['target']} {v['nodes'][0]['html'][:160]}" for v in found["violations"]]


def test_there_are_chapters():
    assert len(chapters()) >= 4


@every_chapter
def test_pages_work_from_a_folder(path, visit, site):
    one = visit(site.as_uri(), path)
    assert one.left == [] and [line for line in one.said if "error" in line.lower()] == []
    assert one.page.locator(".companion-figure [aria-live]").first.inner_text().strip()


def test_a_third_party_script_is_seen(visit, address, site):
    """The guard itself: a page with one script too many is caught."""
    page = (site / "book" / "index.html").read_text(encoding="utf-8")
    planted = site / "book" / "planted-for-the-test.html"
    planted.write_text(page.replace("</head>", '<script src="https://example.org/x.js"></script></head>'))
    try:
        assert visit(address, "book/planted-for-the-test.html").left == ["https://example.org/x.js"]
    finally:
        planted.unlink()


def test_the_start_page_leads_to_the_book(visit, address):
    one = visit(address, "index.html")
    one.page.wait_for_url("**/book/index.html")
    assert one.left == [] and one.said == []


@every_page
def test_a_page_keeps_to_itself_and_can_be_read_by_everyone(path, visit, address):
    """Nothing leaves the site, nothing is complained of; axe finds nothing and nothing scrolls sideways.

    In both themes, at the width of a desk and of a phone; the theme is switched as its button switches it. Contrast, by
    far the slowest rule, is judged at one width: colours do not depend on it.
    """
    one = visit(address, path)
    one.page.add_style_tag(content="* { transition: none !important }")  # judged are the themes, not the fade between
    found, wide = {}, {}
    for width in (1280, 390):
        one.page.set_viewport_size({"width": width, "height": 900})
        one.page.wait_for_timeout(500)  # the theme looks anew which boxes scroll, a moment after a change of width
        wide[width] = one.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        for theme in ("light", "dark"):
            one.page.evaluate("theme => document.documentElement.setAttribute('data-theme', theme)", theme)
            one.page.wait_for_timeout(100)
            if seen := violations(one.page, contrast=width == 1280):
                found[theme, width] = seen
    assert one.left == [] and one.said == []
    assert found == {} and max(wide.values()) <= 0


# --- without a browser: what the files say ------------------------------------------------------------------
class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets, self.anchors, self.requests, self.pictures = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name")} - {None}
        if tag == "a" and attributes.get("href"):
            self.targets.append(attributes["href"])
        if tag in ("script", "img", "iframe", "source", "video", "audio") and attributes.get("src"):
            self.requests.append(attributes["src"])
        if tag == "link" and attributes.get("href") and attributes.get("rel") not in ("canonical", "alternate"):
            self.requests.append(attributes["href"])
        if tag == "img":
            self.pictures.append(attributes)


@functools.cache
def parsed(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links


@every_page
def test_links_inside_the_site_arrive(path, site):
    here = site / path
    broken = []
    for target in parsed(here).targets:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if file.is_dir():
            file /= "index.html"
        if not file.exists() and path != "404.html":
            broken.append(target)
        elif parts.fragment and file.suffix == ".html" and file.exists():
            if unquote(parts.fragment) not in parsed(file).anchors:
                broken.append(target)
    assert broken == []


@every_page
def test_pages_ask_for_nothing_outside_by_their_text(path, site):
    outside = [url for url in parsed(site / path).requests if re.match(r"(https?:)?//", url)]
    styles = re.findall(r"@import[^;]+|url\(\s*['\"]?https?://[^)]+\)", (site / path).read_text(encoding="utf-8"))
    assert outside == [] and styles == []


@every_page
def test_images_have_words(path, site):
    for picture in parsed(site / path).pictures:
        alt = picture.get("alt")
        assert alt is not None and not re.search(r"\.(png|svg|jpe?g)$", alt), picture


@every_chapter
def test_chapters_offer_colab_and_download(path, site):
    text = (site / path).read_text(encoding="utf-8")
    name = Path(path).stem
    assert re.search(rf'href="https://colab\.research\.google\.com/github/[^"]+/book/{name}\.ipynb"', text)
    assert f"{name}.ipynb" in text and (site / "_sources" / "book" / f"{name}.ipynb").exists()


def test_search_finds_a_term(visit, address):
    one = visit(address, "search.html?q=dropout")
    one.page.wait_for_selector("#search-results li", timeout=15000)
    assert one.page.locator("#search-results li").count() >= 3
    assert one.left == []


def test_there_are_a_favicon_a_sitemap_and_a_404():
    assert (SITE / "404.html").exists() and (SITE / "sitemap.xml").exists()
    assert re.search(r'<link[^>]+rel="(shortcut )?icon"', (SITE / "book" / "index.html").read_text(encoding="utf-8"))


def test_what_axe_is_asked_for_is_seen(visit, address):
    """The gate itself: faint text is found where contrast is judged, a picture without words everywhere."""
    one = visit(address, "book/preface.html")
    one.page.evaluate("document.querySelector('article p').style.color = '#eee'")
    assert any(line.startswith("color-contrast") for line in violations(one.page, contrast=True))
    assert violations(one.page, contrast=False) == []
    one.page.evaluate("document.querySelector('article').append(Object.assign(new Image(), {src: 'data:,'}))")
    assert any(line.startswith("image-alt") for line in violations(one.page, contrast=False))
