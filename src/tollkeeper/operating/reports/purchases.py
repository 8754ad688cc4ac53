"""Payments that need a look, and what was done about them."""

from collections.abc import Sequence

from tollkeeper.model.selling import OffSale
from tollkeeper.operating.adoption import Adopted
from tollkeeper.operating.explanations import (
    PaymentIssue,
)
from tollkeeper.operating.reports.people import CASE_COLUMNS, case_json, case_row, found_json, payment_json
from tollkeeper.operating.reports.tables import mention_more, print_json, print_table, say
from tollkeeper.providers.protocol import ProviderFacts
from tollkeeper.storage.findings import Noted
from tollkeeper.wording import off_sale as wording_off_sale
from tollkeeper.wording.adoption import other_sales
from tollkeeper.wording.explanations import NO_CASES, ended
from tollkeeper.wording.operators import sentence


def payments_in_words(
    found: Sequence[PaymentIssue],
    more: bool,
    facts: ProviderFacts,
    other_sales_: int = 0,
    unsold: Sequence[OffSale] = (),
) -> None:
    """One line for each payment to look at, and what cannot be sold at the moment.

    ``other_sales_`` is how many others on the account are not listed.
    """
    if found:
        print_table(CASE_COLUMNS, [case_row(one) for one in found])
        mention_more(more)
    else:
        say(NO_CASES)
    if other_sales_:
        say(other_sales(other_sales_))
    if unsold:
        say("")
        off_sale_in_words(unsold, facts)


def payments_in_json(
    found: Sequence[PaymentIssue],
    more: bool,
    facts: ProviderFacts,
    other_sales_: int = 0,
    unsold: Sequence[OffSale] = (),
) -> None:
    """The same for machines."""
    output = {"payments": [case_json(one) for one in found], "more": more, "other_sales": other_sales_}
    print_json(output | {"off_sale": [wording_off_sale.in_json(one, facts.remedies) for one in unsold]})


def off_sale_in_words(unsold: Sequence[OffSale], facts: ProviderFacts) -> None:
    """What the provider refuses to sell, and what to do about it."""
    say("The provider refuses to sell:\n", style="red")
    for one in unsold:
        say(wording_off_sale.listed(one, facts.title, facts.remedies))
    say(f"\n{wording_off_sale.BY_ITSELF}")


def dismissed_in_words(done: Sequence[Noted], note: str) -> None:
    """What will not be listed any more."""
    for one in done:
        say(f"{one.payment} is off the list, until something new is found of it: {note}")


def dismissed_in_json(done: Sequence[Noted], note: str) -> None:
    """The same for machines."""
    print_json({"dismissed": [payment_json(one) for one in done], "note": note})


def adopted_in_words(done: Adopted) -> None:
    """What was assigned to whom, and the result."""
    person, found = done.whom.person, done.found
    say(done.whom.sentence)
    say(f"{found.payment} is assigned to {person.name} ({person.id}), and follows the provider from now on.")
    if done.trouble is None:
        say(f"{found.product or ''}: {found.verdict.value}. {sentence(found.reason)}")
    else:
        say(
            f"The provider could not be asked ({done.trouble}). It will be asked again. To ask now:"
            f" tollkeeper reconcile {person.id}"
        )


def adopted_in_json(done: Adopted) -> None:
    """The same for machines."""
    print_json({**found_json(done.whom), "adopted": payment_json(done.found), "trouble": done.trouble})


def ended_in_words(source: str, found: Noted | None) -> None:
    """What became of a subscription that was to end."""
    say(ended(source, found))


def ended_in_json(source: str, found: Noted | None) -> None:
    """The same for machines."""
    print_json({"subscription": source, "found": None if found is None else payment_json(found)})
