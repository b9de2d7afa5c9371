"""Pictures of chapter 04: predictions of one pass against both means, and averages over K masks."""

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from scipy import stats

from companion.experiments.protocol import Record, interval
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["averages_against_one_pass", "gap", "means_against_one_pass", "rms_error"]

GEOMETRIC, ARITHMETIC = "geometric mean", "arithmetic mean"
_LOOK = {
    GEOMETRIC: ("blue", "D", ((0, 1), (1, 0), (0, -1), (-1, 0))),
    ARITHMETIC: ("orange", "s", ((1, 1), (1, -1), (-1, -1), (-1, 1))),
}


def _points(ax, x: np.ndarray, y: np.ndarray, kind: str, size: float = 0.012) -> None:
    """A scatter drawn as one path: hundreds of markers of their own would weigh more than the page."""
    colour, marker, corners = _LOOK[kind]
    shape = np.array([*corners, corners[0]]) * size * (1.2 if marker == "D" else 0.8)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    vertices = (np.stack([x, y], 1)[:, None] + shape).reshape(-1, 2)
    ax.add_patch(PathPatch(Path(vertices, codes * len(x)), facecolor=COLOURS[colour], linewidth=0, alpha=0.8))
    ax.plot([], [], color=COLOURS[colour], marker=marker, linestyle="none", markersize=5, label=kind)


def means_against_one_pass(one_layer: Record, two_layers: Record, most: int = 200) -> Picture:
    """Probabilities of the two means against those of one pass: one masked layer (exact), two masked layers (close)."""
    fig, axes = canvas(5.6, 3.2, columns=2, sharex=True, sharey=True)
    worst = {}
    panels = ((axes[0], one_layer, "one masked layer"), (axes[1], two_layers, "two masked layers"))
    with style():
        for ax, record, title in panels:
            scatter = {kind: np.asarray(values)[:most] for kind, values in record.notes["scatter"].items()}
            ax.plot([0, 1], [0, 1], color=COLOURS["grey"], linewidth=1)
            for kind in (ARITHMETIC, GEOMETRIC):
                _points(ax, scatter["one pass"], scatter[kind], kind)
                worst[title, kind] = np.abs(scatter["one pass"] - scatter[kind]).max()
            ax.set(title=title, xlabel="probability by one pass", aspect="equal")
            ax.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
        axes[0].set_ylabel("probability by the mean\nof all subnetworks")
        axes[0].legend(loc="upper left", handletextpad=0.1, borderaxespad=0.1, fontsize=9.5)
    left, right = "one masked layer", "two masked layers"
    return figure(
        fig,
        "means-against-one-pass",
        alt=f"""Two scatter plots of class probabilities, mean of all subnetworks against one pass, for one network
        each. Left, one masked layer: the geometric means lie on the diagonal; the arithmetic means lie above it near 0
        and below it further up, at most {worst[left, ARITHMETIC]:.2f} away. Right, two masked layers: the geometric
        means lie near the diagonal, at most {worst[right, GEOMETRIC]:.2f} away, the arithmetic means form an S that is
        flatter than the diagonal, at most {worst[right, ARITHMETIC]:.2f} away.""",
        caption="""What to notice: on the left every geometric mean is on the diagonal, to the last digit; on the right
        it is near it. The arithmetic mean is drawn towards the middle in both: it hedges, because some of the
        subnetworks disagree.""",
    )


