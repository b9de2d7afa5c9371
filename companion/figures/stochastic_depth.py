"""Pictures of chapter 07: the depths of training steps, what they cost, and what the schedules gain."""

from collections.abc import Mapping, Sequence

import torch

from companion.experiments.protocol import Effect, Record
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style
from companion.schedules import depth_distribution, expected_depth

__all__ = ["depths_counted", "reported_changes", "schedules", "seeds_by_schedule", "times"]


def schedules(rates: Mapping[str, Sequence[float]], name: str = "rates-over-depth") -> Picture:
    """Probability of dropping each block, one line a schedule.

    Args:
        rates: the rates of all blocks, first block first, by the schedule's name.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.4, height=3.0)
    said = []
    with style():
        for i, (schedule, values) in enumerate(rates.items()):
            blocks = range(1, len(values) + 1)
            colour = list(COLOURS.values())[i]
            ax.plot(blocks, values, MARKERS[i], linestyle=DASHES[i], color=colour, markersize=5, label=schedule)
            said.append(f"{schedule}: from {values[0]:.3g} to {values[-1]:.3g}")
        ax.set_xlabel("block")
        ax.set_ylabel("probability of dropping it")
        ax.set_ylim(bottom=-0.02)
        ax.legend(loc="upper left")
    return figure(
        fig,
        name,
        alt=f"Probability of dropping each of {len(values)} blocks. {'; '.join(said)}.",
        caption="Notice the ends. Three straight lines share the name linear: one drops even the first block "
        "sometimes, one starts at zero and reaches the given rate, one starts at zero and never reaches it. The "
        "constant rate has the mean of the first line; it takes more from the early blocks.",
    )


def depths_counted(rates: Sequence[float], depths: torch.Tensor, name: str = "depths-counted") -> Picture:
    """Number of blocks called in training passes against the exact distribution.

    Args:
        rates: probability of dropping each block.
        depths: Tensor[passes], blocks called in each pass.
        name: name of the picture, unique in its chapter.
    """
    chances = depth_distribution(rates)
    shares = torch.bincount(depths, minlength=len(chances)).double() / len(depths)
    shown = [depth for depth, chance in enumerate(chances) if chance > 1e-4 or shares[depth] > 0]
    fig, ax = canvas(width=5.4, height=3.0)
    with style():
        label = f"counted in {len(depths):,} passes"
        ax.bar(shown, shares[shown].tolist(), 0.8, facecolor=COLOURS["blue"], label=label)
        exact = [chances[depth] for depth in shown]
        ax.plot(shown, exact, "o", color=COLOURS["orange"], markeredgecolor="white", markersize=6, label="exact")
        ax.axvline(expected_depth(rates), color=COLOURS["orange"], linestyle=DASHES[1])
        ax.set_ylim(0, 1.3 * max(float(shares.max()), *exact))  # room for the legend
        ax.set_xlabel("blocks computed")
        ax.set_ylabel("share of the passes")
        ax.legend(loc="upper left")
    return figure(
        fig,
        name,
        alt=f"Histogram of the number of blocks computed in {len(depths):,} training passes of {len(rates)} blocks, a "
        f"bell around {depths.double().mean():.2f} that ends at {int(depths.min())} and {int(depths.max())}. Dots of "
        "the exact distribution lie close to the tops of the bars; a dashed line marks the expected "
        f"{expected_depth(rates):g}.",
        caption=f"Notice how narrow the bell is: of {len(rates)} blocks, the shallowest pass computed "
        f"{int(depths.min())} and the deepest {int(depths.max())}. Coins that are independent nearly always land close "
        "to their mean.",
    )


def times(records: Mapping[str, Record], shares: Sequence[float], name: str = "times") -> Picture:
    """Time of a training step over that of the full network, one point a round.

    Args:
        records: records of :func:`companion.experiments.stochastic_depth.time_ratios`, by title; one panel each.
        shares: share of the blocks that is expected to survive, one for each record.
        name: name of the picture, unique in its chapter.
    """
    metric = "time / full"
    fig, axes = canvas(width=5.2, height=1.2 + 1.6 * len(records), rows=len(records), sharex=True, squeeze=False)
    said = []
    with style():
        for ax, share, (title, record) in zip(axes[:, 0], shares, records.items(), strict=True):
            arms = record.arms[1:]
            for i, arm in enumerate(arms):
                values, mean = record.values(metric, arm), record.mean(metric, arm)
                spread = [i + 0.24 * ((0.618 * j) % 1 - 0.5) for j in range(len(values))]
                ax.plot(values, spread, "o", color=COLOURS["grey"], markersize=4, alpha=0.7)
                ax.hlines(i, mean.low, mean.high, color=COLOURS["blue"], linewidth=3)
                ax.plot([mean.mean], [i], "D", color=COLOURS["blue"], markersize=8)
                said.append(f"{title}, {arm}: {mean.mean:.2f}, interval {mean.low:.2f} to {mean.high:.2f}")
            ax.axvline(1, color=COLOURS["grey"], linewidth=1.2, label="full depth")
            ax.axvline(share, color=COLOURS["orange"], linestyle=DASHES[1], label="share of the blocks")
            ax.set_yticks(range(len(arms)), arms)
            ax.set_ylim(len(arms) - 0.5, -0.5)
            ax.set_title(title, loc="left")
        ax.set_xlabel("time / time of full depth")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure(
        fig,
        name,
        alt="Time of a training step over that of the full network, a grey point for each round and a diamond with its "
        f"interval for the mean. {'; '.join(said)}. A solid line marks 1, a dashed one the share of the blocks that is "
        f"expected to survive, {' and '.join(f'{share:.2f}' for share in shares)}.",
        caption="Notice which diamonds reach the dashed line. With a coin for the batch they do. With a mask neither "
        "comes below the solid one. With gathered rows it depends on the size of the blocks. The grey points show how "
        "little one round says.",
    )


def seeds_by_schedule(record: Record, name: str = "seeds-by-schedule") -> Picture:
    """Accuracy by schedule, one line a seed.

    Args:
        record: the record "depth-schedules".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.0, height=3.2)
    table = [record.values("accuracy", arm) for arm in record.arms]
    with style():
        for seed in range(len(record.seeds)):
            ax.plot(range(len(table)), [row[seed] for row in table], "-", color=COLOURS["grey"], linewidth=1, alpha=0.7)
        for i, arm in enumerate(record.arms):
            mean = record.mean("accuracy", arm)
            ax.vlines(i, mean.low, mean.high, color=list(COLOURS.values())[i], linewidth=4)
            ax.plot([i], [mean.mean], MARKERS[i], color=list(COLOURS.values())[i], markersize=9)
        ax.set_xticks(range(len(table)), record.arms)
        ax.set_xlim(-0.3, len(table) - 0.7)
        ax.set_ylabel("test accuracy (%)")
    means = "; ".join(f"{arm} {record.mean('accuracy', arm).mean:.1f} %" for arm in record.arms)
    upward = sum(bool(a < b < c) for a, b, c in zip(*table, strict=True))
    return figure(
        fig,
        name,
        alt=f"Test accuracy of {len(record.seeds)} seeds, one thin line each, for three schedules. Means: {means}. "
        f"{upward} of the {len(record.seeds)} lines rise at both steps.",
        caption=f"Notice the thin lines: {upward} of {len(record.seeds)} rise from left to right without a turn. "
        "Linear and constant compute the same number of blocks on average; they differ only in which.",
    )


