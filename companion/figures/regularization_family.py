"""Pictures of chapter 14: what noise leaves of a weight, two shrinkages, three regressions, calibration, the family."""

import numpy as np
import torch

from companion.experiments.protocol import Record
from companion.experiments.regularization_family import PAIRS, kept_by_ridge, kept_by_stopping
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["calibration", "gains", "left_by_noise", "regressions", "two_shrinkages"]


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\u2212")


def left_by_noise(record: Record, name: str = "left-by-noise") -> Picture:
    """Weight that is left after steps of pure noise, against the size of the noise, for each optimizer.

    Args:
        record: the record "family-noise".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.3)
    scales = [float(metric.rsplit(" ", 1)[1]) for metric in record.metrics]
    expected = (1 - record.budget["learning rate"] * record.budget["decay"]) ** record.budget["steps"]
    colours, said = [COLOURS["green"], COLOURS["red"], COLOURS["blue"]], []
    with style():
        ax.axhline(expected, color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1.2)
        for i, arm in enumerate(record.arms):
            found = [record.mean(metric, arm) for metric in record.metrics]
            means = [effect.mean for effect in found]
            shifted = [scale * 1.05 ** (i - 1) for scale in scales]  # side by side where they agree
            ax.errorbar(
                shifted,
                means,
                yerr=[effect.half for effect in found],
                color=colours[i],
                marker=MARKERS[i],
                linestyle=DASHES[i],
                label=arm,
            )
            said.append(f"{arm}: {', '.join(_short(mean) for mean in means)}")
        ax.set_xscale("log")
        ax.set_xticks(scales, [f"{scale:g}" for scale in scales])
        ax.minorticks_off()
        ax.set_ylim(-0.03, 0.45)
        ax.set_xlabel("standard deviation of the gradient")
        ax.set_ylabel("what is left of a weight of 1")
        ax.legend(loc="center left")
    return figure(
        fig,
        name,
        alt=f"What is left of a weight against the size of its noisy gradients, {', '.join(f'{s:g}' for s in scales)}. "
        f"{'; '.join(said)}. Decay alone would leave {expected:.2f}, a dotted line.",
        caption="Notice that two of the lines are flat and lie on the dotted one: SGD and AdamW take the same share "
        "from every weight. Adam with L2 meets them at a gradient of 1 only, and wipes out quiet weights.",
    )


def two_shrinkages(lr: float = 0.05, steps: int = 100, name: str = "two-shrinkages") -> Picture:
    """Share of the least-squares weight that early stopping and the matching ridge leave, against the curvature.

    Args:
        lr: learning rate.
        steps: number of steps; the ridge has the strength 1 / (lr · steps).
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.3)
    e = torch.logspace(-3, 1.2, 400, dtype=torch.float64)
    lines = {"early stopping": kept_by_stopping(e, steps, lr), "ridge": kept_by_ridge(e, 1 / (lr * steps))}
    gap = lines["early stopping"] - lines["ridge"]
    widest = int(gap.argmax())
    with style():
        for i, (label, kept) in enumerate(lines.items()):
            ax.plot(e, kept, color=list(COLOURS.values())[i], linestyle=DASHES[i], label=label)
        ends = [float(line[widest]) for line in (lines["ridge"], lines["early stopping"])]
        ax.vlines(float(e[widest]), *ends, color=COLOURS["grey"], linewidth=1.5)
        ax.text(float(e[widest]) * 0.9, ends[1] - 0.04, f"{float(gap[widest]):.2f}", ha="right", va="bottom")
        ax.set_xscale("log")
        ax.set_xlabel("curvature e of the direction")
        ax.set_ylabel("share of the weight that is left")
        ax.legend(loc="upper left")
    spots = ", ".join(
        f"{share:.2f} against {other:.2f} at e = {at:g}"
        for at in (0.01, 0.1, 1.0)
        for share, other in [(float(kept_by_stopping(torch.tensor(at), steps, lr)), at / (at + 1 / (lr * steps)))]
    )
    return figure(
        fig,
        name,
        alt=f"Two rising curves from 0 to 1 against the curvature: early stopping after {steps} steps of {lr:g}, and "
        f"the ridge of strength {1 / (lr * steps):g}. They leave {spots}; the largest gap is {float(gap.max()):.2f}.",
        caption="Notice that both curves keep what the data determine well (right) and give up what they hardly "
        "determine (left), and that they part in the middle: early stopping turns from one to the other faster.",
    )


