"""The claims ledger: what the usual tutorials claim, and what the course's own cells measured of it.

``claims.toml`` states each claim once. A notebook judges it with :func:`record`, whose output carries the judgement as
data; the ledger page is made from the stored outputs of the notebooks and from nothing else.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from companion.experiments.protocol import Effect, Record

__all__ = ["MIME", "VERDICTS", "Claim", "made_from", "record", "statements"]

MIME = "application/vnd.companion.claim+json"
VERDICTS = ("shown", "shown only if", "not shown here", "refuted")


@cache
def statements() -> dict[str, dict[str, str]]:
    """The registered claims: id -> statement, chapter, expect ("+", "-", "0", "exact"), source, maybe made_from."""
    return tomllib.loads((Path(__file__).parent / "claims.toml").read_text(encoding="utf-8"))


def made_from(id: str, seeds: int) -> str:
    """What the effect of a claim was computed from, in words; without seeds exact, if claims.toml says no more."""
    return f"{seeds} paired seeds" if seeds else statements()[id].get("made_from", "exact")


@dataclass(frozen=True)
class Claim:
    """A judged claim; shows itself in a notebook and carries its data for the ledger."""

    id: str
    statement: str
    chapter: str
    verdict: str
    condition: str
    effect: str
    low: float | None
    high: float | None
    seeds: int
    seconds: float
    note: str
    source: str

    @property
    def anchor(self) -> str:
        return f"claim-{self.id.lower()}"

    def _data(self) -> dict:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def _words(self) -> str:
        verdict = f"{self.verdict} {self.condition}" if self.condition else self.verdict
        note = f" {self.note}" if self.note else ""
        return f"{verdict}. Measured: {self.effect} ({made_from(self.id, self.seeds)}).{note}"

    def _html(self) -> str:
        kind = self.verdict.replace(" ", "-")
        return (
            f'<div class="claim claim-{kind}" id="{self.anchor}">'
            f"<p><strong>Claim {escape(self.id)}</strong>: {escape(self.statement)}</p>"
            f"<p><strong>Verdict:</strong> {escape(self._words())}</p></div>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": repr(self), "text/html": self._html(), MIME: self._data()}

    def __repr__(self) -> str:
        return f"Claim {self.id}: {self.statement}\nVerdict: {self._words()}"


def record(
    id: str,
    effect: Effect | float | str,
    interval: tuple[float, float] | None = None,
    verdict: str = "shown",
    *,
    condition: str = "",
    note: str = "",
    source: Record | None = None,
    digits: str = ".3g",
) -> Claim:
    """Judges a claim; as the last line of a cell it shows the judgement and puts it into the ledger.

    Args:
        id: id of the claim in ``claims.toml``.
        effect: what was measured: an :class:`~companion.experiments.protocol.Effect`, or a number or words where the
            measurement is exact.
        interval: ends of the interval, if ``effect`` is a plain number that has one.
        verdict: "shown", "shown only if" (with ``condition``), "not shown here" or "refuted".
        condition: what must hold, for "shown only if".
        note: one sentence more.
        source: the record that the effect was computed from; gives seeds and seconds.
        digits: format of the effect's numbers.

    Raises:
        KeyError: if ``id`` is not registered.
        ValueError: if the verdict is none of the four, lacks its condition, or contradicts the interval: "shown" needs
            an interval that excludes zero on the side that ``claims.toml`` expects, "not shown here" one that does not,
            and "refuted" one that excludes zero on the other side.
    """
    if id not in statements():
        raise KeyError(f"id must be one of the claims in claims.toml, got {id!r}; known: {sorted(statements())}")
    claim = statements()[id]
    if verdict not in VERDICTS:
        raise ValueError(f"verdict must be one of {VERDICTS}, got {verdict!r}")
    if (verdict == "shown only if") != bool(condition):
        raise ValueError("condition must be given with the verdict 'shown only if', and with no other")
    low = high = None
    if isinstance(effect, Effect):
        low, high, words = effect.low, effect.high, format(effect, digits)
    elif isinstance(effect, str):
        words = effect
    else:
        words = format(effect, digits)
    if interval is not None:
        low, high = interval
        words += f" [{low:{digits}}, {high:{digits}}]"
    _consistent(id, verdict, claim["expect"], low, high)
    seeds = source.seeds if source is not None else ()
    n = len(seeds) or (effect.n if isinstance(effect, Effect) else 0)
    seconds = source.seconds if source is not None else 0.0
    return Claim(
        id,
        claim["statement"],
        claim["chapter"],
        verdict,
        condition,
        words,
        low,
        high,
        n,
        seconds,
        note,
        claim["source"],
    )


def _consistent(id: str, verdict: str, expect: str, low: float | None, high: float | None) -> None:
    if expect not in ("+", "-", "0", "exact"):
        raise ValueError(f"expect of claim {id} must be '+', '-', '0' or 'exact', got {expect!r}")
    if low is None or high is None or expect == "exact":
        return
    positive, negative = low > 0, high < 0
    as_expected = {"+": positive, "-": negative, "0": not (positive or negative)}[expect]
    if verdict == "shown" and not as_expected:
        raise ValueError(f"claim {id} expects {expect!r}, but the interval [{low:.3g}, {high:.3g}] does not show it")
    if verdict == "not shown here" and as_expected:
        raise ValueError(f"claim {id} expects {expect!r}, and the interval [{low:.3g}, {high:.3g}] shows it")
    opposite = {"+": negative, "-": positive, "0": positive or negative}[expect]
    if verdict == "refuted" and not opposite:
        raise ValueError(f"claim {id} is not refuted by the interval [{low:.3g}, {high:.3g}]")
