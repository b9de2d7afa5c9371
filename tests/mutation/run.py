"""Mutation testing of the masks and the layers: every small change of their code must turn a test red.

    make mutants                                            all modules of TESTS below
    python tests/mutation/run.py masks dropout              some of them
    python tests/mutation/run.py masks --results FOLDER     the same in parts: the report is made when FOLDER has all

The mutants are those of mutmut (an operator swapped, a number or a text changed, an argument left out, ...). They are
run in another way than mutmut does, whose wrapped functions torch.compile cannot trace: the tests are collected once,
and for each mutant the process forks; the child puts the mutated code into the function object, runs the tests that
reach the changed line, quickest first, and stops at the first that fails. Nothing is written to the working tree but
the report, README.md beside this file, in which each survivor stands with its reason from ``survivors.toml``.
"""

import argparse
import ast
import importlib
import json
import os
import re
import resource
import signal
import sys
import textwrap
import time
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import coverage
import hypothesis
import libcst as cst
import pytest
import torch
from _pytest.runner import runtestprotocol
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]
import companion  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# The module and the files with its tests. The whole family's conventions are tests of every one.
FAMILY = ["test_conventions.py", "test_statistics.py"]
TESTS = {
    "masks": ["test_masks.py", "test_base.py", "test_dropout.py", "test_dropblock.py"],
    "layers.base": ["test_base.py", "test_dropout.py", "test_spatial.py"],
    "layers.dropout": ["test_dropout.py"],
    "layers.spatial": ["test_spatial.py"],
    "layers.noise": ["test_noise.py"],
    "layers.dropconnect": ["test_dropconnect.py"],
    "layers.stochastic_depth": ["test_stochastic_depth.py"],
    "layers.dropblock": ["test_dropblock.py"],
    "layers.recurrent": ["test_recurrent.py"],
}
# Slow ones that only repeat, in another process or compiler, what others test.
SKIPPED = ("inductor", "ranks", "record", "exported")

# Where only the masks or the base are mutated, the conventions are tested on these layers.
FOR_ALL = ("dropout", "dropout of maps", "drop_block 2d", "drop_connect_linear", "gaussian_dropout", "Dropout")

# Tests up to this sum of their times are tried first. The survivors then meet the others that reach the function, up to
# the second sum: a slow test that alone would kill a mutant is not worth the hours.
FIRST_SECONDS, ALL_SECONDS = 5.0, 10.0
GOAL = 0.9


# --- the mutants ------------------------------------------------------------------------------------------------------


@dataclass
class Mutant:
    module: str
    function: str  # with its class, if it is a method
    before: str  # the lines that differ
    after: str
    source: str  # of the mutated function
    original: str  # of the function as it is
    lines: range  # that the change touches
    body: range  # of the function
    status: str = "not run"
    killer: str = ""
    seconds: float = 0.0
    reason: str = ""
    passed: set[str] = field(default_factory=set)  # tests that it has survived

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.module, self.function, self.before, self.after


class Visitor(MutationVisitor):
    """mutmut's, but for one thing: functions under a decorator are mutated too (mutmut could not wrap them)."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        return not isinstance(node, cst.FunctionDef) and super()._skip_node_and_children(node)


def functions_of(tree: cst.Module) -> list[tuple[str, cst.FunctionDef]]:
    found = []
    for statement in tree.body:
        if isinstance(statement, cst.FunctionDef):
            found.append((statement.name.value, statement))
        elif isinstance(statement, cst.ClassDef):
            methods = [entry for entry in statement.body.body if isinstance(entry, cst.FunctionDef)]
            found += [(f"{statement.name.value}.{method.name.value}", method) for method in methods]
    return found


def text_of(node: cst.FunctionDef) -> str:
    """The function's text in lines of logic: one statement a line, no comments, no docstrings."""
    return ast.unparse(ast.parse(textwrap.dedent(cst.Module([node.with_changes(leading_lines=[])]).code)))


