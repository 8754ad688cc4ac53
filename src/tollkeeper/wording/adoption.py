"""PURE. What operators read when they adopt or dismiss payments: what prevents it, and what to do instead."""

from tollkeeper.model.access import Grant, Verdict
from tollkeeper.model.orders import Order
from tollkeeper.model.people import Person
from tollkeeper.storage.findings import Noted
from tollkeeper.wording.operators import sentence
from tollkeeper.words import day


def nothing_to_look_at(payment: str) -> str:
    """An id that an operator wants to dismiss."""
    return f"{payment} is not a payment that needs a look: `tollkeeper payments` lists those."


def nothing_to_restore(payment: str) -> str:
    """An id that an operator wants back on the list."""
    return f"{payment} was not dismissed: `tollkeeper payments --all` lists what was."


def nothing_to_adopt(payment: str) -> str:
    """An id that an operator gave, of which the provider knows nothing."""
    return (
        f"The provider knows nothing that was bought under the id {payment}. Give the id of the subscription or of the"
        " checkout session."
    )


def several_lines(payment: str) -> str:
    """A purchase of several things at once, which no order of ours can be for."""
    return f"{payment} paid for several things at once. To give access: tollkeeper grant PERSON PRODUCT --note WHY"


def other_product(price_id: str, product: str) -> str:
    """A product that the price does not sell."""
    return f"Its price, {price_id}, sells {product}: leave out --product, or name that product."


def product_to_say(price_id: str) -> str:
    """A price that the catalog does not know."""
    return f"No product in the catalog has its price, {price_id}: name the product with --product PRODUCT."


def account_deleted(person: Person) -> str:
    """A person whose account was deleted."""
    return f"{person.id} has deleted their account. Nothing can be assigned to it."


def paid_by_another(payment: str, person_id: str) -> str:
    """A payment by a customer who is known here as somebody else."""
    return f"{payment} was paid by a customer who is {person_id} here. Adopt it for them."


def adopted_already(payment: str, order: Order | None = None) -> str:
    """A payment that is already adopted."""
    if order is None:
        return f"{payment} was adopted a moment ago."
    undo = f"tollkeeper revoke {order.person_id} {order.product} --note WHY"
    return f"{payment} was adopted for {order.person_id} on {day(order.created_at)}. To end the access it gives: {undo}"


def granted_already(payment: str, grant: Grant) -> str:
    """A payment that an operator granted something for."""
    undo = f"tollkeeper revoke {grant.person_id} {grant.product} --note WHY"
    return f"An operator has granted {grant.product} to {grant.person_id} for {payment}. To undo that first: {undo}"


def not_to_adopt(payment: str, one: Noted | None) -> str:
    """What is not waiting to be adopted."""
    if one is None:
        return nothing_to_adopt(payment)
    why = f"{payment} is {one.verdict.value}, so there is nothing to adopt. {sentence(one.reason)}"
    if one.verdict is not Verdict.QUARANTINED:
        return why
    return f"{why} To give access for it: tollkeeper grant PERSON PRODUCT --payment {one.payment} --note WHY"


def other_sales(count: int) -> str:
    """How many sales on the account do not concern this site."""
    sales = "1 other sale" if count == 1 else f"{count} other sales"
    return f"Not shown: {sales} on the account, unrelated to this site. To list them: --all."
