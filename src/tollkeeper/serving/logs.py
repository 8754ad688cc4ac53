"""Structured logs: lines for people on a terminal, JSON for machines elsewhere. Called by the commands alone."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tollkeeper.words import REPLACED, printable


def configure(level: int) -> None:
    """Write to standard error from this level up. Tracebacks never show local variables: those hold secrets."""
    people = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.processors.format_exc_info,
        legible,
        # Tracebacks are text by then; that they are to be plain still has to be said.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if people
        else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lenient(sys.stderr))),
    )
    # Libraries log through the standard module, in the same shape. Below a warning they speak of whole addresses.
    handler = logging.StreamHandler(sys.stderr)
    theirs = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=theirs, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def legible(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Text from outside, such as a path, without anything that could control a terminal, hide text or start a new line.

    In JSON too: it escapes them, but tools that show JSON decode them again.
    """
    return {name: _legible(name, value) if isinstance(value, str) else value for name, value in event.items()}


def _legible(name: str, value: str) -> str:
    # Of a traceback, every line but the first is set in, so that none looks like one of ours.
    return printable(value).replace("\n", "\n  " if name == "exception" else REPLACED)


class Lenient:
    """A stream that drops what it cannot write, as on a full disk. Logging must never prevent an answer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if possible."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, if possible."""
        with suppress(OSError):
            self._stream.flush()
