"""People, and why they have access."""

from collections.abc import Sequence
from typing import Any

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Grant, Operator
from tollkeeper.model.bought import Invoice
from tollkeeper.operating.explanations import (
    Explanation,
    PaymentIssue,
    answers,
    by_operator,
    cases,
    history,
    in_short,
    remarks,
)
from tollkeeper.operating.lookup import Found
from tollkeeper.operating.operators import Listed
from tollkeeper.operating.reports.tables import iso_or_none, mention_more, print_json, print_table, say, section
from tollkeeper.reasons import Reason
from tollkeeper.storage.columns import reason_to_json
from tollkeeper.storage.findings import Noted
from tollkeeper.wording.explanations import PAYMENTS_LAST_SEEN, PAYMENTS_NOW, nothing_paid_back
from tollkeeper.wording.forms import invoice_state
from tollkeeper.wording.operators import sentence
from tollkeeper.words import day, iso, moment, money, price


def people_in_words(listed: Sequence[Listed], more: bool) -> None:
    """One line for each person."""
    rows = [
        (one.person.id, one.person.name, one.person.email, ", ".join(one.issuers), ", ".join(one.holds))
        for one in listed
    ]
    print_table(("id", "name", "e-mail", "signs in with", "holds"), rows)
    mention_more(more)


def people_in_json(listed: Sequence[Listed], more: bool) -> None:
    """The same for machines."""
    print_json({"people": [listed_json(one) for one in listed], "more": more})


def listed_json(one: Listed) -> dict[str, Any]:
    return {
        "id": one.person.id,
        "name": one.person.name,
        "email": one.person.email,
        "created_at": iso(one.person.created_at),
        "issuers": one.issuers,
        "holds": one.holds,
    }


def explanation_in_words(explained: Explanation, catalog: Catalog) -> None:
    """The answers first, then the evidence."""
    person = explained.person
    say(f"{person.name}  {person.email or 'no e-mail address'}  {person.id}")
    say(f"First here on {day(person.created_at)}; signs in with {', '.join(explained.issuers) or 'nothing'}.\n")
    for answer in answers(explained, catalog):
        say(answer.sentence, style="green" if answer.allowed else "yellow")
    for remark in remarks(explained, catalog):
        say(remark)
    say("")
    if explained.trouble is not None:
        say(f"The provider could not be asked ({explained.trouble}), so this is what is stored here.\n", style="red")
    if explained.outdated:
        say(f"The provider now says something different: run `tollkeeper reconcile {person.id}`.\n", style="red")
    section("To look at", CASE_COLUMNS, [case_row(one) for one in cases_of(explained, catalog)])
    title = PAYMENTS_NOW if explained.trouble is None else PAYMENTS_LAST_SEEN
    section(title, PAYMENT_COLUMNS, [_payment_row(one) for one in explained.payments])
    for one in explained.payments:
        rows = [_invoice_row(invoice, one.currency) for invoice in one.invoices]
        section(f"Invoices of subscription {one.source}", INVOICE_COLUMNS, rows)
    section("Grants", GRANT_COLUMNS, [_grant_row(one) for one in explained.grants])
    happenings = in_short(history(explained))
    section("History", HISTORY_COLUMNS, [(iso(one.at), one.kind, one.id, one.words) for one in happenings])


CASE_COLUMNS = ("when", "payment", "amount", "what", "who", "reason", "what to do")


PAYMENT_COLUMNS = ("when", "payment", "amount", "refunded", "verdict", "reason")


INVOICE_COLUMNS = ("from", "to", "invoice", "payment", "amount", "refunded", "how it stands")


GRANT_COLUMNS = ("product", "from", "source", "payment", "amount", "since", "until", "ended", "reason")


HISTORY_COLUMNS = ("when", "what", "id", "words")


def cases_of(explained: Explanation, catalog: Catalog) -> tuple[PaymentIssue, ...]:
    return cases(explained.unexplained, explained.surplus, catalog, explained.person.id, remarked=explained.remarked)


def case_row(one: PaymentIssue) -> tuple[str, ...]:
    who = one.person_id or one.email or "nobody known"
    kind = one.kind if one.dismissed is None else f"{one.kind}, dismissed"
    return (iso(one.at), one.payment, price(one.amount, one.currency), kind, who, one.reason, one.remedy)


def _payment_row(one: Noted) -> tuple[str, ...]:
    refunded = money(one.refunded, one.currency) if one.refunded else ""
    amount = money(one.amount, one.currency)
    return (iso(one.bought_at), one.payment, amount, refunded, one.verdict.value, sentence(one.reason))


def _invoice_row(one: Invoice, currency: str) -> tuple[str, ...]:
    refunded = money(one.refunded, currency) if one.refunded else ""
    when = (iso(one.starts), iso(one.ends))
    return (*when, one.id, one.reference or "", money(one.total, currency), refunded, invoice_state(one))


