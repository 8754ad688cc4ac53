"""``tollkeeper init``: the first settings of a site, from options or by asking."""

import json
import os
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli.app import Folder, Json, app, clear_errors
from tollkeeper.config.new_site import DATABASES
from tollkeeper.config.providers import PROVIDERS
from tollkeeper.errors import ConfigurationError, Fault, NotDone
from tollkeeper.settings.offers import NoOffer
from tollkeeper.settings.parsers import InvalidValue
from tollkeeper.signin.settings import WAYS

if TYPE_CHECKING:
    from tollkeeper.config.files import Change
    from tollkeeper.config.new_site import Answers

NAMES = [one.name for one in PROVIDERS]

EXAMPLES = "\n\n".join(
    [
        "Example: tollkeeper init",
        'Example: tollkeeper init --product Pro --price "9.90 EUR/month" --price "99 EUR/year" --sign-in google'
        " --address https://shop.example.com",
        'Example: tollkeeper init --product pro=Pro --price "pro=49 EUR" --product course="The course"'
        ' --price "course=19 EUR" --sign-in github --address http://localhost:8000',
    ]
)


def one_of(words: Collection[str]) -> Callable[[str], str]:
    """A parser of one of several words. Raises ``ValueError``."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return text

    return parse


@app.command(epilog=EXAMPLES)
def init(
    product: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What you sell: a name, or KEY=NAME. May be repeated.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PRICE",
            help="Such as '49 EUR' or '9.90 EUR/month'; with several products KEY=PRICE. May be repeated.",
        ),
    ] = None,
    address: Annotated[str | None, typer.Option(metavar="URL", help="Where visitors will find Tollkeeper.")] = None,
    sign_in: Annotated[
        str | None, typer.Option(parser=one_of(WAYS), metavar="|".join(WAYS), help="Who signs people in.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="The issuer, with --sign-in oidc.")] = None,
    client_id: Annotated[str | None, typer.Option(metavar="ID", help="Your client id there.")] = None,
    database: Annotated[
        str | None,
        typer.Option(
            parser=one_of(DATABASES), metavar="|".join(DATABASES), help="The database, sqlite if you do not say."
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option(parser=one_of(NAMES), metavar="|".join(NAMES), help="The payment provider.")
    ] = NAMES[0],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting that is no secret. May be repeated."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist. Shows the difference, and keeps copies.")
    ] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Write the first .env and tollkeeper.toml of a site.

    At a terminal it asks for what the options do not say. Secrets are never options: it takes them from environment
    variables with the names of the settings, such as GOOGLE_CLIENT_SECRET, or from the file that such a variable
    with _FILE at its end names. What is not known yet can be filled in later.
    """
    from tollkeeper.config import files, new_site

    asking = sys.stdin.isatty() and not as_json
    with clear_errors(as_json):
        there = [name for name in (files.ENV, files.TOML) if (folder / name).exists()]
        if there and not force:
            raise NotDone(
                f"{' and '.join(there)} exist{'' if there[1:] else 's'} already in {folder.absolute()}. Nothing was"
                " written. --force shows the difference and replaces what is there, but keeps a copy."
            )
        answers = new_site.Answers(next(one for one in PROVIDERS if one.name == provider))
        answers.sign_in = sign_in
        named = {"PUBLIC_URL": ("--address", address)}
        faults = [
            Fault(option, "needs to know who signs people in", f"Add --sign-in {way}")
            for option, value, way in (("--issuer", issuer, "oidc"), ("--client-id", client_id, sign_in or "google"))
            if value is not None and sign_in != way
        ]
        if sign_in and not faults:
            named |= {"OIDC_ISSUER": ("--issuer", issuer), WAYS[sign_in][-2]: ("--client-id", client_id)}
        faults += take_options(answers, product or [], price or [], named, set_ or [])
        faults += take_secrets(answers, os.environ)
        if database:
            faults += take_database(answers, database)
        if not faults and asking:
            ask_for_the_rest(answers)
        answers.texts.setdefault("DATABASE_URL", new_site.DATABASES["sqlite"])
        if faults := faults or list(new_site.lacking(answers)):
            raise ConfigurationError(tuple(faults))
        write(answers, folder, asking, as_json)


