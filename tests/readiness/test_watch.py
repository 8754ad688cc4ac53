"""The checks beside a server: told by the log once, by the metrics, and by readyz to whoever has a token."""

import asyncio
from pathlib import Path

import httpx2
from structlog.testing import capture_logs
from tests.support.processes import installed
from tests.support.running import Sandbox, Thread, eventually, settings_for

from tollkeeper.app import create_app
from tollkeeper.config import load as config
from tollkeeper.metrics import Metrics
from tollkeeper.readiness.watch import Watch

TOKEN = "q3ZbT0v9LxM7cRk2WnYs8HdJf5GpAeUi"


def test_what_a_watch_finds_is_told(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    made: dict[str, str] = {}
    metrics = Metrics()
    watches: list[Watch] = []

    def app() -> object:
        loaded = config.load(made, tmp_path)
        watches.append(Watch(loaded, sandbox.clock, metrics))
        return create_app(loaded, watch=watches[0])

    thread = Thread(app)  # type: ignore[arg-type]
    made |= settings_for(thread.url, sandbox, sqlite_url, METRICS_TOKEN=TOKEN, OIDC_CLIENT_SECRET="wrong")
    thread.start()
    try:
        (watch,) = watches
        assert details(thread)["checks"] is None
        with capture_logs() as lines:
            asyncio.run(watch.once())
            asyncio.run(watch.once())
        assert [one["code"] for one in lines if one["log_level"] == "error"] == ["issuer_client_refused"], "once"
        assert 'tollkeeper_checks{level="fault"} 1.0' in metrics.text().decode()
        found = {one["code"] for one in details(thread)["checks"]}
        assert {"address_ok", "issuer_client_refused", "price_ok"} <= found
        stranger = httpx2.get(f"{thread.url}/readyz", headers={"Authorization": "Bearer guessed"})
        assert (stranger.status_code, stranger.text) == (200, "ready")
    finally:
        thread.stop()
        sandbox.forget(thread.url)


def details(thread: Thread) -> dict[str, list[dict[str, str]]]:
    answer = httpx2.get(f"{thread.url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    told: dict[str, list[dict[str, str]]] = answer.json()
    return told


def test_a_server_starts_whatever_its_check_finds(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    app = installed(sandbox, sqlite_url, tmp_path, STRIPE_API_BASE="http://127.0.0.1:9", METRICS_TOKEN=TOKEN)
    with app.serving() as process:
        eventually(lambda: "provider_unreachable" in process.output(), 30)
        assert httpx2.get(f"{app.url}/readyz").text == "ready"
        assert '"code": "address_ok"' not in process.output(), "what is right is not logged"
