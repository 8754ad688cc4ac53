"""Change one thing of what decides who gets in, and see which test of the short lane finds it. `scripts/mutate`."""

import argparse
import ast
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
APP = Path("src", "tollkeeper")

# What decides who gets in, and how many mutants are drawn in each module.
DRAWN = {
    "billing/entitlements.py": 11,
    "model/bought.py": 4,
    "providers/stripe/subscriptions.py": 3,
    "providers/stripe/purchases.py": 2,
    "gate/access.py": 2,
    "model/access.py": 1,
    "redirects.py": 3,
    "billing/reconcile.py": 4,
    "storage/grants.py": 2,
    "storage/visitors.py": 1,
    "gate/door.py": 1,
    "gate/handovers.py": 1,
    "storage/handovers.py": 1,
    "web/gate.py": 1,
    "web/handovers.py": 1,
    "web/purchase.py": 1,
    "settings/parsers.py": 1,
}

# The short lane, what finds most and takes least first.
STAGES = (
    ("tests/unit",),
    ("tests/web", "tests/signin"),
    ("tests/providers", "tests/storage"),
    ("tests/faults",),
    ("tests",),
)

SETTINGS = """\
[cosmic-ray]
module-path = {modules}
timeout = 1.0
excluded-modules = []
test-command = ""
[cosmic-ray.distributor]
name = "local"
"""

PLACES = """\
SELECT start_pos_row, start_pos_col, operator_name, occurrence FROM mutation_specs
WHERE module_path = ? ORDER BY 1, 2, 3, 4
"""

FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.M)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: an operator of cosmic-ray's, and which of the places in the module that it could change."""

    module: str
    line: int
    operator: str
    occurrence: int

    def apply(self, clone: Path) -> None:
        _run(clone, "cosmic-ray", "apply", str(APP / self.module), self.operator, str(self.occurrence))


def main() -> int:
    """0 if every mutant was found."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), metavar="S", help="draws the same again (the time)"
    )
    parser.add_argument("--list", action="store_true", help="show the mutants, and run no tests")
    given = parser.parse_args()
    sys.stdout.write(f"scripts/mutate --seed {given.seed}\n")
    missed = 0
    with TemporaryDirectory(prefix="tollkeeper-mutants-") as made:
        clone = Path(made, "clone")
        _run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        for number, (mutant, change) in enumerate(draw(clone, random.Random(given.seed)), 1):
            found = "" if given.list else found_by(mutant, clone)
            missed += not (found or given.list)
            verdict = "" if given.list else f"  {found or 'MISSED'}\n"
            sys.stdout.write(f"{number} {mutant.module}:{mutant.line}\n{change}{verdict}")
            sys.stdout.flush()
    return 1 if missed else 0


def draw(clone: Path, rng: random.Random) -> Iterator[tuple[Mutant, str]]:
    """Mutants with what each changes, as a diff without context: first a place, then what becomes of it. At most one
    in each line, and none that changes nothing when the app runs.
    """
    for module, count in DRAWN.items():
        places: dict[tuple[int, int, str], list[Mutant]] = {}
        for line, column, operator, occurrence in _places(clone, module):
            kind = operator.partition("_")[0]
            places.setdefault((line, column, kind), []).append(Mutant(module, line, operator, occurrence))
        shuffled = list(places)
        rng.shuffle(shuffled)
        lines: set[int] = set()
        for place in shuffled:
            if len(lines) == count:
                break
            mutant = rng.choice(places[place])
            if mutant.line not in lines and (change := _change(mutant, clone)):
                lines.add(mutant.line)
                yield mutant, change


def found_by(mutant: Mutant, clone: Path) -> str:
    """The first test of the short lane that fails; empty if none does."""
    mutant.apply(clone)
    try:
        for paths in STAGES:
            command = ["scripts/test", *paths, "-m", "not long", "-x", "-q", "--tb=no", "-n", "2", "--dist", "loadfile"]
            done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
            if done.returncode:
                failed = FAILED.search(done.stdout)
                return failed[1] if failed else f"{' '.join(paths)}: exit status {done.returncode}"
        return ""
    finally:
        _restore(clone)


def _places(clone: Path, module: str) -> list[tuple[int, int, str, int]]:
    """Every place in a module that cosmic-ray could change: line, column, operator and occurrence."""
    path, session = APP / module, clone.parent / "session.sqlite"
    settings = clone.parent / "settings.toml"
    settings.write_text(SETTINGS.format(modules=f'["{path}"]'))
    _run(clone, "cosmic-ray", "init", "--force", str(settings), str(session))
    with sqlite3.connect(session) as db:
        return db.execute(PLACES, (str(path),)).fetchall()


def _change(mutant: Mutant, clone: Path) -> str:
    """What a mutant changes, as a diff without context; empty if it is no mutant to be found by a test."""
    path = clone / APP / mutant.module
    before = path.read_text()
    mutant.apply(clone)
    try:
        if _decisive(path.read_text()) in {None, _decisive(before)}:
            return ""
        lines = _run(clone, "git", "diff", "--unified=0").splitlines()[5:]
        return "".join(f"  {line}\n" for line in lines if line[1:].strip() and line[0] in "+-")
    finally:
        _restore(clone)


def _decisive(code: str) -> str | None:
    """What is left of a module without annotations, docstrings, log lines and options of data classes; None if it is
    no Python.
    """
    try:
        return ast.dump(_Decisive().visit(ast.parse(code)))
    except SyntaxError:
        return None


class _Decisive(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                decorator.keywords = [one for one in decorator.keywords if one.arg not in {"frozen", "slots"}]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if _is_type(node.value):
            node.value = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_log = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).startswith("log.")
        return ast.Pass() if is_log or isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _is_type(value: ast.AST) -> bool:
    """Whether it is an alias of types: ``A | B``, or what a mutant makes of it."""
    if isinstance(value, ast.BinOp):
        return all(isinstance(side, ast.Name) or _is_type(side) for side in (value.left, value.right)) and any(
            isinstance(one, ast.Name) and not one.id.isupper() and one.id[0].isupper() for one in ast.walk(value)
        )
    return False


def _restore(clone: Path) -> None:
    _run(clone, "git", "checkout", "--quiet", "--", "src")


def _run(folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        sys.exit(
            f"{command[0]} is not on PATH: install it into a virtual environment of its own, see docs/simulator.md"
        )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
