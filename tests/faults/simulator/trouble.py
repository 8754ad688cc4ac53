"""The steps that nobody takes: faults, and the passing of time."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

from tests.faults.simulator.choosing import handed, nth
from tests.faults.simulator.known import Violation
from tests.faults.simulator.storage import Process
from tests.faults.simulator.wire import Gone, ask
from tests.faults.simulator.world import World
from tests.support.stripe_settings import stripe_of

DAY = 24 * 3600


# Messages


async def forge(world: World, which: int, how: str) -> None:
    """Send a webhook about a real page that Stripe never sent."""
    one = nth(handed(world), which)
    subject = {"id": one.session if one else "cs_test_1", "object": "checkout.session", "payment_status": "paid"}
    event = {"id": f"evt_forged{world.luck.getrandbits(60):x}", "object": "event", "livemode": False}
    event |= {"type": "checkout.session.completed", "created": world.whole_clock(), "data": {"object": subject}}
    world.spawn(_knock(world, event, how))


async def _knock(world: World, event: dict[str, Any], how: str) -> None:
    body = json.dumps(event).encode()
    secret = next(iter(stripe_of(world.config).webhook_secrets), "") if how in FORGED_AT else ""
    secret = "whsec_guessed" if how == "wrong secret" else secret
    at = world.whole_clock() + FORGED_AT.get(how, 0)
    signature = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    signed = [(b"stripe-signature", f"t={at},v1={signature}".encode())]
    jumped = world.jumped
    try:
        answer = await world.post_webhook([] if how == "unsigned" else signed, body)
    except Gone:
        return
    if answer.status < 400 and world.jumped == jumped:  # what was too early may be on time after a jump
        world.check(_forged, how)


def _forged(how: str) -> None:
    raise Violation("I10", f"a forged webhook ({how}) was taken")


FORGED_AT = {"stale": -400, "future": 120}


async def hear_again(world: World, which: int) -> None:
    """Send an acknowledged webhook again, unchanged."""
    if heard := nth(world.heard, which):
        world.spawn(_deliver(world, *heard))


async def _deliver(world: World, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await world.post_webhook(headers, body)


# Faults


async def webhooks(world: World, effect: str, times: int) -> None:
    fault = {"effect": effect, "times": times} | ({"seconds": 5} if effect in {"delay", "reorder"} else {})
    await _control(world, "POST", "/control/faults", fault)


async def wrong_mode(world: World) -> None:
    """Let the next webhook claim to be in live mode."""
    await _control(world, "POST", "/control/faults", {"effect": "wrong_mode", "times": 1})


async def _control(world: World, method: str, path: str, reported: Any = None) -> None:
    await ask(world.stripe, method, path, ((b"content-type", b"application/json"),), json.dumps(reported).encode())


async def outage(world: World, kind: str, seconds: float) -> None:
    world.weather.outage.kind = kind
    world.weather.outage.until = asyncio.get_running_loop().time() + seconds


async def stall(world: World, seconds: float, times: int, way: str) -> None:
    """Let the next snapshots of customers be requested late, or be old when they arrive, or both in turn."""
    ways = {"back": (0.0, seconds), "there": (seconds / 2, 0.0)}
    drawn = [way if way in ways else world.luck.choice(tuple(ways)) for _ in range(times)]
    world.weather.stalls = [ways[one] for one in drawn]


async def busy(world: World, worker: int, times: int) -> None:
    """Make the database unavailable for one process for a moment."""
    if (running := world.running[worker]) is not None:
        running.process.busy = times


async def crash(world: World, worker: int, restart: float) -> None:
    if (running := world.running[worker]) is not None:
        running.process.kill()
        world.spawn(_start_later(world, worker, restart))


async def crash_soon(world: World, worker: int, after: int, restart: float) -> None:
    """Kill a process in the middle of its next work."""
    if (running := world.running[worker]) is not None and not running.process.dead:
        running.process.dies_in = after
        world.spawn(_restart_when_dead(world, worker, running.process, restart))


async def _restart_when_dead(world: World, worker: int, process: Process, restart: float) -> None:
    await asyncio.wait((process.died,))
    await _start_later(world, worker, restart)


async def _start_later(world: World, worker: int, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await world.start_process(worker)


async def restart(world: World, worker: int) -> None:
    """Stop on request: work in progress is finished first."""
    if (running := world.running[worker]) is not None and not running.process.dead:
        running.stop()
        world.running[worker] = None
        world.spawn(_start_later(world, worker, 0.5))


async def second_worker(world: World) -> None:
    """Start a second process, or stop it."""
    if (running := world.running[1]) is not None:
        running.stop()
        world.running[1] = None
    else:
        world.spawn(world.start_process(1))


# Time, and the operator


async def let_pass(world: World, seconds: int) -> None:
    """Let time pass as on a suspended machine: the clocks move, and nothing else happens."""
    await jump(world, seconds)


async def jump(world: World, seconds: int) -> None:
    world.jumped += seconds
    await world.call("GET", "/v1/events?limit=1")  # what is due at Stripe happens before any response
    await asyncio.sleep(1)


async def hours_later(world: World, hours: int) -> None:
    """Let hours pass while the app is down. Idempotency keys and pages expire."""
    await sleep_through(world, hours * 3600)


async def sleep_through(world: World, seconds: int) -> None:
    down = [number for number, running in enumerate(world.running) if running is not None]
    world.kill_all()
    await jump(world, seconds)
    for number in down:
        await world.start_process(number)


async def days_later(world: World, days: int, down: bool) -> None:
    """Let days pass. The sandbox does what is due, and the app gets the events at once or when it is up again."""
    await (sleep_through if down else days_pass)(world, days * DAY)


async def days_pass(world: World, seconds: int) -> None:
    """Let days pass after running checkouts are done: an idempotency key would have expired by then."""
    await world.till_is_free.wait()
    await jump(world, seconds)
