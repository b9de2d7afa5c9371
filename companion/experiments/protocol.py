"""The protocol of every experiment: paired seeds, intervals, typed records, and settings chosen without the test set.

An experiment is a function that trains or computes and returns a :class:`Record`. Records of trained experiments are
kept as files (``companion/experiments/records``), because training drifts apart from its last digits on another
processor: a chapter runs the experiment, tests with :func:`verified` that the run agrees with the stored record within
half of the record's own interval width, and prints and draws the record.
"""

import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from scipy import stats
from torch import Tensor
from tqdm.auto import tqdm

from companion.data import Examples, TestSetOpened
from companion.files import write_whole

__all__ = [
    "Disagreement",
    "Effect",
    "Found",
    "Record",
    "Sentence",
    "Table",
    "by_arm",
    "choose",
    "in_blocks",
    "interval",
    "load",
    "make_record",
    "paired",
    "say",
    "scores",
    "seed_blocks",
    "side_by_side",
    "verified",
]

RECORDS = Path(__file__).parent / "records"


class Disagreement(AssertionError):
    """A run does not agree with its stored record."""


@dataclass(frozen=True)
class Effect:
    """A mean over seeds with its interval.

    Args:
        mean: the mean, in ``unit``.
        low, high: ends of the interval.
        n: number of seeds.
        level: confidence level of the interval.
        unit: "" or for example "%" or "nats".
        paired: whether it is a mean of paired differences, which is printed with its sign.
    """

    mean: float
    low: float
    high: float
    n: int
    level: float = 0.95
    unit: str = ""
    paired: bool = False

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __format__(self, spec: str) -> str:
        """``f"{effect}"`` gives mean and interval, ``f"{effect:.1f}"`` with that many digits."""
        spec = spec or ".3g"
        if self.paired and not spec.startswith("+"):
            spec = "+" + spec
        low, high = format(self.low, spec), format(self.high, spec)
        # A difference of percentages is counted in points.
        near, behind = {"": ("", ""), "%": ("", " points") if self.paired else ("%", "")}.get(
            self.unit, ("", f" {self.unit}")
        )
        return f"{format(self.mean, spec)}{near} [{low}, {high}]{behind}".replace("-", "\u2212")

    def plus_minus(self) -> str:
        """Mean ± half-width, both to the second significant digit of the half-width."""
        if self.half == 0:
            words = f"{self.mean:.3g} ± 0"
        elif self.half < 1e-5:
            words = f"{self.mean:.2g} ± {self.half:.1g}"
        else:
            decimals = max(0, 1 - math.floor(math.log10(self.half)))
            words = f"{self.mean:.{decimals}f} ± {self.half:.{decimals}f}"
        return words.replace("-", "\u2212")

    def __str__(self) -> str:
        return format(self, "")


def _as_array(values: Any, name: str) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    array = array.astype(float)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{name} must be a list of 2 or more numbers, one a seed, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array.tolist()}")
    return array