def _grant_row(grant: Grant) -> tuple[str, ...]:
    until = "for good" if grant.until is None else iso(grant.until)
    ended = "" if grant.revoked_at is None else iso(grant.revoked_at)
    amount = price(grant.amount, grant.currency)
    where = (grant.product, _given_by(grant), grant.source, grant.reference or "")
    return (*where, amount, iso(grant.since), until, ended, sentence(grant.reason))


def explanation_in_json(explained: Explanation, catalog: Catalog) -> None:
    """The same for machines. Where the provider could not be asked, ``trouble`` says why."""
    person, answered = explained.person, answers(explained, catalog)
    print_json(
        {
            "person": {
                "id": person.id,
                "name": person.name,
                "email": person.email,
                "created_at": iso(person.created_at),
                "issuers": explained.issuers,
            },
            "mode": "live" if explained.live else "test",
            "at": iso(explained.now),
            "features": [{"feature": a.feature, "allowed": a.allowed, "why": a.sentence} for a in answered],
            "remarks": remarks(explained, catalog),
            "outdated": explained.outdated,
            "trouble": explained.trouble,
            "to_look_at": [case_json(one) for one in cases_of(explained, catalog)],
            "payments": [payment_json(one) for one in explained.payments],
            "grants": [grant_json(one) for one in explained.grants],
            "history": [
                {"at": iso(one.at), "kind": one.kind, "id": one.id, "words": one.words} for one in history(explained)
            ],
        }
    )


def case_json(one: PaymentIssue) -> dict[str, Any]:
    return {
        "what": one.kind,
        "at": iso(one.at),
        "payment": one.payment,
        "amount": one.amount,
        "currency": one.currency,
        "product": one.product,
        "person": one.person_id,
        "email": one.email,
        "reason": one.reason,
        "what_to_do": one.remedy,
        "dismissed": None if one.dismissed is None else sentence(one.dismissed),
    }


def payment_json(one: Noted) -> dict[str, Any]:
    return {
        "source": one.source,
        "payment": one.reference,
        "at": iso(one.bought_at),
        "amount": one.amount,
        "refunded": one.refunded,
        "currency": one.currency,
        "product": one.product,
        "verdict": one.verdict.value,
        **reason_json(one.reason),
        "invoices": [invoice_json(invoice) for invoice in one.invoices],
        "told_at": iso(one.found_at),
    }


def invoice_json(one: Invoice) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.bill.value,
        "from": iso(one.starts),
        "to": iso(one.ends),
        "amount": one.total,
        "paid": one.paid,
        "refunded": one.refunded,
        "dispute": one.dispute.value,
        "due_at": iso_or_none(one.due_at),
        "paid_at": iso_or_none(one.paid_at),
        "payment": one.reference,
        "trouble": one.trouble,
    }


def _given_by(grant: Grant) -> str:
    """The provider's name, or that it was an operator."""
    return "operator" if isinstance(grant.origin, Operator) else grant.origin.provider


def grant_json(grant: Grant) -> dict[str, Any]:
    return {
        "product": grant.product,
        "from": _given_by(grant),
        "source": grant.source,
        "payment": grant.reference,
        "amount": grant.amount,
        "currency": grant.currency,
        "since": iso(grant.since),
        "until": iso_or_none(grant.until),
        "revoked_at": iso_or_none(grant.revoked_at),
        "withheld": None if grant.withheld is None else sentence(grant.withheld),
        **reason_json(grant.reason),
    }


def reason_json(reason: Reason) -> dict[str, Any]:
    """A reason in words, and as the code and the facts that the words are made of."""
    return {"reason": sentence(reason), "because": reason_to_json(reason)}


def granted_in_words(found: Found, grant: Grant) -> None:
    """Whom the command found, and what they may use from now on."""
    person = found.person
    say(found.sentence)
    until = "for good" if grant.until is None else f"until {moment(grant.until)}"
    say(f"{person.name} ({person.id}) holds {grant.product} now, {until}.")


def granted_in_json(found: Found, grant: Grant) -> None:
    """The same for machines."""
    print_json({**found_json(found), "granted": grant_json(grant)})


def found_json(found: Found) -> dict[str, Any]:
    person = found.person
    described = {"id": person.id, "name": person.name, "email": person.email, "issuers": found.issuers}
    return {"person": person.id, "found": described}


def revoked_in_words(found: Found, ended: Sequence[Grant]) -> None:
    """Whom the command found, what they may no longer use, and which money was not refunded."""
    person = found.person
    say(found.sentence)
    say(f"{person.name} ({person.id}) does not hold {ended[0].product} any more.")
    for grant in ended:
        if not by_operator(grant):
            say(nothing_paid_back(grant))


def revoked_in_json(found: Found, ended: Sequence[Grant]) -> None:
    """The same for machines."""
    print_json({**found_json(found), "revoked": [grant_json(one) for one in ended]})
