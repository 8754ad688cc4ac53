"""Texts about money and access are only in the wording package, and no code parses them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tollkeeper

SOURCE = Path(tollkeeper.__file__).parent

# The wording room; and where other words have their place: what was once, and help on settings.
ROOMS = ("wording/", "storage/migrations/", "config/")

ABOUT = re.compile(
    r"\b(pays?|paid|payments?|refund\w*|charge[ds]?|access|subscri\w+|disput\w+|buy|bought|purchases?|invoices?|billing"
    r"|trials?|renew\w*|sale|sold)\b",
    re.IGNORECASE,
)

# (where, how it begins): why it may stand there.
ALLOWED = {
    ("billing/checkout.py", "purchase of what was paid already"): "evidence, as the audit has it: what somebody did",
    ("cli/running.py", "Stopped. All payments are kept"): "the demo, of itself",
    ("cli/running.py", "\n  …: no real money"): "the demo, of itself",
    ("cli/running.py", "  Sign in as       …"): "the demo, of itself",
    ("metrics.py", "Changes of access that only"): "help on a metric",
    ("metrics.py", "Payments that a person must look at"): "help on a metric",
    ("billing/neighbours.py", "Others kept writing about this payment"): "trouble with the provider, for the log",
    ("cli/set_up.py", "Products, prices, the webhook endpoint"): "help on a command",
    ("providers/stripe/facts.py", ""): "what an operator is to do at the provider",
    ("providers/stripe/plan_changes.py", ""): "all of it on a seller's account, as it is set up",
    ("providers/stripe/purchases.py", "Price … is metered"): "what is wrong with a seller's price, to the seller",
    ("providers/stripe/refusals.py", "make (live )?charges"): "what Stripe says, to know it by",
    ("providers/stripe/account.py", "Run `tollkeeper setup stripe`, or save the portal's"): "on a seller's account",
    ("providers/stripe/setup_notices.py", ""): "all of it on a seller's account, as it is set up",
    ("providers/stripe/examined.py", ""): "all of it on a seller's account, as it is set up",
    ("providers/stripe/examination.py", "Nothing can be sold now"): "on a seller's account, as it is set up",
    ("providers/stripe/setup_plan.py", "cancel at the end of the period"): "what Stripe's portal is set up for",
    ("providers/stripe/subscriptions.py", "The subscriptions kept changing"): "trouble with the provider, for the log",
    ("web/account.py", "back from the billing portal"): "evidence",
    ("signin/github.py", "GitHub sent no access token"): "another kind of access",
    ("storage/database.py", "There is no database at"): "a warning on files, to operators",
}


def modules() -> dict[str, ast.Module]:
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text())
        for path in sorted(SOURCE.rglob("*.py"))
        if not path.relative_to(SOURCE).as_posix().startswith(ROOMS)
    }


def texts(tree: ast.AST) -> Iterator[str]:
    """All strings that a program may show, what is filled in as an ellipsis: no docstrings, no help, no log events."""
    aside = set(map(id, not_shown(tree)))
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if id(node) in aside:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            nodes += [part for part in node.values if isinstance(part, ast.FormattedValue)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        else:
            nodes += ast.iter_child_nodes(node)


def not_shown(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node  # a docstring, of an attribute too
        if isinstance(node, ast.Call):
            yield from (keyword for keyword in node.keywords if keyword.arg in {"help", "epilog"})
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "log":
                yield from node.args[:1]


def is_for_people(text: str) -> bool:
    """Whether it is a sentence about money or access."""
    words = text.split()
    return bool(ABOUT.search(text)) and (
        len(words) >= 5 or (len(words) > 1 and text.rstrip().endswith((".", "!", "?")))
    )


@cache
def found() -> frozenset[tuple[str, str]]:
    return frozenset((name, text) for name, tree in modules().items() for text in texts(tree) if is_for_people(text))


def test_sentences_about_money_and_access_stand_in_the_wording_rooms_alone() -> None:
    stray = [one for one in found() if not any(allows(place, one) for place in ALLOWED)]
    assert not stray, "\n".join(f"{name}: {text}" for name, text in sorted(stray))


def test_what_may_stand_elsewhere_stands_there() -> None:
    assert not [place for place in ALLOWED if not any(allows(place, one) for one in found())]


def allows(place: tuple[str, str], one: tuple[str, str]) -> bool:
    return place[0] == one[0] and one[1].startswith(place[1])


# Who reads a reason, a remark or a note back

READING = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "split", "replace", "find", "index"}
REASONS = {"reason", "reasons", "withheld", "remark", "remarks"}


def parsing(tree: ast.AST) -> Iterator[str]:
    """Where a reason is taken apart: by a method of strings, by a pattern, or by what is in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            reads = node.func.attr in READING and is_a_reason(node.func.value)
            matches = ast.unparse(node.func.value) == "re" or node.func.attr in {"match", "fullmatch", "search"}
            if reads or (matches and any(map(is_a_reason, node.args))):
                yield ast.unparse(node)
        if isinstance(node, ast.Compare) and any(isinstance(one, ast.In | ast.NotIn) for one in node.ops):
            words = isinstance(node.left, ast.Constant | ast.JoinedStr)
            if words and any(map(is_a_reason, node.comparators)):
                yield ast.unparse(node)


def is_a_reason(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):  # str(reason), sentence(reason)
        return any(map(is_a_reason, node.args))
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in REASONS


def test_nothing_takes_a_reason_apart() -> None:
    everywhere = {path: ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}
    assert not {path.name: reads for path, tree in everywhere.items() if (reads := list(parsing(tree)))}


# What the tests above can see

SEEN = [
    'raise Refused(404, "This is not on sale here.")',
    'detail = f"{TRY} Nothing was charged."',
    'TITLES = {402: "You need to buy this first"}',
    'log.info("refused", detail="Your payment did not succeed.")',
    'return f"{name} has a subscription until {f(day)} or so"',
]
UNSEEN = [
    '"""What is paid counts."""',
    'def f():\n    """Whether it was paid."""',
    'class A:\n    paid: int\n    """What was paid."""',
    'log.info("this was not paid for in time")',
    'typer.Option(help="What the payment is for.")',
    'column = "amount paid"',
    'return f"{name} is signed in as somebody."',
]


@pytest.mark.parametrize("code", SEEN)
def test_a_sentence_is_seen(code: str) -> None:
    assert any(map(is_for_people, texts(ast.parse(code))))


@pytest.mark.parametrize("code", UNSEEN)
def test_what_nobody_is_told_is_no_sentence(code: str) -> None:
    assert not any(map(is_for_people, texts(ast.parse(code))))


@pytest.mark.parametrize(
    "code",
    [
        'one.reason.startswith("Paid")',
        "grant.withheld.removeprefix(GRANTED)",
        'sentence(found.reason).endswith("lost.")',
        're.match("Paid", reason)',
        "PATTERN.search(str(one.reason))",
        '"disputed" in found.reason',
    ],
)
def test_anybody_who_takes_a_reason_apart_is_seen(code: str) -> None:
    assert list(parsing(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["one.reason.code in NEEDS_ACTION", 'one.reason["note"]', 'path.startswith("/gate")', "reason in reasons"]
)
def test_anybody_who_asks_for_a_code_or_a_fact_takes_nothing_apart(code: str) -> None:
    assert not list(parsing(ast.parse(code)))