def interval(
    values: Any, *, level: float = 0.95, method: Literal["t", "bootstrap"] = "t", unit: str = "", paired: bool = False
) -> Effect:
    """Mean of ``values`` with a confidence interval.

    Args:
        values: one number a seed, at least two.
        level: confidence level in (0, 1).
        method: "t" for Student's t; "bootstrap" for the bias-corrected bootstrap of scipy with 9999 resamples and a
            fixed generator.
        unit: unit of the numbers.
        paired: whether they are paired differences.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    values = _as_array(values, "values")
    mean = float(values.mean())
    if values.std() == 0:
        return Effect(mean, mean, mean, len(values), level, unit, paired)
    if method == "t":
        low, high = stats.t.interval(level, len(values) - 1, loc=mean, scale=stats.sem(values))
    elif method == "bootstrap":
        result = stats.bootstrap((values,), np.mean, confidence_level=level, rng=np.random.default_rng(0))
        low, high = result.confidence_interval
    else:
        raise ValueError(f"method must be 't' or 'bootstrap', got {method!r}")
    return Effect(mean, float(low), float(high), len(values), level, unit, paired)


def paired(
    values: Any, control: Any, *, level: float = 0.95, method: Literal["t", "bootstrap"] = "t", unit: str = ""
) -> Effect:
    """Mean paired difference ``values - control`` with its interval: entry i of both belongs to seed i."""
    a, b = _as_array(values, "values"), _as_array(control, "control")
    if a.shape != b.shape:
        raise ValueError(f"values and control must hold the same seeds, got {len(a)} and {len(b)} numbers")
    return interval(a - b, level=level, method=method, unit=unit, paired=True)


@dataclass(frozen=True)
class Record:
    """What an experiment measured.

    Args:
        name: name of the experiment and of its file.
        task: data and sizes, in words.
        arms: what was compared; the order is that of tables and figures.
        seeds: seeds shared by all arms.
        budget: what every arm was given, for example ``{"steps": 800, "batch": 50}``.
        metrics: ``metrics[metric][arm]`` is one number a seed.
        units: unit of a metric, if it has one.
        curves: ``curves[curve][arm]`` is one list of numbers a seed, and ``curves[curve]["x"]`` the positions.
        notes: figures' raw material that no test compares (a weight matrix to draw, say).
        seconds: wall time of the run.
        versions: versions of Python and the packages, and the processor.
        tolerance: per metric, an absolute difference that is round-off and never a disagreement.
    """

    name: str
    task: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Sequence[float]]]
    units: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    tolerance: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for metric, arms in self.metrics.items():
            for arm, values in arms.items():
                if arm not in self.arms:
                    raise ValueError(f"metrics[{metric!r}] names the arm {arm!r}, which is not one of {self.arms}")
                if len(values) != len(self.seeds):
                    raise ValueError(
                        f"metrics[{metric!r}][{arm!r}] must hold one number for each of the {len(self.seeds)} seeds, "
                        f"got {len(values)}"
                    )

    def values(self, metric: str, arm: str) -> np.ndarray:
        """The numbers of one arm, one a seed."""
        if metric not in self.metrics:
            raise KeyError(f"metric must be one of {sorted(self.metrics)}, got {metric!r}")
        if arm not in self.metrics[metric]:
            raise KeyError(f"arm must be one of {list(self.metrics[metric])}, got {arm!r}")
        return np.asarray(self.metrics[metric][arm], dtype=float)

    def mean(self, metric: str, arm: str) -> Effect:
        """Mean over seeds with its interval."""
        return interval(self.values(metric, arm), unit=self.units.get(metric, ""))

    def effect(self, metric: str, arm: str, control: str) -> Effect:
        """Mean paired difference ``arm - control`` over seeds with its interval."""
        return paired(self.values(metric, arm), self.values(metric, control), unit=self.units.get(metric, ""))

    def curve(self, curve: str, arm: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (length) and values (seeds, length) of a curve."""
        return np.asarray(self.curves[curve]["x"], dtype=float), np.asarray(self.curves[curve][arm], dtype=float)

    def table(
        self,
        metrics: Sequence[str] | None = None,
        *,
        arms: Sequence[str] | None = None,
        title: str = "",
    ) -> "Table":
        """Table of metrics (rows) and arms (columns): means with half-widths of their 95 % intervals.

        Args:
            metrics: which metrics; default: all.
            arms: which arms; default: all.
            title: what a screen reader calls the table; default: the record's name. Tables of one page need different
                ones.
        """
        unknown = set(arms or ()) - set(self.arms)
        if unknown:
            raise KeyError(f"arms must be among {list(self.arms)}, got {sorted(unknown)}")
        return Table(self, tuple(metrics or self.metrics), tuple(arms or self.arms), title or self.name)

    def save(self, folder: Path = RECORDS) -> Path:
        """Writes the record to ``folder/name.json``, whole or not at all."""
        text = json.dumps(_rounded(asdict(self)), indent=1, ensure_ascii=False) + "\n"
        return write_whole(folder / f"{self.name}.json", _compact(text))

    def __repr__(self) -> str:
        return f"Record({self.name!r}: {len(self.arms)} arms, {len(self.seeds)} paired seeds, {self.task})"


