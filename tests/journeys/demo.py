"""The real demo, in a process of its own, on ports and in a folder of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stripe import StripeClient
from tests.support.processes import Process, running
from tests.support.running import API_KEY


@dataclass
class Demo:
    """``tollkeeper demo``: three ports and a folder."""

    folder: Path
    port: int

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def gated(self) -> str:
        """The app behind the gate."""
        return f"http://127.0.0.1:{self.port + 2}"

    @property
    def stripe(self) -> StripeClient:
        """The payment provider's side of the story."""
        return StripeClient(API_KEY, base_addresses={"api": self.sandbox})

    @contextmanager
    def started(self) -> Iterator[Process]:
        command = ("-m", "tollkeeper", "demo", f"--port={self.port}", f"--data={self.folder / 'data'}")
        with running(*command, folder=self.folder, port=self.port) as process:
            yield process

    def charges(self, email: str) -> list[str]:
        """The payments that a person has made."""
        customer = self.stripe.v1.customers.list({"email": email}).data[0]
        charges = self.stripe.v1.charges.list({"customer": customer.id, "limit": 100}).data
        return [charge.id for charge in charges if charge.paid]
