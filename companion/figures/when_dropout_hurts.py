"""Pictures and tables of chapter 15: signs over data and size, crossings, passes, moments, what one sees, the recap."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

from companion.experiments.protocol import Record, interval
from companion.experiments.when_dropout_hurts import COUNTS, MOMENTS, RATES, STUDENTS, crossings, gains, name
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style
from companion.recap import guide, link, mask_shape, variants

__all__ = ["LinkedTable", "crossing_points", "gain_lines", "guide_table", "moments", "passes", "recap_table", "seen"]

_RATES = [p for p in RATES if p]
_COLOURS = dict(zip(_RATES, (COLOURS["green"], COLOURS["orange"], COLOURS["blue"]), strict=True))


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def gain_lines(record: Record, noise: float, title: str = "gain-lines") -> Picture:
    """Gain in accuracy over no dropout against the number of examples: a panel a network, a line a rate.

    Args:
        record: the record "hurts-sweep".
        noise: share of wrong labels: 0.2 or 0.
        title: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=5.4, height=5.6, rows=len(STUDENTS), sharex=True, sharey=True)
    said = []
    with style():
        for ax, student in zip(axes, STUDENTS, strict=True):
            ax.axhline(0, color=COLOURS["grey"], linewidth=1)
            for i, p in enumerate(_RATES):
                effects = [interval(row, paired=True) for row in gains(record, student, noise, p)]
                ax.fill_between(
                    COUNTS,
                    [e.low for e in effects],
                    [e.high for e in effects],
                    color=_COLOURS[p],
                    alpha=0.2,
                    linewidth=0,
                )
                means = [e.mean for e in effects]
                ax.plot(
                    COUNTS, means, MARKERS[i], linestyle=DASHES[i], color=_COLOURS[p], markersize=4, label=f"p = {p:g}"
                )
                best = int(np.argmax(means))
                said.append(
                    f"{student} at p = {p:g}: best {_signed(means[best])} with {COUNTS[best]:,}, "
                    f"{_signed(means[-1])} with {COUNTS[-1]:,}"
                )
            ax.set_xscale("log")
            ax.set_xticks([100, 1000, 10_000], ["100", "1,000", "10,000"])
            ax.minorticks_off()
            ax.set_title(f"network {student}", loc="left")
        axes[-1].set_xlabel("training examples")
        axes[1].set_ylabel("gain over p = 0 (points)")
        axes[1].legend(loc="lower left", ncols=3)
    labels = f"{noise:.0%} of the labels wrong" if noise else "all labels right"
    return figure(
        fig,
        title,
        alt=f"Gain in test accuracy over no dropout, in points, against the number of examples, with {labels}. "
        f"Three panels, one below the other, for three networks. {'; '.join(said)}.",
        caption="Notice where each line meets zero, and that it does so further to the left in smaller networks. Bands "
        "are 95 % intervals of paired differences; the axis of examples is logarithmic."
        if noise
        else "Notice how little is left above zero: most of what dropout gained came from wrong labels. "
        " Bands are 95 % intervals of paired differences.",
    )


def crossing_points(record: Record, noise: float = 0.2, title: str = "crossings") -> Picture:
    """From how many examples on dropout costs accuracy, with bootstrap intervals: a line for each network and rate.

    Args:
        record: the record "hurts-sweep".
        noise: share of wrong labels.
        title: name of the picture, unique in its chapter.
    """
    rows = [(student, p) for student in STUDENTS for p in _RATES]
    fig, ax = canvas(width=6, height=3.4)
    low, high = COUNTS[0] / 1.6, COUNTS[-1] * 1.6
    said = []
    with style():
        for i, (student, p) in enumerate(rows):
            found = crossings(COUNTS, gains(record, student, noise, p))
            best, ends = found[0], np.quantile(found[1:], (0.025, 0.975), method="nearest")
            shown = np.clip([*ends, best], low, high)
            ax.plot(shown[:2], [i, i], color=_COLOURS[p], linewidth=2)
            marker = "<" if best <= low else ">" if best >= high else MARKERS[_RATES.index(p)]
            ax.plot(shown[2], i, marker, color=_COLOURS[p], markersize=7)
            said.append(f"{student}, p = {p:g}: {_where(best)}, interval {_where(ends[0])} to {_where(ends[1])}")
        ax.axvspan(low / 1.2, COUNTS[0], color=COLOURS["grey"], alpha=0.12, linewidth=0)
        ax.axvspan(COUNTS[-1], high * 1.2, color=COLOURS["grey"], alpha=0.12, linewidth=0)
        ax.set_xscale("log")
        ax.set_xlim(low / 1.2, high * 1.2)
        ax.set_xticks([100, 1000, 10_000], ["100", "1,000", "10,000"])
        ax.minorticks_off()
        ax.set_yticks(range(len(rows)), [f"{student}, p = {p:g}" for student, p in rows])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.grid(axis="x", color=COLOURS["grey"], alpha=0.3)
        ax.set_xlabel("examples from which on dropout costs accuracy")
    return figure(
        fig,
        title,
        alt=f"Number of examples from which on dropout costs accuracy, for each network and rate. {'; '.join(said)}.",
        caption="Notice that the points move to the right from network to network, and to the left from rate to rate. "
        "Lines are 95 % bootstrap intervals over seeds; a triangle in a grey margin: the crossing lies outside what "
        "was measured.",
    )


