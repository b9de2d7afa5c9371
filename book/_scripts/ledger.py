"""Makes the claims ledger from what the notebooks recorded.

    python book/_scripts/ledger.py

The page holds what stands in the stored outputs of the chapters and nothing else; a test compares the two.
"""

import json
import sys
from html import escape

import nbformat

from book._scripts.chapters import BOOK, chapters, title
from companion.experiments.claims import MIME, VERDICTS, made_from, statements
from companion.experiments.protocol import RECORDS
from companion.files import write_whole

PAGE = BOOK / "claims.md"
REPLICATION = RECORDS.parent / "replication.json"

HEAD = """\
# The claims ledger

What the usual tutorials on dropout say, and what the cells of this course measured of it. Every row was recorded by the
cell that it links to; this page is made from the notebooks, and a test fails when the two differ. A claim that fails is
printed as failed. Effects are means over paired seeds with their 95 % intervals; what is exact was enumerated or proved
and has no interval; what was computed from the numbers of a paper says so. What was trained was trained again with
other seeds, which the verdict had not seen (`make replication`); the row says whether it would have been the same.

The four verdicts: **shown**; **shown only if** a condition holds; **not shown here**, when the interval leaves the sign
open at this size; **refuted**.
"""


def recorded() -> list[dict]:
    """Every claim that a chapter's stored outputs hold, in reading order, with the page that holds it."""
    claims = []
    for path in chapters():
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if MIME in output.get("data", {}):
                    claims.append({**output["data"][MIME], "page": path.stem})
    return claims


def _again(claim: dict, replications: dict) -> str:
    """What other seeds gave, if the claim was measured with seeds."""
    if claim["id"] not in replications["claims"]:
        return ""
    again = replications["claims"][claim["id"]]
    end = "the verdict holds" if again["holds"] else "the verdict does not hold with these"
    return f" Again with {len(again['seeds'])} other seeds: {again['effect']}; {end}."


def _row(claim: dict, replications: dict) -> str:
    verdict = f"{claim['verdict']} {claim['condition']}" if claim["condition"] else claim["verdict"]
    basis = made_from(claim["id"], claim["seeds"])
    if claim["seconds"]:
        basis += f", {claim['seconds']:g} s"
    anchor = f"{claim['page']}.html#claim-{claim['id'].lower()}"
    note = f" {claim['note']}" if claim["note"] else ""
    said = f"{escape(claim['statement'])} <small>{escape(claim['source'])}</small>"
    measured = f"{claim['effect']} ({basis}).{note}{_again(claim, replications)}"
    return (
        f'<tr data-verdict="{claim["verdict"]}"><th scope="row"><a href="{anchor}">{escape(claim["id"])}</a></th>'
        f"<td>{said}</td><td>{escape(verdict)}</td>"
        f"<td>{escape(measured)}</td></tr>"
    )


def page(claims: list[dict]) -> str:
    """The text of the ledger page."""
    replications = json.loads(REPLICATION.read_text(encoding="utf-8"))
    counts = ", ".join(f"{sum(claim['verdict'] == verdict for claim in claims)} {verdict}" for verdict in VERDICTS)
    parts = [HEAD, f"So far {len(claims)} claims have been judged: {counts}.\n"]
    for path in chapters():
        chapter = path.stem
        rows = "\n".join(_row(claim, replications) for claim in claims if claim["page"] == chapter)
        parts.append(
            f"## {chapter[:2]} {title(path)}\n\n"
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