def take_options(
    answers: "Answers",
    products: list[str],
    prices: list[str],
    named: Mapping[str, tuple[str, str | None]],
    more: list[str],
) -> list[Fault]:
    """Take what the options say, and return what is wrong with them. ``named`` are options of one setting each."""
    from tollkeeper.config import new_site

    faults: list[Fault] = []
    for text in products:
        attempt("--product", faults, new_site.add_product, answers, text)
    for text in prices if not faults else []:
        attempt("--price", faults, new_site.add_price, answers, text)
    for name, (option, value) in named.items():
        if value is not None:
            attempt(option, faults, take, answers, name, value)
    for text in more:
        attempt("--set", faults, take_setting, answers, text)
    return faults


def attempt(option: str, faults: list[Fault], do: Callable[..., object], *arguments: object) -> None:
    """Do one thing, and note what is wrong with it."""
    try:
        do(*arguments)
    except (InvalidValue, NoOffer) as error:
        faults.append(Fault(option, error.problem, error.remedy))


def take(answers: "Answers", name: str, text: str) -> None:
    """Take the text of a setting. Raises ``InvalidValue``."""
    from tollkeeper.config import new_site

    answers.texts[name] = new_site.checked(name, text)


def take_setting(answers: "Answers", text: str) -> None:
    """Take ``NAME=VALUE``. Raises ``InvalidValue``."""
    from tollkeeper.config import new_site

    name, equals, value = text.partition("=")
    if not equals or name not in new_site.BY_NAME or not value.strip():
        raise InvalidValue("is not NAME=VALUE with the name of a setting", "docs/settings.md lists what there is")
    if new_site.BY_NAME[name].secret:
        remedy = f"Set {name} in the environment, or {name}_FILE to the name of a file that holds it"
        raise InvalidValue(f"would show {name}, a secret, to everybody on this machine", remedy)
    try:
        take(answers, name, value)
    except InvalidValue as error:
        raise InvalidValue(f"{name} {error.problem}", error.remedy) from error


def take_secrets(answers: "Answers", environ: Mapping[str, str]) -> list[Fault]:
    """Take the secrets that the environment holds, or names the files of. Returns what is wrong with them."""
    from tollkeeper.config import files, new_site

    faults: list[Fault] = []
    for name in [name for name in answers.later if new_site.BY_NAME[name].secret]:
        text = environ.get(name, "")
        if not text and (path := environ.get(f"{name}_FILE", "")):
            text = files.read(Path(path)).strip()
            if not text:
                faults.append(Fault(f"{name}_FILE", "names no file with anything in it", "Write the secret into it"))
        if text:
            attempt(name, faults, take, answers, name, text)
    return faults


def take_database(answers: "Answers", kind: str) -> list[Fault]:
    """The usual address of a kind of database, unless the environment holds one. Returns what is wrong with that."""
    from tollkeeper.config import new_site

    known = answers.texts.setdefault("DATABASE_URL", new_site.DATABASES[kind])
    if known and not known.startswith(kind.removesuffix("ql")):
        return [Fault("--database", "is not the kind that DATABASE_URL in the environment names", "Change one of them")]
    return []


def ask_for_the_rest(answers: "Answers") -> None:
    """Ask for everything that is not known, until each answer is sound."""
    from tollkeeper.config import new_site

    ask_for_products(answers)
    if "PUBLIC_URL" not in answers.texts:
        ask("Where will visitors find it?", partial(take, answers, "PUBLIC_URL"), "http://localhost:8000")
    if answers.sign_in is None:
        answers.sign_in = choose("Who signs people in?", list(WAYS))
    if "DATABASE_URL" not in answers.texts:
        faults = take_database(answers, choose("Which database?", list(new_site.DATABASES)))
        assert not faults, "nothing in the environment contradicts it"  # noqa: S101
    for fault in take_secrets(answers, os.environ):
        typer.echo(str(fault))
    for name in answers.later:
        setting = new_site.BY_NAME[name]
        later = name != "OIDC_ISSUER"
        words = f"{name}{' (Enter: later)' if later else ''}"
        typer.echo(setting.help)
        ask(words, partial(take, answers, name), optional=later, hidden=setting.secret)


