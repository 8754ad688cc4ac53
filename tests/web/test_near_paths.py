"""H53: an address that is nearly right is not redirected, as that would lead to any host that a request names."""

import httpx2
import pytest
from tests.support.running import Site


@pytest.mark.parametrize("path", ["/dashboard/", "/login/", "/static", "/purchase/success/"])
def test_h53_a_path_that_is_nearly_right_leads_nowhere(plain_site: Site, path: str) -> None:
    answer = httpx2.get(plain_site.url + path, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "Location" not in answer.headers