def mutants_of(module: str) -> list[Mutant]:
    path = ROOT / "companion" / f"{module.replace('.', '/')}.py"
    wrapper = MetadataWrapper(cst.parse_module(path.read_text()))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    positions = wrapper.resolve(PositionProvider)
    names = {id(node): name for name, node in functions_of(wrapper.module)}
    found, seen = [], set()
    for mutation in visitor.mutations:
        function = mutation.contained_by_top_level_function
        if id(function) not in names:
            continue  # a constant of the module or of a class
        changed = text_of(function.deep_replace(mutation.original_node, mutation.mutated_node)).splitlines()
        original = text_of(function).splitlines()
        span, body = positions[mutation.original_node], positions[function]
        differ = [pair for pair in zip(original, changed, strict=False) if pair[0] != pair[1]]
        if not differ or len(original) != len(changed):
            continue
        before, after = ("\n".join(side.strip() for side in sides) for sides in zip(*differ, strict=True))
        mutant = Mutant(
            f"companion.{module}",
            names[id(function)],
            before,
            after,
            "\n".join(changed),
            "\n".join(original),
            range(span.start.line, span.end.line + 1),
            range(body.start.line, body.end.line + 1),
        )
        if mutant.key not in seen:
            seen.add(mutant.key)
            found.append(mutant)
    return found


def put_in_place(mutant: Mutant) -> None:
    """Gives the living function object the mutated code: whoever holds it, an operator of torch say, runs that now."""
    module = importlib.import_module(mutant.module)
    owner, _, name = mutant.function.rpartition(".")
    tree = ast.parse(mutant.source)
    tree.body[0].decorator_list = []
    if "super(" in mutant.original:  # which needs a cell with the class, also in a mutant without it
        tree.body[0].body.insert(0, ast.parse("__class__").body[0])
    source = ast.unparse(tree)
    space = dict(vars(module))
    if owner:  # in a class of the same name, so that super() finds its own
        space[owner] = None
        source = f"class {owner}:\n{textwrap.indent(source, '    ')}"
    exec(compile(f"from __future__ import annotations\n{source}", module.__file__, "exec"), space)
    new = vars(space[owner])[name] if owner else space[name]
    old = vars(getattr(module, owner))[name] if owner else getattr(module, name)
    if hasattr(old, "cache_clear"):
        old.cache_clear()
    old = getattr(old, "__func__", getattr(old, "fget", getattr(old, "__wrapped__", old))) or old
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


# --- running them -----------------------------------------------------------------------------------------------------