def _rounded(value: Any) -> Any:
    """Floats to 5 significant digits, containers alike: more digits are noise, and files stay small."""
    if isinstance(value, Tensor):
        return _rounded(value.detach().cpu().tolist())
    if isinstance(value, np.ndarray | np.generic):
        return _rounded(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a record must hold finite numbers, got {value}")
        return float(f"{value:.5g}")
    return value


def _compact(text: str) -> str:
    """Puts lists of numbers on one line, so that a change of a record reads well."""
    return re.sub(r"\[\s+([-+\d.e,\s]+?)\s+\]", lambda m: "[" + " ".join(m.group(1).split()) + "]", text)


def make_record(name: str, *, started: float, **parts: Any) -> Record:
    """Builds a :class:`Record`: adds versions and the seconds since ``started`` (``time.perf_counter()``), rounds."""
    import numpy
    import scipy
    import sklearn

    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
    parts = {key: _rounded(value) if key != "arms" else value for key, value in parts.items()}
    parts["arms"], parts["seeds"] = tuple(parts["arms"]), tuple(parts["seeds"])
    return Record(name=name, seconds=round(time.perf_counter() - started, 1), versions=versions, **parts)


def by_arm(arms: Sequence[str], rows: Tensor) -> dict[str, Tensor]:
    """Rows of a tensor by the names of their arms."""
    return dict(zip(arms, rows, strict=True))


def scores(arms: Sequence[str], found: Mapping[str, Tensor]) -> dict[str, Any]:
    """Parts of a record for what :func:`companion.training.evaluate` found: accuracy in percent and NLL in nats.

    Args:
        arms: names of the arms, in order.
        found: "accuracy" and "nll", each Tensor[arms, seeds].

    Returns:
        Keyword arguments of :func:`make_record`: arms, metrics and units.
    """
    values = {"accuracy": 100 * found["accuracy"], "NLL": found["nll"]}
    return {
        "arms": tuple(arms),
        "metrics": {metric: by_arm(arms, rows) for metric, rows in values.items()},
        "units": {"accuracy": "%", "NLL": "nats"},
    }


Found = dict[str, dict[str, Tensor]]


def seed_blocks(seeds: Sequence[int], size: int = 8) -> list[Sequence[int]]:
    """The seeds in blocks that train at once: other blocks do not matter to a block, a chapter can do one again."""
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


def in_blocks(measure: Callable[[Sequence[int]], Found], seeds: Sequence[int], size: int = 8) -> Found:
    """Calls ``measure(block) -> metric -> arm -> Tensor[block, ...]`` for each of the :func:`seed_blocks`, joins."""
    found = [measure(block) for block in seed_blocks(seeds, size)]
    return {
        metric: {arm: torch.cat([block[metric][arm] for block in found]) for arm in arms}
        for metric, arms in found[0].items()
    }


def load(name: str, folder: Path = RECORDS) -> Record:
    """Reads the stored record ``name``."""
    path = folder / f"{name}.json"
    if not path.exists():
        known = sorted(p.stem for p in folder.glob("*.json"))
        raise FileNotFoundError(f"name must be one of the stored records {known}, got {name!r}")
    parts = json.loads(path.read_text(encoding="utf-8"))
    parts["arms"], parts["seeds"] = tuple(parts["arms"]), tuple(parts["seeds"])
    return Record(**parts)


def disagreements(result: Record, record: Record) -> list[str]:
    """Where ``result`` leaves the tolerance of ``record``: sentences, none if they agree.

    Compared are the mean of every arm and its paired difference from the first arm. On another processor the last
    digits round differently, and where training is chaotic the run is one more draw. Then the difference of both means
    has √2 times the standard error of one, so the tolerance is √2 times half the width of the record's own 95 %
    interval (or ``record.tolerance[metric]``, if larger).
    """
    for part in ("arms", "seeds", "task", "budget"):
        if (ours := getattr(result, part)) != (theirs := getattr(record, part)):
            return [f"{part}: the record has {theirs}, this run {ours}"]
    found = []
    for metric, arms in record.metrics.items():
        floor = record.tolerance.get(metric, 0.0)
        first = next(iter(arms))
        for arm in arms:
            pairs = [(arm, record.mean(metric, arm), result.mean(metric, arm))]
            if arm != first:
                label = f"{arm} minus {first}"
                pairs.append((label, record.effect(metric, arm, first), result.effect(metric, arm, first)))
            for label, kept, now in pairs:
                allowed = max(math.sqrt(2) * kept.half, floor, 1e-9 * abs(kept.mean))
                if abs(now.mean - kept.mean) > allowed:
                    found.append(
                        f"{metric}, {label}: the record has {kept.mean:.5g}, this run {now.mean:.5g}, "
                        f"allowed difference {allowed:.2g}"
                    )
    return found


def verified(result: Record, folder: Path = RECORDS, *, part: bool = False) -> Record:
    """Tests that ``result`` agrees with the stored record, says so, and returns the stored record.

    Args:
        result: what was run just now.
        folder: where records are stored.
        part: whether ``result`` may hold only some of the record's arms and seeds: those are compared, and it says
            how many they are. For records that take longer to make than a chapter may run; what is run must have been
            trained apart from what is left out.

    Raises:
        Disagreement: with every metric that left its tolerance.
        FileNotFoundError: if there is no record of that name yet (``make records`` makes it).
    """
    record = load(result.name, folder)
    compared = _only(record, result.arms, result.seeds) if part else record
    found = disagreements(result, compared)
    if found:
        raise Disagreement(f"the run of {result.name!r} disagrees with its record:\n  " + "\n  ".join(found))
    means = sum(len(arms) for arms in compared.metrics.values())
    arms, seeds = (
        f"{len(some)} of {len(every)}" if len(some) < len(every) else f"{len(every)}"
        for some, every in ((compared.arms, record.arms), (compared.seeds, record.seeds))
    )
    print(
        f"{record.name}: {arms} arms × {seeds} paired seeds were run just now; "
        f"all {means} means agree with the stored record."
    )
    return record


def _only(record: Record, arms: Sequence[str], seeds: Sequence[int]) -> Record:
    """The record of some of its arms and seeds; what it does not have is left for the comparison to name."""
    kept = tuple(arm for arm in record.arms if arm in arms)
    places = [i for i, seed in enumerate(record.seeds) if seed in seeds]
    metrics = {
        metric: {arm: [values[arm][i] for i in places] for arm in kept if arm in values}
        for metric, values in record.metrics.items()
    }
    return replace(
        record,
        arms=kept,
        seeds=tuple(record.seeds[i] for i in places),
        metrics={metric: values for metric, values in metrics.items() if values},
    )


def side_by_side(*experiments: Callable[[], Record]) -> list[Record]:
    """Runs experiments at the same time, each in a process of its own with one thread, and returns their records.

    Small nets train fastest on one thread, which leaves the other cores with nothing to do. The processes are joblib's:
    on a cluster, ``joblib.parallel_config("dask")`` puts them there.

    Args:
        experiments: functions of modules, without arguments.

    Returns:
        The records in the order of the experiments.
    """
    jobs = min(len(experiments), cpu_count())
    if jobs < 2:
        return [experiment() for experiment in experiments]
    running = Parallel(n_jobs=jobs, return_as="generator")(delayed(_alone)(experiment) for experiment in experiments)
    hidden = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    return list(tqdm(running, total=len(experiments), desc="experiments", leave=False, disable=hidden))


def _alone(experiment: Callable[[], Record]) -> Record:
    torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"  # bars of several processes would write over each other
    return experiment()


@dataclass(frozen=True)
class Table:
    """Metrics against arms, for a notebook's output."""

    record: Record
    metrics: tuple[str, ...]
    arms: tuple[str, ...]
    title: str

    def _rows(self) -> list[list[str]]:
        rows = []
        for metric in self.metrics:
            unit = self.record.units.get(metric, "")
            row = [f"{metric} ({unit})" if unit else metric]
            for arm in self.arms:
                if arm in self.record.metrics[metric]:
                    row.append(self.record.mean(metric, arm).plus_minus())
                else:
                    row.append("–")
            rows.append(row)
        return rows

    def _caption(self) -> str:
        budget = ", ".join(f"{key} {value}" for key, value in self.record.budget.items())
        return (
            f"{self.record.task}; {len(self.record.seeds)} paired seeds; {budget}; "
            f"{self.record.seconds:g} s. Mean ± half-width of the 95 % interval."
        )

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(arm)}</th>' for arm in self.arms)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self._rows()
        )
        return (
            f'<div class="companion-table" role="region" aria-label="Table: {escape(self.title)}" tabindex="0">'
            f"<table><caption>{escape(self._caption())}</caption>"
            f'<thead><tr><th scope="col">mean over seeds</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def __repr__(self) -> str:
        rows = [["", *self.arms], *self._rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, self._caption()])