def reported_changes(changes: Mapping[str, Effect], name: str = "reported-changes") -> Picture:
    """Published changes of the test error by stochastic depth, with intervals from the sizes of the test sets.

    Args:
        changes: change of the error in points, by data set and network; negative is better.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=6.4, height=0.42 * len(changes) + 1.0)
    said = []
    with style():
        for i, (label, change) in enumerate(changes.items()):
            sure = change.excludes_zero
            colour = COLOURS["blue"] if sure else COLOURS["orange"]
            ax.hlines(i, change.low, change.high, color=colour, linewidth=2.5, linestyle="-" if sure else DASHES[1])
            ax.plot([change.mean], [i], "o" if sure else "s", color=colour, markersize=7)
            said.append(f"{label} {change.mean:+.2f} ({change.low:+.2f} to {change.high:+.2f})")
        ax.axvline(0, color=COLOURS["grey"], linewidth=1.2)
        ax.set_yticks(range(len(changes)), list(changes))
        ax.set_ylim(len(changes) - 0.4, -0.6)
        ax.set_xlabel("change of the test error in points (negative: better)")
    return figure(
        fig,
        name,
        alt=f"Change of the test error by stochastic depth as published, with 95 % intervals. {'; '.join(said)}.",
        caption="Notice the squares with dashed intervals, which contain zero: from those test sets nobody can tell "
        "whether stochastic depth changed anything. The intervals that exclude zero are those on CIFAR.",
    )