class Sessions:
    """Plugin of pytest: instead of running the collected tests once, runs them for one mutant after the other."""

    def __init__(self, modules: list[str], jobs: int, only: str) -> None:
        self.modules, self.jobs = modules, jobs
        self.mutants = [m for module in modules for m in mutants_of(module) if re.search(only, m.function)]
        self.times: dict[str, float] = {}
        self.reach: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.kills: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if self.concerns(item) and not any(word in item.name for word in SKIPPED)]

    def concerns(self, item: pytest.Item) -> bool:
        """Whether a test of the whole family is run on a layer of these modules, or on one that stands for all."""
        if item.path.name not in FAMILY:
            return True
        values = [v for value in parameters(item) for v in (value if isinstance(value, tuple) else (value,))]
        layers = [value for value in values if hasattr(value, "variant")]
        homes = {getattr(companion, layer.name).__module__.removeprefix("companion.") for layer in layers}
        if not layers or homes & set(self.modules):
            return True
        return bool({"masks", "layers.base"} & set(self.modules)) and any(str(layer) in FOR_ALL for layer in layers)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        print(f"{len(self.mutants)} mutants, {len(self.items)} tests", flush=True)
        self.measure()
        self.control()
        self.run_all(self.mutants, thorough=False)
        survivors = [mutant for mutant in self.mutants if mutant.status == "survived"]
        print(f"{len(survivors)} survived the first tests; they meet the others")
        self.run_all(survivors, thorough=True)
        return True

    def measure(self) -> None:
        """Which tests reach which line, and how long they take: once, in a child, with the code as it is."""
        ours, theirs = os.pipe()
        if not (child := os.fork()):
            seen = coverage.Coverage(data_file=None, source=["companion"], config_file=False)
            result = {"times": {}, "reach": [], "red": []}
            seen.start()
            for name, item in self.items.items():
                seen.switch_context(name)
                start = time.process_time()
                if not passes(item):
                    result["red"].append(name)
                result["times"][name] = time.process_time() - start
            seen.stop()
            data = seen.get_data()
            for module in TESTS:
                path = str(ROOT / "companion" / f"{module.replace('.', '/')}.py")
                for line, names in data.contexts_by_lineno(path).items():
                    result["reach"].append((f"companion.{module}", line, sorted(names)))
            with os.fdopen(theirs, "w") as stream:
                json.dump(result, stream)
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as stream:
            result = json.load(stream)
        os.waitpid(child, 0)
        if result["red"]:
            print(f"red without a mutant, left out: {result['red']}")
        red = set(result["red"])
        self.times = {name: seconds for name, seconds in result["times"].items() if name not in red}
        for module, line, names in result["reach"]:
            self.reach[module, line] |= set(names) & self.times.keys()
        print(f"{sum(self.times.values()):.0f} s of tests", flush=True)

    def control(self) -> None:
        """Each function put in place as it is must pass, or its mutants would be killed by something else."""
        same = [replace(group[0], source=group[0].original, passed=set()) for group in self.by_function().values()]
        self.run_all(same, thorough=False)
        for mutant in same:
            if mutant.status != "survived":
                print(f"red without a change: {mutant.function}: {mutant.status} {mutant.killer}")
                if mutant.killer in self.times:
                    del self.times[mutant.killer]
                    for names in self.reach.values():
                        names.discard(mutant.killer)

    def by_function(self) -> dict[tuple[str, str], list[Mutant]]:
        groups = defaultdict(list)
        for mutant in self.mutants:
            groups[mutant.module, mutant.function].append(mutant)
        return groups

    def tests_for(self, mutant: Mutant, thorough: bool) -> list[str]:
        reaching = set().union(*(self.reach[mutant.module, line] for line in mutant.lines))
        if thorough or not reaching:  # a signature runs at import, and what torch.compile reads is not seen to run
            reaching |= set().union(*(self.reach[mutant.module, line] for line in mutant.body))
            reaching |= {name for name in self.times if re.search("compil|signature|default|keyword", name)}
        # What killed other mutants of the function may kill this one too.
        kills = self.kills[mutant.module, mutant.function]
        chosen, total = [], 0.0
        for name in sorted(reaching, key=lambda name: (-kills[name], self.times[name])):
            total += self.times[name]
            if chosen and total > (ALL_SECONDS if thorough else FIRST_SECONDS):
                break
            chosen.append(name)
        return chosen

    def run_all(self, mutants: list[Mutant], thorough: bool) -> None:
        waiting, running = list(reversed(mutants)), {}
        done = 0
        while waiting or running:
            while waiting and len(running) < self.jobs:
                mutant = waiting.pop()
                tests = [name for name in self.tests_for(mutant, thorough) if name not in mutant.passed]
                mutant.passed |= set(tests)
                pid, pipe = self.start(mutant, tests)
                running[pid] = mutant, pipe, time.monotonic()
            pid, status = os.waitpid(-1, 0)
            if pid not in running:
                continue
            mutant, pipe, started = running.pop(pid)
            with os.fdopen(pipe) as stream:
                mutant.killer = stream.read()
            mutant.seconds = time.monotonic() - started
            code = os.waitstatus_to_exitcode(status)
            mutant.status = {0: "survived", 1: "killed"}.get(
                code, f"killed ({signal.Signals(-code).name})" if code < 0 else "error"
            )
            if code == 1:
                self.kills[mutant.module, mutant.function][mutant.killer] += 1
            done += 1
            if done % 100 == 0:
                print(f"{done} of {len(mutants)}", flush=True)

    def start(self, mutant: Mutant, tests: list[str]) -> tuple[int, int]:
        ours, theirs = os.pipe()
        if pid := os.fork():
            os.close(theirs)
            return pid, ours
        code = 2
        try:
            allowed = 20 + int(4 * sum(self.times[name] for name in tests))
            resource.setrlimit(resource.RLIMIT_CPU, (allowed, allowed + 5))
            resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
            signal.alarm(20 * allowed)  # of the clock, for a test that waits for ever
            code = 0
            try:
                put_in_place(mutant)
            except Exception as error:
                os.write(theirs, f"cannot be compiled: {error!r}"[:200].encode())
                code = 3
            for name in tests if code == 0 else ():
                if not passes(self.items[name]):
                    os.write(theirs, name.encode())
                    code = 1
                    break
        except BaseException as error:
            os.write(theirs, repr(error)[:200].encode())
            code = 2
        finally:
            os._exit(code)


def parameters(item: pytest.Item) -> list:
    return list(item.callspec.params.values()) if hasattr(item, "callspec") else []


def passes(item: pytest.Item) -> bool:
    try:
        return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))
    except Exception:  # while pytest writes down a failure: the mutant may be in what it shows
        return False


# --- the report -------------------------------------------------------------------------------------------------------

KEPT = ("module", "function", "before", "after", "status", "killer", "seconds")


def store(mutants: list[Mutant], folder: Path) -> None:
    """Writes what came out to a file for each module."""
    folder.mkdir(parents=True, exist_ok=True)
    for module in dict.fromkeys(mutant.module for mutant in mutants):
        rows = [{name: getattr(m, name) for name in KEPT} for m in mutants if m.module == module]
        (folder / f"{module.removeprefix('companion.')}.json").write_text(json.dumps(rows, indent=1))