@dataclass(frozen=True)
class Sentence:
    """Text made by a cell: Markdown where it can be shown, plain text elsewhere."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def say(text: str) -> Sentence:
    """A sentence whose numbers come from the cell that says it: ``say(f"The mean is {mean:.2f}.")``."""
    return Sentence(" ".join(text.split()))


def choose(settings: Sequence[Any], score: Callable[[Any, Examples], float], examples: Examples | None) -> Any:
    """Returns the setting with the highest score on validation examples.

    Args:
        settings: the candidates.
        score: ``score(setting, examples)``, higher is better.
        examples: validation examples of a task; None (a task drawn without validation examples) is refused.

    Raises:
        TestSetOpened: if ``examples`` are test examples, however they were got.
        ValueError: if there are no settings, or the examples are training examples.
    """
    if not settings:
        raise ValueError("settings must hold at least one candidate, got none")
    if examples is None:
        raise ValueError("examples must be validation examples, got None: draw the task with n_validation > 0")
    role = getattr(examples, "role", None)
    if role == "test" or type(examples).__name__ == "SealedTest":
        raise TestSetOpened(
            "examples must be validation examples: a setting chosen on the test set is not tested by it"
        )
    if role != "validation":
        raise ValueError(f"examples must have the role 'validation', got {role!r}")
    return max(settings, key=lambda setting: score(setting, examples))
