"""Sphinx extension: one bibliography for the book, and under each chapter the list of what it cites.

A work may be a target of citations only once, so only the bibliography page (``:all:``) makes targets. Anywhere else
the directive ``bibliography`` writes a plain list of the works that its own page cites, and needs no options.
"""

from sphinx.application import Sphinx
from sphinxcontrib.bibtex.directives import BibliographyDirective


class Bibliography(BibliographyDirective):
    def run(self):
        if "all" not in self.options:
            self.options.setdefault("list", "bullet")
            self.options.setdefault("filter", "docname in docnames")
        return super().run()


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinxcontrib.bibtex")
    app.add_directive("bibliography", Bibliography, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
