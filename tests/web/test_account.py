"""The account page: what a person owns, and where they are signed in."""

from tests.support.running import Browser, Site, forms

from tollkeeper.storage.tables import login_sessions


def test_without_a_purchase(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    page = browser.get("/account").text
    assert "Alice Example" in page
    assert "alice@example.com" in page
    assert "127.0.0.1" in page  # the issuer's name, where none is set, is its host
    assert "Nothing yet" in page
    assert "Firefox on Linux" in page
    assert "This browser" in page


def test_with_a_purchase(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    browser.follow(browser.pay())
    page = browser.get("/account").text
    for words in ("Flying lessons", "€19.00", "Paid in full", "For good", "pi_"):
        assert words in page
    assert "Nothing yet" not in page


def test_nobody_sees_what_is_somebody_elses(plain_site: Site) -> None:
    payer, other = Browser(plain_site.url), Browser(plain_site.url)
    payer.sign_in("Alice Example")
    payer.follow(payer.pay())
    other.sign_in("Bob Example")
    page = other.get("/account").text
    assert "Nothing yet" in page
    assert "Alice" not in page
    assert page.count("Firefox on Linux") == 1


def test_one_other_browser_can_be_ended(plain_site: Site) -> None:
    here, there = Browser(plain_site.url), Browser(plain_site.url)
    there.client.headers["User-Agent"] = "Mozilla/5.0 (iPhone) Safari/605"
    for browser in (here, there):
        browser.sign_in("Alice Example")
    page = here.get("/account")
    assert "Safari on iPhone" in page.text
    answer = here.submit(page, "End")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    assert "Hello" in here.get("/").text
    assert "Login" in there.get("/").text
    assert [form for form in forms(here.get("/account")) if form.action.endswith("/end")] == []


def test_sign_out_everywhere(plain_site: Site) -> None:
    here, there, bob = Browser(plain_site.url), Browser(plain_site.url), Browser(plain_site.url)
    here.sign_in("Alice Example")
    there.sign_in("Alice Example")
    bob.sign_in("Bob Example")
    answer = here.submit(here.get("/account"), "Sign out everywhere")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "tollkeeper" not in here.client.cookies
    assert "Login" in here.get("/").text
    assert "Login" in there.get("/").text
    assert "Hello, Bob Example" in bob.get("/").text
    assert len(plain_site.rows(login_sessions)) == 1


def test_an_id_that_cannot_be_is_not_found(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    token = forms(browser.sign_in("Alice Example"))[0].fields["csrf_token"]
    for made_up in ("log_1", "log_" + "g" * 24, "..%2f..", "'"):
        answer = browser.client.post(
            f"{plain_site.url}/account/login-sessions/{made_up}/end",
            data={"csrf_token": token},
            headers={"Origin": plain_site.url},
        )
        assert answer.status_code == 404


def test_a_browser_gets_a_name_that_is_harmless(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.client.headers["User-Agent"] = "<script>alert(1)</script>"
    browser.sign_in("Alice Example")
    page = browser.get("/account").text
    assert "A browser" in page
    assert "<script>" not in page