def regressions(record: Record, name: str = "three-regressions") -> Picture:
    """Error on new data of dropout (here a ridge) and early stopping against the strength, and of least squares.

    Args:
        record: the record "family-diabetes".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.3)
    said = []
    with style():
        for i, (arm, colour) in enumerate(zip(record.arms, ("grey", "orange", "blue"), strict=True)):
            strengths, errors = record.curve("unexplained", arm)
            errors = errors if errors.ndim == 1 else errors[0]
            look = {"marker": MARKERS[i]} if i else {}  # least squares has no strength
            ax.plot(strengths, errors, linestyle=DASHES[2 - i], color=COLOURS[colour], label=arm, **look)
            place = int(np.argmin(errors))
            said.append(
                f"{arm}: {errors[0]:.2f}" + (f", lowest {errors[place]:.2f} at {strengths[place]:.0f}" if i else "")
            )
        ax.set_xscale("log")
        ax.set_xlabel("strength λ (dropout: (n − 1)·p/(1 − p); early stopping: 1/(ηt))")
        ax.set_ylabel("unexplained share of the variance")
        ax.legend(loc="upper center")
    return figure(
        fig,
        name,
        alt=f"Unexplained share of the variance on new rows against the strength, mean over {len(record.seeds)} "
        f"splits. {'; '.join(said)}. Dropout and early stopping are two valleys of nearly the same depth.",
        caption="Notice the two valleys: too little and too much are both bad, and at their bottoms dropout and early "
        "stopping can hardly be told apart. On standardised columns the dropout curve IS the ridge curve.",
    )


def calibration(record: Record, name: str = "smoothing-and-calibration") -> Picture:
    """Calibration error against the amount of smoothing, for an over-confident network and for another one.

    Args:
        record: the record "family-smoothing".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.3)
    names, said = {"noisy": "wrong labels: over-confident", "clean": "all labels right"}, []
    with style():
        for i, (kind, words) in enumerate(names.items()):
            arms = [arm for arm in record.arms if arm.startswith(kind)]
            found = [record.mean("calibration error", arm) for arm in arms]
            strengths = [float(arm.rsplit(" ", 1)[1]) for arm in arms]
            ax.errorbar(
                strengths,
                [effect.mean for effect in found],
                yerr=[effect.half for effect in found],
                color=list(COLOURS.values())[i],
                marker=MARKERS[i],
                linestyle=DASHES[i],
                label=words,
            )
            listed = ", ".join(f"{effect.mean:.1f} at {s:g}" for s, effect in zip(strengths, found, strict=True))
            said.append(f"{words}: {listed}")
        ax.set_ylim(0, None)
        ax.set_xlabel("label smoothing ε")
        ax.set_ylabel("calibration error (%)")
        ax.legend(loc="lower right")
    return figure(
        fig,
        name,
        alt=f"Expected calibration error in percent against the amount of smoothing. {'; '.join(said)}.",
        caption="Notice the two directions. A network that is far too sure is mended by a little smoothing and spoiled "
        "by much; one that was nearly right is spoiled from the start.",
    )


def gains(record: Record, control: str = "none", name: str = "family-gains") -> Picture:
    """Gain of every regularizer over none, best first: test accuracy and negative log-likelihood.

    Args:
        record: the record "family".
        control: the arm that is subtracted.
        name: name of the picture, unique in its chapter.
    """
    arms = [arm for arm in record.metrics["NLL"] if arm != control]
    arms.sort(key=lambda arm: -record.mean("test accuracy", arm).mean)
    fig, axes = canvas(width=6.6, height=0.9 + 0.3 * len(arms), columns=2, sharey=True)
    said = []
    with style():
        for ax, metric in zip(axes, ("test accuracy", "NLL"), strict=True):
            ax.axvline(0, color=COLOURS["grey"], linewidth=1)
            for i, arm in enumerate(arms):
                effect, place = record.effect(metric, arm, control), 1 if arm in PAIRS else 0
                colour = COLOURS["orange" if place else "blue"]
                ax.hlines(i, effect.low, effect.high, color=colour, linewidth=2.2)
                ax.plot(effect.mean, i, MARKERS[place], color=colour, markersize=6)
                said.append(f"{metric}, {arm}: {effect:.2f}")
            unit = {"%": "points"}.get(record.units[metric], record.units[metric])
            ax.set_xlabel(f"change of {metric}, {unit}")
        axes[0].set_yticks(range(len(arms)), arms)
        axes[0].set_ylim(len(arms) - 0.5, -0.5)
    return figure(
        fig,
        name,
        alt=f"Differences from training without any regularizer, with 95 % intervals, best accuracy first. "
        f"{'; '.join(said)}.",
        caption="Change against no regularizer; squares are pairs. Notice how much of the ladder overlaps, and that "
        "the order of the second panel is another one: what helps the accuracy need not help the likelihood "
        "(NLL), where left is better.",
    )
