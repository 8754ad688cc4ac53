"""What was set up at a provider."""

import json

from tollkeeper.operating.reports.tables import print_json, say
from tollkeeper.providers.protocol import ProviderKind, SetUp

DONE = {"make": "made", "change": "changed"}


def set_up_in_words(done: SetUp, provider: ProviderKind, *, dry_run: bool) -> None:
    """What was created, what to set, and what else to know."""
    say(f"{provider.facts.title} account {done.account}, {'live' if done.live else 'test'} mode\n", style="bold")
    for step in done.steps:
        verb = f"would {step.action}" if dry_run else DONE[step.action]
        say(f"  {verb} {step.what}  {step.words}{'' if step.id is None else f'  {step.id}'}")
    if done.trouble is None:
        say("" if done.steps else "Everything is already there: nothing was changed.\n", style="green")
    else:
        say(f"{done.trouble}\n", style="red")
        say("Fix that, then run the command again: it finds what was created, and creates nothing twice.\n")
    if dry_run and done.steps:
        say("Nothing was changed: this is what would be done without --dry-run.\n")
    for notice in done.notices:
        say(f"* {notice}\n")
    _settings_in_words(done, provider)


def _settings_in_words(done: SetUp, provider: ProviderKind) -> None:
    """Lines to copy, with nothing before or after them."""
    changed = {key: prices.settings for key, prices in done.prices.items() if not prices.as_set}
    if changed:
        say("In tollkeeper.toml, in place of the lines with these names:\n", style="bold")
    for key, settings in changed.items():
        say("\n".join([f"[products.{key}]", *(f"{name} = {json.dumps(ids)}" for name, ids in settings.items()), ""]))
    if done.webhook_secret is not None:
        say(f"In .env, or where you keep secrets. {provider.facts.title} shows this only once:\n", style="bold")
        say(f"{provider.webhook_secret}={done.webhook_secret}\n")
    if done.trouble is None and (changed or done.webhook_secret):
        say("Then: tollkeeper check")


def set_up_in_json(done: SetUp, provider: ProviderKind, *, dry_run: bool) -> None:
    """The same for machines."""
    secret = {} if done.webhook_secret is None else {provider.webhook_secret: done.webhook_secret}
    steps = [{"action": one.action, "what": one.what, "words": one.words, "id": one.id} for one in done.steps]
    print_json(
        {
            "ok": done.trouble is None,
            "dry_run": dry_run,
            "account": done.account,
            "mode": "live" if done.live else "test",
            "steps": steps,
            "trouble": done.trouble,
            "notices": done.notices,
            "settings": {"products": {key: prices.settings for key, prices in done.prices.items()}, **secret},
        }
    )
