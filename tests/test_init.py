"""``tollkeeper init``: from options alone, and by asking at a real terminal."""

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from tests.support.processes import START_SECONDS, clean_environment, run_here

from tollkeeper.config import files, load, new_site
from tollkeeper.config.providers import PROVIDERS
from tollkeeper.errors import ConfigurationError, NotDone
from tollkeeper.model.selling import Offer
from tollkeeper.providers.stripe.kind import STRIPE

SOUND = ("--product", "Pro", "--price", "9.90 EUR/month", "--price", "99 EUR/year")
PLACE = ("--sign-in", "google", "--address", "https://pay.example.com")


def init(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ended = run_here("init", *options, folder=folder, environment=environment)
    assert "Traceback" not in ended.stderr
    return ended


def refused(folder: Path, *options: str, **environment: str) -> dict[str, str]:
    """The faults, by what has them. Nothing is written."""
    ended = init(folder, "--json", *options, **environment)
    assert ended.returncode == 1
    assert not (folder / ".env").exists()
    told: dict[str, Any] = json.loads(ended.stdout)
    return {fault["variable"]: fault["problem"] for fault in told["faults"]}


def test_options_alone_make_settings_that_hold_together(tmp_path: Path) -> None:
    secrets = {"STRIPE_API_KEY": "sk_live_1", "GOOGLE_CLIENT_SECRET": "canary-secret"}
    ended = init(tmp_path, *SOUND, *PLACE, "--client-id", "an-id", "--set", "SITE_NAME=A # b", **secrets)
    assert ended.returncode == 0, ended.stderr
    assert "canary-secret" not in ended.stdout + ended.stderr
    assert "https://pay.example.com/login/google/callback" in ended.stdout
    assert "tollkeeper setup stripe --write --live" in ended.stdout
    (pro,) = load.load_wishes({}, tmp_path, STRIPE).products
    assert (pro.key, pro.name, set(pro.unlocks)) == ("pro", "Pro", {"dashboard"})
    assert pro.offers == (Offer(990, "eur", "month"), Offer(9900, "eur", "year"))
    with pytest.raises(ConfigurationError) as found:
        load.load({}, tmp_path)
    assert [fault.variable for fault in found.value.faults] == ["products.pro.stripe"]
    values = dotenv_values(tmp_path / ".env")
    assert (values["SITE_NAME"], values["GOOGLE_CLIENT_SECRET"]) == ("A # b", "canary-secret")
    assert len(str(values["SECRET_KEY"])) == 64
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {".env": 0o600, "tollkeeper.toml": 0o644}


def test_what_is_not_known_yet_has_a_line_and_what_to_do(tmp_path: Path) -> None:
    told = json.loads(init(tmp_path / "new", "--json", *SOUND, *PLACE, "--database", "postgresql").stdout)
    assert told["written"] == [".env", "tollkeeper.toml"]
    assert told["to_fill_in"] == ["DATABASE_URL", "STRIPE_API_KEY", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"]
    assert told["next"] == [
        "tollkeeper setup stripe --write",
        "tollkeeper check",
        "tollkeeper migrate",
        "tollkeeper serve",
    ]
    text = (tmp_path / "new" / ".env").read_text()
    assert all(f"\n{name}=\n" in text for name in told["to_fill_in"])
    assert (
        "allow the redirect address https://pay.example.com/login/google/callback" in text.replace("\n# ", " ").lower()
    )
    assert "# TRUSTED_PROXIES=" in text


def test_several_products_unlock_a_feature_each(tmp_path: Path) -> None:
    options = (
        "--product",
        "pro=Pro",
        "--product",
        'The "other"',
        "--price",
        "pro=1.250 KWD",
        "--price",
        "the-other=500 JPY",
    )
    place = ("--address", "http://localhost:8000", "--sign-in", "oidc", "--issuer", "https://id.example.com")
    ended = init(tmp_path, *options, *place, "--set", "TRUSTED_PROXIES=127.0.0.1, ::1", STRIPE_API_KEY="sk_test_1")
    assert "tollkeeper serve --port 8000" in ended.stdout
    pro, other = load.load_wishes({}, tmp_path, STRIPE).products
    assert (set(pro.unlocks), pro.offers) == ({"dashboard", "pro"}, (Offer(1250, "kwd"),))
    assert (other.name, set(other.unlocks), other.offers) == (
        'The "other"',
        {"dashboard", "the-other"},
        (Offer(500, "jpy"),),
    )
    assert dotenv_values(tmp_path / ".env")["TRUSTED_PROXIES"] == "127.0.0.1,::1"


def test_without_a_terminal_every_missing_option_is_named(tmp_path: Path) -> None:
    assert set(refused(tmp_path)) == {"--product", "--address", "--sign-in"}
    assert set(refused(tmp_path, "--product", "Pro", "--sign-in", "oidc")) == {"--price", "--address", "--issuer"}
    assert "--product" in init(tmp_path).stderr


@pytest.mark.parametrize(
    ("options", "option", "problem"),
    [
        (("--product", "!!"), "--product", "gives no key"),
        (("--product", "pro="), "--product", "is empty"),
        (("--product", "Pro"), "--product", "another product has"),
        (("--price", "9,90 EUR"), "--price", "has a comma"),
        (("--price", "9.9 EUR"), "--price", "decimals"),
        (("--price", "9 XXX"), "--price", "currency"),
        (("--price", "99.00 EUR / year"), "--price", "given twice"),
        (("--price", "basic=9 EUR"), "--price", "which product"),
        (("--product", "Basic", "--price", "9 EUR"), "--price", "which product"),
        (("--address", "http://example.com"), "--address", "http outside this machine"),
        (("--client-id", "an\tid"), "--client-id", "cannot be seen"),
        (("--issuer", "https://id.example.com"), "--issuer", "who signs people in"),
        (("--set", "STRIPE_API_KEY=sk_test_canary"), "--set", "a secret"),
        (("--set", "NO_SUCH=1"), "--set", "name of a setting"),
        (("--set", "ACCENT_COLOR=red"), "--set", "ACCENT_COLOR is not a colour"),
    ],
)
def test_what_is_not_sound_is_refused(tmp_path: Path, options: tuple[str, ...], option: str, problem: str) -> None:
    faults = refused(tmp_path, *SOUND, *PLACE, *options)
    assert problem in faults[option]
    assert "canary" not in str(faults)


def test_secrets_come_from_the_environment_or_from_files(tmp_path: Path) -> None:
    folder, secret = tmp_path / "site", tmp_path / "secret"
    secret.write_text("from-a-file\n")
    wrong = refused(
        folder, *SOUND, *PLACE, STRIPE_API_KEY="pk_test_1", GOOGLE_CLIENT_SECRET_FILE=str(tmp_path / "none")
    )
    assert set(wrong) == {"STRIPE_API_KEY", "GOOGLE_CLIENT_SECRET_FILE"}
    other = refused(folder, *SOUND, *PLACE, "--database", "sqlite", DATABASE_URL="postgresql://a:b@c/d")
    assert set(other) == {"--database"}
    assert (
        init(
            folder, *SOUND, *PLACE, GOOGLE_CLIENT_SECRET_FILE=str(secret), DATABASE_URL="postgresql://a:b@c/d"
        ).returncode
        == 0
    )
    values = dotenv_values(folder / ".env")
    assert (values["GOOGLE_CLIENT_SECRET"], values["DATABASE_URL"]) == ("from-a-file", "postgresql://a:b@c/d")


def test_nothing_is_overwritten_unless_that_is_meant(tmp_path: Path) -> None:
    init(tmp_path, *SOUND, *PLACE, STRIPE_API_KEY="sk_test_canary")
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    ended = init(tmp_path, *SOUND, *PLACE)
    assert ended.returncode == 1
    assert ".env and tollkeeper.toml exist already" in ended.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    for number in (1, 2):
        forced = init(tmp_path, "--force", "--product", "Pro", "--price", f"{number} EUR", *PLACE)
        assert "-STRIPE_API_KEY=********" in forced.stdout or number == 2
        assert f'+offers = ["{number} EUR"]' in forced.stdout
        assert "canary" not in forced.stdout
        assert "+SECRET_KEY=********" in forced.stdout
        assert f".env.old{number}" in forced.stdout
    assert {name: (tmp_path / f"{name}.old1").read_text() for name in before} == before
    assert (tmp_path / ".env.old1").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotDone, match="cannot be made"):
        files.make_folder(tmp_path / "file" / "site")
    with pytest.raises(NotDone, match="cannot be written"):
        files.see_writable(tmp_path / "none")
    (tmp_path / "full" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="full"):
        files._replace(tmp_path / "full", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    with pytest.raises(NotDone, match="cannot be read"):
        files.read(tmp_path)
    with pytest.raises(NotDone, match="could not be made"):
        files.keep_copy(tmp_path / "none" / ".env")
    with pytest.raises(NotDone, match="could not be written"):
        files.write(files.Change(tmp_path / "none" / ".env", "", "A=1\n"))


def test_secrets_are_masked_wherever_they_stand() -> None:
    several = "stripe_webhook_secret = [\n  'whsec_first',\n  'whsec_second', # kept\n]\n"
    text = f"# SECRET_KEY=old-one\n{several}site_name = 'x'\n"
    shown = [files.masking(text)(line) for line in text.splitlines()]
    assert "old-one" not in "".join(shown)
    assert "whsec_" not in "".join(shown)
    assert shown[-1] == "site_name = 'x'"


def test_a_provider_that_needs_more_is_asked_for_more() -> None:
    answers = new_site.Answers(PROVIDERS[0], sign_in="github")
    new_site.add_price(answers, "9 EUR", new_site.add_product(answers, "Pro"))
    assert answers.products["pro"].offers == (Offer(900, "eur"),)
    assert answers.later == ["DATABASE_URL", "STRIPE_API_KEY", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"]


class Terminal:
    """A real terminal, with somebody who types an answer to each question."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.shown = ""
        self.pid, self.handle = pty.fork()
        if not self.pid:  # pragma: no cover - another process
            os.chdir(folder)
            own = clean_environment(folder) | environment | {"TERM": "dumb"}
            os.execve(sys.executable, [sys.executable, "-m", "tollkeeper", "init", *options], own)  # noqa: S606

    def answers(self, question: str, answer: str) -> None:
        self._read_until(question)
        os.write(self.handle, f"{answer}\n".encode())

    def answers_unseen(self, question: str, answer: str) -> None:
        """What is typed before the terminal has stopped showing it is thrown away."""
        self._read_until(question)
        end = time.monotonic() + START_SECONDS
        while termios.tcgetattr(self.handle)[3] & termios.ECHO:
            assert time.monotonic() < end, self.shown
            time.sleep(0.01)
        os.write(self.handle, f"{answer}\n".encode())

    def _read_until(self, words: str) -> None:
        end, since = time.monotonic() + START_SECONDS, len(self.shown)
        while words not in self.shown[since:]:
            assert time.monotonic() < end, self.shown
            if select.select([self.handle], [], [], 0.2)[0]:
                self.shown += os.read(self.handle, 4096).decode()

    def ends(self) -> int:
        """Read until it closes the terminal, then its exit status."""
        end = time.monotonic() + START_SECONDS
        with contextlib.suppress(OSError):  # what Linux says of a terminal that has nobody at its other side
            while time.monotonic() < end and (read := os.read(self.handle, 4096)):
                self.shown += read.decode()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def gives_up(self) -> int:
        os.write(self.handle, b"\x04")  # the end of input: an interrupt may be ignored
        return self.ends()


def test_at_a_terminal_it_asks_for_everything_until_it_is_sound(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.answers("What do you sell?", "")
    terminal.answers("What does Pro cost?", "9,90 EUR")
    terminal.answers("has a comma", "9.90 EUR/month")
    terminal.answers("Another price of Pro", "99 EUR/year")
    terminal.answers("Another price of Pro", "")
    terminal.answers("Another product", "")
    terminal.answers("Where will visitors find it?", "")
    terminal.answers("Who signs people in?", "oidc")
    terminal.answers("Which database?", "")
    terminal.answers_unseen("STRIPE_API_KEY", "sk_test_canary")
    terminal.answers("OIDC_ISSUER", "")
    terminal.answers("is empty", "https://id.example.com")
    terminal.answers("OIDC_CLIENT_ID", "an-id")
    terminal.answers_unseen("OIDC_CLIENT_SECRET", "")
    assert terminal.ends() == 0
    assert "canary" not in terminal.shown
    values = dotenv_values(tmp_path / ".env")
    assert values["PUBLIC_URL"] == "http://localhost:8000"
    assert (values["STRIPE_API_KEY"], values["OIDC_CLIENT_SECRET"]) == ("sk_test_canary", "")
    (pro,) = load.load_wishes({}, tmp_path, STRIPE).products
    assert pro.offers == (Offer(990, "eur", "month"), Offer(9900, "eur", "year"))


def test_whoever_gives_up_at_a_terminal_has_written_nothing(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *SOUND)
    terminal._read_until("Where will visitors find it?")
    assert terminal.gives_up() == 1
    assert list(tmp_path.iterdir()) == []