def _where(count: float) -> str:
    if count < COUNTS[0]:
        return f"below {COUNTS[0]:,}"
    if math.isinf(count):
        return f"above {COUNTS[-1]:,}"
    return f"{float(f'{count:.2g}'):,.0f}"


def passes(record: Record, title: str = "passes") -> Picture:
    """Gain in accuracy over no dropout against how often each example was seen, a line a rate.

    Args:
        record: the record "hurts-passes".
        title: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.4, height=3)
    times = list(dict.fromkeys(int(arm.split()[1]) for arm in record.arms))
    said = []
    with style():
        ax.axhline(0, color=COLOURS["grey"], linewidth=1)
        for i, p in enumerate(_RATES):
            effects = [
                record.effect("test accuracy", f"seen {seen} times, p = {p:g}", f"seen {seen} times, p = 0")
                for seen in times
            ]
            ax.errorbar(
                np.array(times) * (1 + 0.04 * (i - 1)),
                [e.mean for e in effects],
                yerr=[e.half for e in effects],
                marker=MARKERS[i],
                linestyle=DASHES[i],
                color=_COLOURS[p],
                markersize=5,
                capsize=3,
                label=f"p = {p:g}",
            )
            said.append(
                f"p = {p:g}: " + ", ".join(f"{_signed(e.mean)} at {n}" for n, e in zip(times, effects, strict=True))
            )
        ax.set_xscale("log", base=4)
        ax.set_xticks(times, [str(n) for n in times])
        ax.minorticks_off()
        ax.set_xlabel("passes over the data, at the same number of steps")
        ax.set_ylabel("gain over p = 0 (points)")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend(loc="upper left")
    return figure(
        fig,
        title,
        alt=f"Gain in test accuracy over no dropout, in points, against the number of passes. {'; '.join(said)}.",
        caption="Notice the left end: where every example is new, there is nothing to learn by heart. Nothing else "
        "changes from left to right: the steps are the same, the examples are fewer. Bars are 95 % intervals of "
        "paired differences.",
    )


def moments(record: Record, title: str = "moments") -> Picture:
    """Gain over no dropout when it is on all the way, early, or late: a panel a regime, a line a moment.

    Args:
        record: the record "hurts-moments".
        title: name of the picture, unique in its chapter.
    """
    regimes = list(dict.fromkeys(arm.split(",")[0] for arm in record.arms))
    fig, axes = canvas(width=6.6, height=2.9, columns=len(regimes))
    colours = dict(zip(MOMENTS, (COLOURS["blue"], COLOURS["orange"], COLOURS["green"]), strict=True))
    said = []
    with style():
        for ax, regime in zip(np.atleast_1d(axes), regimes, strict=True):
            ax.axhline(0, color=COLOURS["grey"], linewidth=1)
            for i, moment in enumerate(MOMENTS):
                rates = [p for p in _RATES if f"{regime}, {moment} p = {p:g}" in record.arms]
                effects = [
                    record.effect("test accuracy", f"{regime}, {moment} p = {p:g}", f"{regime}, none") for p in rates
                ]
                ax.errorbar(
                    np.arange(len(rates)) + 0.12 * (i - 1),
                    [e.mean for e in effects],
                    yerr=[e.half for e in effects],
                    marker=MARKERS[i],
                    linestyle=DASHES[i],
                    color=colours[moment],
                    markersize=5,
                    capsize=3,
                    label=moment,
                )
                said.append(
                    f"{regime}, {moment}: "
                    + ", ".join(f"{_signed(e.mean, 2)} at {p:g}" for p, e in zip(rates, effects, strict=True))
                )
            ax.set_xticks(range(len(rates)), [f"{p:g}" for p in rates])
            ax.set_title(f"the network {regime}", loc="left")
            ax.set_xlabel("p while dropout is on")
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].set_ylabel("gain over none (points)")
        axes[0].legend(loc="lower left", title="dropout is on")
    return figure(
        fig,
        title,
        alt=f"Gain in test accuracy over no dropout, in points, two panels. {'; '.join(said)}.",
        caption="Notice that the two panels have axes of their own. Standard: on all the way. Early: on in the first "
        "sixth of the steps only. Late: on in all but the first sixth. Bars are 95 % intervals of paired differences.",
    )


def seen(record: Record, p: float = 0.2, title: str = "what-one-sees") -> Picture:
    """What one sees without dropout (accuracy on training and on new examples), and what dropout then did.

    Args:
        record: the record "hurts-sweep".
        p: the rate whose effect is marked.
        title: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=3.8)
    looks = {1: ("o", "blue", "helped"), 0: ("D", "grey", "no effect seen"), -1: ("v", "orange", "cost accuracy")}
    tally, drawn = dict.fromkeys(looks, 0), set()
    with style():
        for noise in (0.2, 0.0):
            for student in STUDENTS:
                for count, row in zip(COUNTS, gains(record, student, noise, p), strict=True):
                    effect = interval(row, paired=True)
                    sign = (effect.low > 0) - (effect.high < 0)
                    tally[sign] += 1
                    marker, colour, words = looks[sign]
                    control = name(student, count, noise, 0)
                    ax.plot(
                        record.mean("training accuracy", control).mean,
                        record.mean("test accuracy", control).mean,
                        marker,
                        color=COLOURS[colour],
                        markersize=8,
                        markerfacecolor=COLOURS[colour] if noise else "none",
                        markeredgewidth=1.6,
                        linestyle="",
                        label=None if (sign in drawn or not noise) else f"p = {p:g} {words}",
                    )
                    drawn |= {sign} if noise else set()
        ax.plot([40, 100], [40, 100], color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1)
        ax.set_xlabel("accuracy on training examples without dropout (%)")
        ax.set_ylabel("accuracy on new examples (%)")
        handles = {text: handle for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
        order = [f"p = {p:g} {words}" for _, _, words in looks.values() if f"p = {p:g} {words}" in handles]
        ax.legend([handles[text] for text in order], order, loc="lower left")
    return figure(
        fig,
        title,
        alt=f"Accuracy on new examples against accuracy on training examples of networks without dropout, one mark for "
        f"each of {sum(tally.values())} settings. p = {p:g} helped in {tally[1]}, cost accuracy in {tally[-1]}, and "
        "had no effect that was seen in the others.",
        caption="Notice how far below the dotted line (equal accuracies) dropout helped. Filled marks: one label in "
        "five wrong, so that a good network scores lower on its training examples than on new ones. Hollow marks: all "
        "labels right.",
    )


# --- recap and guide ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinkedTable:
    """A table whose last column links to claims.

    Args:
        head: names of the columns; the last one is the evidence.
        body: rows of text, without the evidence.
        evidence: ids of claims, one list a row.
        caption: what the table holds.
    """

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    evidence: tuple[tuple[str, ...], ...]
    caption: str

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.head)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
            + f"<td>{self._links(ids)}</td></tr>"
            for row, ids in zip(self.body, self.evidence, strict=True)
        )
        return (
            '<div class="companion-table claims" role="region" tabindex="0" '
            f'aria-label="Table: {escape(self.caption)}">'
            f"<table><caption>{escape(self.caption)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )

    @staticmethod
    def _links(ids: Sequence[str]) -> str:
        return ", ".join(f'<a href="{link(id)}">{escape(id)}</a>' for id in ids) or "not measured here"

    def __repr__(self) -> str:
        lines = [
            "; ".join((*row, ", ".join(ids) or "not measured here"))
            for row, ids in zip(self.body, self.evidence, strict=True)
        ]
        return "\n".join([", ".join(self.head), *lines, self.caption])


def recap_table() -> LinkedTable:
    """All variants of the course: what is dropped, the mask's shape as found in the layer, best for, cost, evidence."""
    rows = variants()
    return LinkedTable(
        ("variant", "what is dropped", "shape of the mask", "best for", "cost in training", "evidence"),
        tuple((row.name, row.dropped, str(mask_shape(row.name)), row.best, row.cost) for row in rows),
        tuple(row.evidence for row in rows),
        "The variants. Shapes were looked up in the layers: 1 where a coin holds for the whole axis; N examples, C "
        "channels, T steps, D features, V words.",
    )


def guide_table() -> LinkedTable:
    """The decision guide: what one sees, what one does, and the claims behind it."""
    rows = guide()
    return LinkedTable(
        ("regime", "what you see", "what to do", "evidence"),
        tuple((row.name, row.seen, row.decision) for row in rows),
        tuple(row.evidence for row in rows),
        "The decision guide: take the first row that fits. Claims that failed are evidence, too.",
    )
