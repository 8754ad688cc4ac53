"""Whether a visitor may use a feature: every combination of visitor, feature, time and catalog."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.catalog import Catalog
from tollkeeper.gate.access import Allow, Decision, Deny, Pay, SignIn, decide, features_of, open_until
from tollkeeper.model.access import Holding, Visitor
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Product

NOW = 1_800_000_000
PERSON = Person("per_1", "Alice Example", None, NOW)

PRO = Product("pro", "Pro", frozenset({"dashboard", "reports"}))
BASIC = Product("basic", "Basic", frozenset({"dashboard"}))
BOTH = Catalog((PRO, BASIC), "stripe")
ONLY_BASIC = Catalog((BASIC,), "stripe")
NOTHING = Catalog((), "stripe")


def holding(*held: tuple[str, int | None]) -> Visitor:
    return Visitor(PERSON, "log_1", tuple(Holding(product, until) for product, until in held))


NOBODY = None
NEWCOMER = holding()
HAS_BASIC = holding(("basic", None))
HAS_PRO = holding(("pro", None))
HAS_BOTH = holding(("basic", None), ("pro", None))


def allow(visitor: Visitor, *features: str) -> Allow:
    return Allow(visitor, frozenset(features))


TABLE: list[tuple[Visitor | None, str, Catalog, Decision]] = [
    (NOBODY, "dashboard", BOTH, SignIn()),
    (NOBODY, "reports", BOTH, SignIn()),
    (NOBODY, "reports", ONLY_BASIC, Deny("reports")),
    (NOBODY, "", BOTH, Deny("")),
    (NOBODY, "dashboard", NOTHING, Deny("dashboard")),
    (NEWCOMER, "dashboard", BOTH, Pay(NEWCOMER, (PRO, BASIC))),
    (NEWCOMER, "reports", BOTH, Pay(NEWCOMER, (PRO,))),
    (NEWCOMER, "reports", ONLY_BASIC, Deny("reports")),
    (NEWCOMER, "Dashboard", BOTH, Deny("Dashboard")),
    (HAS_BASIC, "dashboard", BOTH, allow(HAS_BASIC, "dashboard")),
    (HAS_BASIC, "reports", BOTH, Pay(HAS_BASIC, (PRO,))),
    (HAS_BASIC, "dashboard", NOTHING, Deny("dashboard")),
    (HAS_PRO, "dashboard", BOTH, allow(HAS_PRO, "dashboard", "reports")),
    (HAS_PRO, "reports", BOTH, allow(HAS_PRO, "dashboard", "reports")),
    (HAS_PRO, "reports", ONLY_BASIC, Deny("reports")),
    (HAS_PRO, "dashboard", ONLY_BASIC, Pay(HAS_PRO, (BASIC,))),
    (HAS_BOTH, "dashboard", ONLY_BASIC, allow(HAS_BOTH, "dashboard")),
    (HAS_BOTH, "pro", BOTH, Deny("pro")),
]


@pytest.mark.parametrize(("visitor", "feature", "catalog", "decision"), TABLE)
def test_who_may_use_what(visitor: Visitor | None, feature: str, catalog: Catalog, decision: Decision) -> None:
    assert decide(visitor, feature, catalog, NOW) == decision


@pytest.mark.parametrize(
    ("until", "holds"),
    [(None, True), (NOW + 1, True), (2**62, True), (NOW, False), (NOW - 1, False), (0, False), (-1, False)],
)
def test_a_holding_counts_to_the_last_second_before_its_end(until: int | None, holds: bool) -> None:
    visitor = holding(("pro", until))
    expected = allow(visitor, "dashboard", "reports") if holds else Pay(visitor, (PRO,))
    assert decide(visitor, "reports", BOTH, NOW) == expected


def test_what_has_run_out_takes_nothing_from_what_has_not() -> None:
    visitor = holding(("pro", NOW), ("basic", NOW + 1))
    assert decide(visitor, "dashboard", BOTH, NOW) == allow(visitor, "dashboard")
    assert decide(visitor, "reports", BOTH, NOW) == Pay(visitor, (PRO,))
    assert features_of(visitor, BOTH, NOW + 1) == frozenset()


def test_until_when_is_reported_for_each_feature() -> None:
    assert open_until(HAS_BOTH, BOTH, NOW) == {"dashboard": None, "reports": None}
    visitor = holding(("pro", NOW + 5), ("basic", NOW + 9))
    assert open_until(visitor, BOTH, NOW) == {"dashboard": NOW + 9, "reports": NOW + 5}
    assert open_until(visitor, BOTH, NOW + 5) == {"dashboard": NOW + 9}
    assert open_until(holding(("pro", None), ("basic", NOW + 9)), BOTH, NOW) == {"dashboard": None, "reports": None}
    assert open_until(NEWCOMER, BOTH, NOW) == {}


keys = st.sampled_from(["a", "b", "c", "d"])
features = st.sampled_from(["x", "y", "z", ""])
catalogs = st.dictionaries(keys, st.frozensets(features), max_size=4).map(
    lambda unlocks: Catalog(tuple(Product(key, key, opened) for key, opened in unlocks.items()), "stripe")
)
untils = st.none() | st.integers(NOW - 2, NOW + 2)
visitors = st.none() | st.lists(st.tuples(keys, untils), max_size=5).map(lambda held: holding(*held))


@given(visitor=visitors, feature=features, catalog=catalogs)
def test_only_a_holding_in_force_of_a_product_that_unlocks_it_lets_anybody_in(
    visitor: Visitor | None, feature: str, catalog: Catalog
) -> None:
    opened_by = {product.key for product in catalog.products if feature in product.unlocks}
    held = set() if visitor is None else {h.product for h in visitor.holdings if h.until is None or h.until >= NOW + 1}
    decision = decide(visitor, feature, catalog, NOW)
    assert isinstance(decision, Allow) == bool(opened_by & held)
    assert isinstance(decision, Deny) == (not opened_by)
    assert isinstance(decision, SignIn) == (bool(opened_by) and visitor is None)
    if isinstance(decision, Allow):
        assert decision.visitor is visitor
        assert feature in decision.features
