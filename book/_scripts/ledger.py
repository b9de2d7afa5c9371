"""Makes the claims ledger from what the notebooks recorded.

    python book/_scripts/ledger.py

The page holds what stands in the stored outputs of the chapters and nothing else; a test compares the two.
"""

import sys
from html import escape
from pathlib import Path

import nbformat

from companion.experiments.claims import MIME, VERDICTS, statements
from companion.files import write_whole

BOOK = Path(__file__).resolve().parents[1]
PAGE = BOOK / "claims.md"

HEAD = """\
# The claims ledger

What the usual tutorials on dropout say, and what the cells of this course measured of it. Every row was recorded by the
cell that it links to; this page is made from the notebooks, and a test fails when the two differ. A claim that fails is
printed as failed. Effects are means over paired seeds with their 95 % intervals; what is exact was enumerated or proved
and has no interval.

The four verdicts: **shown**; **shown only if** a condition holds; **not shown here**, when the interval leaves the sign
open at this size; **refuted**.
"""


def recorded() -> list[dict]:
    """Every claim that a chapter's stored outputs hold, in reading order, with the page that holds it."""
    claims = []
    for path in sorted(BOOK.glob("[0-9][0-9]-*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if MIME in output.get("data", {}):
                    claims.append({**output["data"][MIME], "page": path.stem})
    return claims


def _row(claim: dict) -> str:
    verdict = f"{claim['verdict']} {claim['condition']}" if claim["condition"] else claim["verdict"]
    made_from = f"{claim['seeds']} paired seeds" if claim["seeds"] else "exact"
    if claim["seconds"]:
        made_from += f", {claim['seconds']:g} s"
    anchor = f"claim-{claim['id'].lower()}"
    return (
        f'<tr><th scope="row"><a href="{claim["page"]}.html#{anchor}">{escape(claim["id"])}</a></th>'
        f"<td>{escape(claim['statement'])}</td><td>{escape(verdict)}</td>"
        f"<td>{escape(claim['effect'])} ({made_from}).{' ' + escape(claim['note']) if claim['note'] else ''}</td></tr>"
    )


def page(claims: list[dict]) -> str:
    """The text of the ledger page."""
    counts = ", ".join(f"{sum(claim['verdict'] == verdict for claim in claims)} {verdict}" for verdict in VERDICTS)
    chapters = sorted({claim["page"] for claim in claims})
    parts = [HEAD, f"So far {len(claims)} claims have been judged: {counts}.\n"]
    for chapter in chapters:
        title = chapter[3:].replace("-", " ")
        rows = "\n".join(_row(claim) for claim in claims if claim["page"] == chapter)
        parts.append(
            f"## {chapter[:2]} {title.capitalize()}\n\n"
            f'<div class="companion-table claims" role="region" aria-label="Claims of chapter {chapter[:2]}" '
            'tabindex="0">\n'
            '<table><thead><tr><th scope="col">claim</th><th scope="col">what is said</th>'
            '<th scope="col">verdict</th><th scope="col">what was measured</th></tr></thead><tbody>\n'
            f"{rows}\n</tbody></table></div>\n"
        )
    return "\n".join(parts)


def main() -> None:
    claims = recorded()
    unknown = {claim["id"] for claim in claims} - set(statements())
    if unknown:
        sys.exit(f"the notebooks record claims that claims.toml does not state: {sorted(unknown)}")
    write_whole(PAGE, page(claims))
    print(f"{PAGE.name}: {len(claims)} claims")


if __name__ == "__main__":
    main()
