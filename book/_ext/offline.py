"""Sphinx extension: a site that asks nobody else for anything, and that axe finds nothing wrong with.

* MathJax is served from the site: copied from the package ``sphinx-mathjax-offline`` instead of fetched from a network.
* The places where the theme's HTML breaks accessibility rules are mended, and its largest script, which only redraws
  icons that the icon font draws already, is left out.
* What other extensions want to know about the site's address is derived from the one setting ``html.baseurl``.
"""

import re
import shutil
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config

# What the pages use of MathJax: the component, its fonts, and the TeX packages that it loads on demand.
MATHJAX = ["tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"]

FIXES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        # Icons come from the web font; the script draws them a second time (1.5 MB) and breaks widgets' buttons.
        (r'<script defer(?:="")? src="[^"]*fontawesome\.js[^"]*"></script>\n?', ""),
        (r'<link rel="preload" as="script" href="[^"]*fontawesome\.js[^"]*" ?/?>\n?', ""),
        # label-content-name-mismatch: the visible text is the name.
        (r'(class="btn search-button-field[^"]*"[^>]*?) aria-label="Search"', r"\1"),
        (r'<summary aria-label="Toggle hidden content">', "<summary>"),
        # summary-name: the arrow that unfolds a chapter's pages is an icon without words.
        (
            r'<summary><span class="toctree-toggle"',
            '<summary aria-label="Pages of this chapter"><span class="toctree-toggle"',
        ),
        # aria-required-children, aria-allowed-role, aria-deprecated-role: a list of references is plain text.
        (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
        (r'(<div class="citation" id="[^"]*") role="doc-biblioentry"', r"\1"),
        # region: the logo stands outside of every landmark.
        (
            r'<div class="sidebar-primary-item">(\s*<a class="navbar-brand logo")',
            r'<div class="sidebar-primary-item" role="navigation" aria-label="Home">\1',
        ),
    ]
]

_REGION = re.compile(r'(role="region" aria-label="[^"]*)"')

START = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={target}">
<title>{title}</title>
<link rel="icon" href="_static/favicon.svg">
<link rel="canonical" href="{target}">
</head>
<body><main><h1>{title}</h1><p><a href="{target}">Open the book</a></p></main></body>
</html>
"""


def derive_addresses(app: Sphinx, config: Config) -> None:
    """Fills in the settings of other extensions that follow from ``html_baseurl``, and points at our MathJax."""
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path or "/"
    config.mathjax_path = "mathjax/tex-chtml.js"


def _copy_mathjax(target: Path) -> None:
    source = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax"))
    for part in MATHJAX:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)


def _number_regions(html: str) -> str:
    """Regions need names of their own (landmark-unique): a name that comes again gets a number."""
    seen: dict[str, int] = {}

    def name(match: re.Match) -> str:
        seen[match[1]] = seen.get(match[1], 0) + 1
        return f'{match[1]}, {seen[match[1]]}"' if seen[match[1]] > 1 else match[0]

    return _REGION.sub(name, html)


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Copies MathJax, mends every page and writes the start page."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    _copy_mathjax(out / "_static" / "mathjax")
    for page in out.rglob("*.html"):
        old = page.read_text(encoding="utf8")
        new = _number_regions(old)
        for pattern, replacement in FIXES:
            new = pattern.sub(replacement, new)
        if new != old:
            page.write_text(new, encoding="utf8")
    start = START.format(target=f"{app.config.root_doc}.html", title=app.config.project)
    (out / "index.html").write_text(start, encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", derive_addresses)
    app.connect("build-finished", finish, priority=400)  # before sphinx-external-toc writes a start page of its own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
