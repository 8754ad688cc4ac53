"""A history as data: a list of steps. Any part of a history is a valid history."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

STEPS = 40
PEOPLE = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One step, after which ``wait`` seconds pass. ``luck`` seeds what happens to calls from then on."""

    do: str
    wait: float
    luck: int
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """``sells`` says what the shop sells: ``once``, ``subscriptions`` or ``related``. ``calls`` to the provider go
    calmly, roughly or wildly; ``webhooks`` says whether a secret is set.
    """

    seed: str
    sells: str
    webhooks: bool
    calls: str
    workers: int
    steps: tuple[Step, ...]

    def with_steps(self, steps: tuple[Step, ...]) -> "History":
        return replace(self, steps=steps)

    def save(self, path: Path) -> None:
        """Write it as JSON, which ``load`` reads."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def load(path: Path) -> History:
    """Read a history from its file."""
    reported = json.loads(path.read_text())
    return History(**reported | {"steps": tuple(Step(**step) for step in reported["steps"])})


def generate(seed: int | str, number: int, steps: int = STEPS) -> History:
    """Return one history of a seed's series. Each can be generated on its own."""
    name = f"{seed}/{number}"
    luck = Random(name)
    sells = luck.choices(tuple(STEPS_THERE_ARE), SHARES)[0]
    return History(
        seed=name,
        sells=sells,
        webhooks=luck.random() < 0.75,
        calls=luck.choices(("calm", "rough", "wild"), (3, 5, 2))[0],
        workers=luck.choice((1, 2)),
        steps=tuple(a_step(luck, sells) for _ in range(steps)),
    )


def a_step(luck: Random, sells: str) -> Step:
    """Generate one step, with the weights below."""
    steps = STEPS_THERE_ARE[sells]
    do = luck.choices(tuple(steps), [weight for weight, _ in steps.values()])[0]
    given = {name: draw(luck) for name, draw in steps[do][1].items()}
    return Step(do, wait=luck.choices(WAITS, WAIT_WEIGHTS)[0], luck=luck.getrandbits(32), given=given)


WAITS = (0.0, 0.05, 0.3, 1.0, 3.0, 8.0)
WAIT_WEIGHTS = (6, 6, 8, 6, 1, 0.2)

Draw = Callable[[Random], Any]


def one_of(*values: Any) -> Draw:
    return lambda luck: luck.choice(values)


def up_to(most: int) -> Draw:
    return lambda luck: luck.randrange(most)


WHO = up_to(PEOPLE)
# Which of the existing objects: the newest is 0. Taken modulo their number.
WHICH = one_of(0, 0, 0, 0, 1, 1, 2, 3, 5)

Steps = dict[str, tuple[float, dict[str, Draw]]]

# Faults, and what people and operators do, whatever is sold.
ALWAYS: Steps = {
    "come_back": (3, {"who": WHO, "which": WHICH}),
    "come_back_with_nothing": (0.3, {"who": WHO}),
    "cancel": (0.4, {"which": WHICH}),
    "look_in": (2, {"who": WHO}),
    # Refunds and disputes
    "refund": (3, {"which": WHICH, "percent": one_of(100, 100, 100, 10, 50, 60)}),
    "refund_ends": (1, {"which": WHICH, "how": one_of("fail", "fail", "succeed")}),
    "dispute": (1.2, {"which": WHICH, "reason": one_of("fraudulent", "fraudulent", "inquiry")}),
    "dispute_ends": (1.6, {"which": WHICH, "how": one_of("win", "win", "lose", "escalate", "review")}),
    # What happens without the app
    "expire": (0.6, {"which": WHICH}),
    "forge": (0.7, {"which": WHICH, "how": one_of("unsigned", "wrong secret", "empty secret", "stale", "future")}),
    "hear_again": (1, {"which": up_to(8)}),
    "neighbour_sells": (0.8, {"who": WHO, "how": one_of("by link", "a subscription", "to ours")}),
    "adopt": (1.5, {"who": WHO, "which": WHICH}),
    "buy_by_link": (0.7, {"who": WHO}),
    # Faults
    "webhooks": (2, {"effect": one_of("lose", "lose", "duplicate", "delay", "reorder"), "times": one_of(1, 2, 5)}),
    "wrong_mode": (0.15, {}),
    "outage": (
        1,
        {"kind": one_of("refuse", "error", "error after", "drop after", "hang", "limit"), "seconds": one_of(1, 5, 20)},
    ),
    "stall": (
        3,
        {"seconds": one_of(2, 4, 8), "times": one_of(1, 1, 2, 3), "way": one_of("back", "back", "back", "either")},
    ),
    "busy": (0.5, {"worker": up_to(2), "times": one_of(1, 2, 4)}),
    "crash": (0.5, {"worker": up_to(2), "restart": one_of(0.1, 1.0, 5.0)}),
    "crash_soon": (1.1, {"worker": up_to(2), "after": up_to(16), "restart": one_of(0.1, 1.0, 5.0)}),
    "restart": (0.3, {"worker": up_to(2)}),
    "second_worker": (0.3, {}),
    # Time, and the operator
    "let_pass": (1.2, {"seconds": one_of(31, 31, 40, 200)}),
    "hours_later": (0.5, {"hours": one_of(1, 2, 23, 25, 96)}),
    "reconcile": (0.6, {"who": WHO}),
    "replay": (0.3, {}),
}