def stored(folder: Path) -> list[Mutant]:
    """The mutants of all modules of which the folder holds the results, with no code in them."""
    paths = [folder / f"{module}.json" for module in TESTS]
    rows = [row for path in paths if path.exists() for row in json.loads(path.read_text())]
    blank = {"source": "", "original": "", "lines": range(0), "body": range(0)}
    return [Mutant(**blank, **{name: row[name] for name in KEPT}) for row in rows]


def give_reasons(mutants: list[Mutant]) -> list[Mutant]:
    """Writes the reasons of survivors.toml to the mutants; returns the survivors that have none."""
    listed = tomllib.loads((HERE / "survivors.toml").read_text()).get("survivor", [])
    reasons = {(f"companion.{e['module']}", e["function"], e["before"], e["after"]): e["reason"] for e in listed}
    survivors = [mutant for mutant in mutants if not mutant.status.startswith("killed")]
    for mutant in survivors:
        mutant.reason = reasons.get(mutant.key, "")
    return [mutant for mutant in survivors if not mutant.reason]


def cell(text: str) -> str:
    return "<br>".join(f"`{line}`" for line in text.replace("|", "\\|").splitlines())


def report(mutants: list[Mutant]) -> str:
    lines = ["| module | mutants | killed | survivors |", "| --- | --- | --- | --- |"]
    for module in dict.fromkeys(mutant.module for mutant in mutants):
        group = [mutant for mutant in mutants if mutant.module == module]
        killed = sum(mutant.status.startswith("killed") for mutant in group)
        lines.append(f"| `{module}` | {len(group)} | {killed} ({killed / len(group):.1%}) | {len(group) - killed} |")
    killed = sum(mutant.status.startswith("killed") for mutant in mutants)
    lines.append(f"| all | {len(mutants)} | {killed} ({killed / len(mutants):.1%}) | {len(mutants) - killed} |")
    for module in dict.fromkeys(mutant.module for mutant in mutants):
        group = [m for m in mutants if m.module == module and not m.status.startswith("killed")]
        if group:
            lines += [
                "",
                f"### `{module}`",
                "",
                "| function | from | to | why it survives |",
                "| --- | --- | --- | --- |",
            ]
        lines += [
            f"| `{m.function}` | {cell(m.before)} | {cell(m.after)} | {m.reason or '**not known**'} |" for m in group
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(TESTS)}; default: all")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (default: 1)")
    parser.add_argument("--function", default="", help="only mutants of functions whose name matches this")
    parser.add_argument(
        "--again", action="store_true", help="only what survived in the folder of results, after new tests"
    )
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="folder with a file of results for each module")
    options = parser.parse_args()
    modules = [m if m in TESTS else f"layers.{m}" for m in options.modules] or list(TESTS)
    os.chdir(ROOT)
    hypothesis.settings.register_profile(
        "mutation", derandomize=True, database=None, deadline=None, phases=[hypothesis.Phase.generate]
    )
    hypothesis.settings.load_profile("mutation")
    # The compiler is loaded here, once, and not in each child.
    torch.compile(lambda x: x.sin(), backend="aot_eager_decomp_partition")(torch.ones(2, requires_grad=True))
    torch._dynamo.reset()
    files = dict.fromkeys(f"tests/{name}" for module in modules for name in (*TESTS[module], *FAMILY))
    sessions = Sessions(modules, options.jobs, options.function)
    killed = {m.key: m for m in stored(options.results) if m.status.startswith("killed")} if options.again else {}
    every, sessions.mutants = sessions.mutants, [m for m in sessions.mutants if m.key not in killed]
    present = [name for name in files if (ROOT / name).exists()]
    pytest.main([*present, "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"], plugins=[sessions])
    mutants = sessions.mutants
    if options.results:
        store([killed.get(mutant.key, mutant) for mutant in every], options.results)
        mutants = stored(options.results)
    unknown = give_reasons(mutants)
    if not options.function and len({mutant.module for mutant in mutants}) == len(TESTS):
        head = (HERE / "README.md").read_text().split("<!-- results -->")[0]
        (HERE / "README.md").write_text(f"{head}<!-- results -->\n\n{report(mutants)}")
    print(report(mutants))
    killed = sum(mutant.status.startswith("killed") for mutant in mutants) / len(mutants)
    print(f"{killed:.1%} killed, {len(unknown)} survivors without a reason")
    return int(killed < GOAL or bool(unknown))


if __name__ == "__main__":
    sys.exit(main())
