"""Load from ``wrk``: each request comes from another random person, so that no cache is measured."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.processes import Process

WRK_MISSING: Final = "scripts/bench needs the load generator wrk. On Debian and Ubuntu: apt-get install wrk"

# As many as a small proxy keeps open.
CONNECTIONS: Final = 16

ASK: Final = """
local people
init = function(arguments)
  people = tonumber(arguments[1])
  math.randomseed(os.time())
end
request = function()
  local headers = {Accept = "text/html", ["Sec-Fetch-Mode"] = "navigate"}
  if people > 0 then
    headers.Cookie = string.format("theme=dark; tollkeeper=%043d", math.random(0, people - 1))
  end
  return wrk.format("GET", nil, headers)
end
"""
POST: Final = """
local events = {}
local number = 0
init = function(arguments)
  for line in io.lines(arguments[1]) do events[#events + 1] = line end
end
request = function()
  number = number % #events + 1
  local signature, body = events[number]:match("^(%S+) (.*)$")
  return wrk.format("POST", nil, {["Stripe-Signature"] = signature, ["Content-Type"] = "application/json"}, body)
end
"""
TELL: Final = """
done = function(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "wrong": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status + failed))
end
"""


class WrongAnswer(Exception):
    """The measured app gives a wrong response; the message says which."""


@dataclass(frozen=True)
class Load:
    """The result of some seconds of load. Times are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    wrong: int
    cpu: float = 0
    """The CPU seconds of our process, which other programs affect less than the rate; 0 if not known."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds

    @property
    def effort(self) -> float:
        """CPU microseconds for each response."""
        return self.cpu / self.requests * 1e6


def require_wrk() -> None:
    """Stop with a message on what to install if it is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit(WRK_MISSING)


class Asking:
    """A running ``wrk``."""

    def __init__(
        self,
        folder: Path,
        url: str,
        script: str,
        argument: str,
        seconds: float,
        connections: int,
        process: Process | None = None,
    ) -> None:
        file = folder / "load.lua"
        file.write_text(script + TELL)
        # wrk knows whole seconds alone.
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "-s", str(file), url]
        self._url, self._process = url, process
        self._cpu = cpu_of(process)
        self._wrk = subprocess.Popen([*command, "--", argument], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def end(self) -> Load:
        """Wait for the end of the load. Raises ``WrongAnswer`` if anything was refused or lost."""
        said = self._wrk.communicate()[0].decode()
        figures = [line for line in said.splitlines() if line.startswith("{")]
        if not figures:
            raise WrongAnswer(f"wrk said of {self._url}: {said}")
        load = Load(**json.loads(figures[0]), cpu=cpu_of(self._process) - self._cpu)
        if load.wrong or not load.requests:
            raise WrongAnswer(f"{load.wrong} of {load.requests} answers of {self._url} were wrong")
        return load


def cpu_of(process: Process | None) -> float:
    """Return the CPU seconds of a process so far, with all its threads."""
    if process is None:
        return 0
    fields = Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(folder: Path, url: str, people: int, seconds: float, process: Process | None = None) -> Load:
    """Request an address, each time as one of these people, or as nobody if there are none."""
    return Asking(folder, url, ASK, str(people), seconds, CONNECTIONS, process).end()


def post(folder: Path, url: str, events: Path, seconds: float, clients: int) -> Asking:
    """Begin to post signed events from a file."""
    posting = folder / "posting"
    posting.mkdir(exist_ok=True)
    return Asking(posting, url, POST, str(events), seconds, clients)