ONCE: Steps = {
    "press": (2.5, {"who": WHO, "product": up_to(2), "tabs": one_of(1, 1, 1, 1, 2)}),
    "buy": (
        4.5,
        {"who": WHO, "product": up_to(2), "tabs": one_of(1, 1, 1, 1, 2), "returns": one_of(True, True, False)},
    ),
    "pay": (
        4,
        {"which": WHICH, "card": one_of(*["pays"] * 6, "declined", "refund fails", "refund pending", "disputed")},
    ),
    "debit": (1.5, {"which": WHICH, "fate": one_of("soon", "late", "fails soon", "fails late", "disputed")}),
    "debit_ends": (1, {"which": WHICH, "how": one_of("fail", "succeed")}),
    "redeem": (0.6, {"which": WHICH, "code": one_of("half", "gratis")}),
    "delete_customer": (0.6, {"who": WHO, "then_buys": one_of(None, 0, 1)}),
    "pay_other_session": (
        0.8,
        {
            "which": WHICH,
            "lie": one_of("price", "quantity", "currency", "product", "person", "no customer", "discount"),
            "refunded": one_of(True, False, False),
        },
    ),
    "ask_at_once": (
        1.2,
        {
            "which": WHICH,
            "tabs": one_of(0, 1, 2),
            "operator": one_of(True, False),
            "seconds": one_of(2, 4, 8),
            "meanwhile": one_of("refund", "refund", "dispute", "dispute", "succeed"),
        },
    ),
}

PRODUCT = one_of(0, 0, 0, 1, 1, 2)
PRICE = one_of("usual", "usual", "other", "each")
SUBSCRIPTIONS: Steps = {
    "press": (2, {"who": WHO, "product": PRODUCT, "tabs": one_of(1, 1, 2), "price": PRICE}),
    "buy": (
        9,
        {
            "who": WHO,
            "product": PRODUCT,
            "tabs": one_of(1, 1, 1, 2),
            "returns": one_of(True, True, False),
            "price": PRICE,
            "card": one_of(*["pays"] * 7, "declined later", "refund fails", "refund pending", "disputed"),
            "code": one_of(*[None] * 6, "half", "gratis"),
        },
    ),
    "pay": (2, {"which": WHICH, "card": one_of(*["pays"] * 4, "declined", "declined later", "disputed")}),
    "redeem": (1.2, {"which": WHICH, "code": one_of("half", "gratis", "gratis")}),
    "delete_customer": (0.4, {"who": WHO, "then_buys": one_of(None, 0, 1)}),
    # What happens to a subscription
    "days_later": (3, {"days": one_of(1, 3, 7, 8, 31), "down": one_of(True, False)}),
    "period_ends": (4, {"which": WHICH, "after": one_of(-60, 60, 3700, 3700, 3700, 90_000)}),
    "fail": (1.5, {"which": WHICH}),
    "replace_card": (1.5, {"which": WHICH, "pays": one_of(True, True, False)}),
    "renewal_fails": (
        2.5,
        {
            "which": WHICH,
            "in_the_end": one_of("canceled", "unpaid", "past_due", "past_due"),
            "days": one_of(0, 1, 3, 9, 35),
            "fixed": one_of(True, False),
        },
    ),
    "end": (2.5, {"which": WHICH, "how": one_of("period end", "period end", "at once", "undo")}),
    "change_plan": (
        2.5,
        {
            "which": WHICH,
            "price": one_of(0, 1, 2, 3, "unknown"),
            "proration": one_of("create_prorations", "always_invoice", "none"),
        },
    ),
    "change_often": (0.4, {"which": WHICH, "times": one_of(6, 12)}),
    "pause": (1, {"which": WHICH, "how": one_of("void", "keep_as_draft", "mark_uncollectible", "resume", "resume")}),
    "owed": (1.2, {"which": WHICH, "how": one_of("pay", "void", "mark_uncollectible")}),
    "let_off": (
        1,
        {
            "which": WHICH,
            "how": one_of("void", "void", "mark_uncollectible"),
            "then": one_of("changes", "changes", "renews"),
            "price": up_to(4),
        },
    ),
    "drafts": (1.2, {"seconds": one_of("0", "3600", "3600", "255600", "never")}),
    "finalize": (0.8, {"which": WHICH}),
    "by_debit": (
        1,
        {"which": WHICH, "fate": one_of("pm_success_de", "pm_success_de", "pm_failed_de"), "days": one_of(0, 5, 20)},
    ),
    "pay_late": (1, {"which": WHICH}),
    "dispute_earlier": (1.2, {"which": WHICH, "how": one_of("open", "win", "lose")}),
    "by_hand": (
        1,
        {
            "who": WHO,
            "which": WHICH,
            "names": one_of("nothing", "another's", "own", "own"),
            "price": up_to(4),
            "pays": one_of("pm_card_visa", "pm_card_visa", "pm_success_de", "pm_failed_de"),
        },
    ),
}
# If products contain each other, buyers are shown what they have before they pay, and some continue.
CHOSEN = {"product": up_to(4), "goes_on": one_of(True, True, False)}
RELATED: Steps = SUBSCRIPTIONS | {
    name: (often, SUBSCRIPTIONS[name][1] | CHOSEN) for name, often in (("press", 3.0), ("buy", 12.0))
}
STEPS_THERE_ARE: dict[str, Steps] = {
    "once": ALWAYS | ONCE,
    "subscriptions": ALWAYS | SUBSCRIPTIONS,
    "related": ALWAYS | RELATED,
}
SHARES = (8, 2, 1)  # of histories, in this order