def _band(ax, x: np.ndarray, y: np.ndarray, number: int, name: str, colour: str) -> None:
    mean = y.mean(0)
    half = stats.t.ppf(0.975, len(y) - 1) * stats.sem(y, axis=0)
    ax.fill_between(x, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
    ax.plot(x, mean, color=colour, linestyle=DASHES[number], marker=MARKERS[number], markersize=4, label=name)


def rms_error(record: Record) -> Picture:
    """RMS error of the average over K masks on log-log axes, with the line of slope -1/2 that the law predicts."""
    fig, ax = canvas(5.2, 3.2)
    slopes = []
    with style():
        for number, (p, colour) in enumerate((("p=0.5", "blue"), ("p=0.2", "orange"))):
            x, y = record.curve("RMS error", p)
            one = record.mean(f"RMS distance from the arithmetic mean, {p}", "one subnetwork").mean
            _band(ax, x, y, number, f"{p}, measured", COLOURS[colour])
            ends = np.array([0.6, 170])
            ax.plot(ends, one / np.sqrt(ends), color=COLOURS["grey"], linewidth=1, zorder=0)
            slopes.append(record.mean(f"slope of the RMS error, {p}", ARITHMETIC).mean)
        ax.set(xscale="log", yscale="log", xlabel="number of masks averaged, K", ylabel="RMS error of the average")
        ax.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
        ax.set_yticks([0.01, 0.03, 0.1], ["0.01", "0.03", "0.1"])
        ax.minorticks_off()
        ax.legend(loc="lower left")
    return figure(
        fig,
        "rms-error",
        alt=f"""Root-mean-square distance between the average over K sampled masks and the mean over all 1,024, on
        logarithmic axes. Both curves, p = 0.5 and p = 0.2, are straight lines that fall with the slopes
        {slopes[0]:.2f} and {slopes[1]:.2f}, on top of the thin grey lines of slope −1/2.""".replace("-0", "−0"),
        caption="""What to notice: the thin grey lines are no fit. They are the exact spread of one subnetwork, known
        from the enumeration, divided by the root of K. Four times as many masks halve the error.""",
    )


def averages_against_one_pass(one_layer: Record, two_layers: Record, wide: Record) -> Picture:
    """NLL of the average over K masks minus the NLL of one pass, for three kinds of network."""
    fig, axes = canvas(5.2, 5.6, rows=3, sharex=True)
    settings = (
        (axes[0], one_layer, "p=0.5", "64-10-10, digits, p = 0.5"),
        (axes[1], two_layers, "p=0.2", "2-10-10-2, moons, p = 0.2"),
        (axes[2], wide, "wide", "64-128-128-10, digits, p = 0.5"),
    )
    ends = []
    with style():
        for number, (ax, record, arm, title) in enumerate(settings):
            x, y = record.curve("NLL minus one pass", arm)
            _band(ax, x, y, number, title, COLOURS[("blue", "orange", "green")[number]])
            ax.axhline(0, color=COLOURS["grey"], linewidth=1)
            ax.set_xscale("log")
            ax.set_title(title, fontsize=10.5)
            ax.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
            ax.minorticks_off()
            ends.append(interval(y[:, -1]))
        axes[1].set_ylabel("NLL of K masks − NLL of one pass (nats)")
        axes[2].set_xlabel("number of masks averaged, K")
    words = "; ".join(f"{title}, {end.mean:+.3f}" for (_, _, _, title), end in zip(settings, ends, strict=True))
    return figure(
        fig,
        "averages-against-one-pass",
        alt=f"""Three panels: negative log-likelihood of the average over K masks minus that of one pass, K from 1 to
        100, with a band for the 95 % interval and a line at zero. All curves fall and level off. At K = 100 they
        stand at: {words}.""".replace("-0", "−0"),
        caption="""What to notice: each curve levels off at the arithmetic mean's own distance from one pass, above or
        below zero. More masks bring the average closer to the arithmetic mean, not to the one pass.""",
    )


def gap(record: Record) -> Picture:
    """Largest difference between the geometric mean and one pass for six kinds of network, one point a seed."""
    fig, ax = canvas(5.6, 2.9)
    names = list(record.arms)
    middles = {}
    with style():
        for row, name in enumerate(names):
            values = np.maximum(record.values("max |GM − one pass|", name), 1e-17)
            exact = values.max() < 1e-6
            middles[name] = float(np.median(values))
            ax.scatter(
                values,
                np.full(len(values), row),
                color=COLOURS["blue" if exact else "orange"],
                marker="D" if exact else "s",
                s=26,
                alpha=0.7,
                linewidths=0,
            )
        ax.axvline(1e-6, color=COLOURS["grey"], linewidth=1, linestyle=DASHES[1])
        ax.set(
            xscale="log", xlim=(1e-16, 3), ylim=(len(names) - 0.5, -0.5), xlabel="largest |geometric mean − one pass|"
        )
        ax.set_yticks(range(len(names)), names)
        ax.set_xticks([1e-15, 1e-10, 1e-6, 1e-2, 1], ["1e−15", "1e−10", "1e−6", "0.01", "1"])
        ax.minorticks_off()
    words = ", ".join(f"{name} {value:.1g}" for name, value in middles.items() if value > 1e-6)
    return figure(
        fig,
        "gap",
        alt=f"""Largest difference in probability between the geometric mean of all 4,096 subnetworks and one pass, on a
        logarithmic axis, one point a seed. Linear networks and networks that drop only before their last layer stand
        below 1e−12, at round-off. The others stand above 0.01; their medians are {words}.""",
        caption="""What to notice: there is nothing in between. Where the logits are affine in each mask, only round-off
        is left; where an activation comes after a mask, the gap is real, and training with dropout makes it small.""",
    )
