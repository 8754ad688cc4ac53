"""Tollkeeper accepts the catalogs in ``docs/subscriptions.md``."""

import re
from pathlib import Path

import pytest
from tests.docs.documents import text_of

from tollkeeper.catalog import Catalog
from tollkeeper.config import load as config

SETTINGS = {
    "PUBLIC_URL": "http://127.0.0.1:4000",
    "SECRET_KEY": "f0Y9dV3kQm7Zr2Xw8Lb5Ns1Tc6Hj4Gp0Ua9Ee3Ri7",
    "STRIPE_API_KEY": "sk_test_1",
    "GOOGLE_CLIENT_ID": "id",
    "GOOGLE_CLIENT_SECRET": "secret",
}
CATALOGS = re.findall(r"^```toml$(.*?)^```$", text_of("docs/subscriptions.md"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", CATALOGS)
def test_catalogs_are_taken(text: str, tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.toml").write_text(text)
    catalog = Catalog(config.load(SETTINGS, tmp_path).products, "stripe")
    pro = catalog.find("pro")
    assert pro is not None
    assert pro.policy.trial_days == 14
    assert catalog.price_on_sale(pro) == "price_month"


def test_what_is_on_sale_is_as_the_comments_say(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.toml").write_text(CATALOGS[0])
    catalog = Catalog(config.load(SETTINGS, tmp_path).products, "stripe")
    pro = catalog.find("pro")
    assert pro is not None
    assert catalog.prices_on_sale(pro) == ("price_month", "price_year")
    assert catalog.product_of_price("price_month_2025") == pro