def ask_for_products(answers: "Answers") -> None:
    """Ask for products until there are enough, and for the offers of each."""
    from tollkeeper.config import new_site

    if not answers.products:
        ask("What do you sell? Its name", partial(new_site.add_product, answers), "Pro")
        ask_for_prices(answers)
        while ask("Another product (Enter: no more)", partial(new_site.add_product, answers), optional=True):
            ask_for_prices(answers)
    ask_for_prices(answers)


def ask_for_prices(answers: "Answers") -> None:
    """Ask for the offers of each product that has none."""
    from tollkeeper.config import new_site

    for key, one in list(answers.products.items()):
        if not one.offers:
            ask(
                f"What does {one.name} cost? Such as 49 EUR or 9.90 EUR/month",
                partial(new_site.add_price, answers, key=key),
            )
            while ask(
                f"Another price of {one.name} (Enter: no more)",
                partial(new_site.add_price, answers, key=key),
                optional=True,
            ):
                pass


def ask(
    question: str, do: Callable[[str], object], default: str = "", *, optional: bool = False, hidden: bool = False
) -> bool:
    """Ask until ``do`` takes the answer. Whether there was one: an empty answer is none, where that is allowed."""
    from rich.prompt import Prompt
    from rich.text import Text

    while True:
        answer = Prompt.ask(Text(question), default=default, show_default=bool(default), password=hidden).strip()
        if not answer and optional:
            return False
        try:
            if not answer:
                raise InvalidValue("is empty")
            do(answer)
        except (InvalidValue, NoOffer) as error:
            typer.secho(f"  That {error.problem}. {error.remedy}".rstrip(), fg="red")
        else:
            return True


def choose(question: str, choices: list[str]) -> str:
    """Ask for one of several words; the first is the default."""
    from rich.prompt import Prompt
    from rich.text import Text

    return Prompt.ask(Text(question), choices=choices, default=choices[0])


def write(answers: "Answers", folder: Path, asking: bool, as_json: bool) -> None:
    """Write both files, and say what is next. Of files that are replaced, the difference is shown and a copy kept."""
    from tollkeeper.config import files, new_site
    from tollkeeper.operating import reports

    texts = {files.ENV: new_site.env_text(answers), files.TOML: new_site.toml_text(answers)}
    changes = [files.Change(folder / name, files.read(folder / name), text) for name, text in texts.items()]
    replaced = [one for one in changes if one.path.exists()]
    if not as_json:
        reports.differences_in_words(replaced)
    if replaced and asking and not typer.confirm("Replace what is there?"):
        typer.echo("Nothing was written.")
        raise typer.Exit(1)
    files.make_folder(folder)
    files.see_writable(folder)
    kept = [files.keep_copy(one.path) for one in replaced]
    for change in changes:
        files.write(change)
    next_ = list(new_site.commands(answers))
    if as_json:
        written = {"written": [one.path.name for one in changes], "kept": [one.name for one in kept]}
        typer.echo(json.dumps({"ok": True, **written, "to_fill_in": answers.later, "next": next_}, indent=2))
    else:
        typer.echo(words(answers, changes, kept, folder))


def words(answers: "Answers", changes: "list[Change]", kept: list[Path], folder: Path) -> str:
    """What was written, and what to do next."""
    from tollkeeper.config import new_site

    said = [f"Written: {', '.join(str(one.path) for one in changes)}"]
    said += [f"The earlier files are kept as {' and '.join(map(str, kept))}."] if kept else []
    steps = [f"Fill in what .env leaves open: {', '.join(answers.later)}."] if answers.later else []
    steps.append(f"Where people sign in, allow the redirect address {new_site.callback(answers)}")
    steps += [
        f"Run: {command}{'' if folder == Path() else f' --folder {folder}'}" for command in new_site.commands(answers)
    ]
    return "\n".join([*said, "", "Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, start=1))])
