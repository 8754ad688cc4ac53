"""The ledger survives the end of the process, even if it is killed."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.sandbox.stripe.support import running

KILLED = """
import os, signal, sys
from tests.sandbox.stripe.support import running
with running(sys.argv[1]) as sandbox:
    session = sandbox.checkout(client_reference_id="order_1")
    assert sandbox.pay(session).status_code == 303
    print(session.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_payment_survives_a_kill(tmp_path: Path) -> None:
    ledger = tmp_path / "stripe.db"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(ledger)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with running(ledger) as sandbox:
        session: Any = sandbox.get(f"/v1/checkout/sessions/{done.stdout.strip()}").json()
        assert (session["status"], session["client_reference_id"]) == ("complete", "order_1")
        assert "checkout.session.completed" in sandbox.events_about(session["id"])


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    ledger = tmp_path / "stripe.db"
    with running(ledger) as sandbox:
        account = sandbox.get("/v1/account").json()
        session = sandbox.checkout()
        headers = {"Idempotency-Key": "once"}
        first = sandbox.post("/v1/customers", data={"name": "A"}, headers=headers)
    with running(ledger) as sandbox:
        assert sandbox.get("/v1/account").json() == account
        assert sandbox.post("/v1/customers", data={"name": "A"}, headers=headers).content == first.content
        assert sandbox.pay(session).status_code == 303


def test_the_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "stripe.db"
    with running(ledger):
        assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
