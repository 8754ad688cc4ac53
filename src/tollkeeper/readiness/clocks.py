"""PURE. Whether this machine's clock is right, by the clocks of those that it talks to."""

from collections.abc import Iterator, Sequence

from tollkeeper.model.checks import CheckResult, ClockReading, kind_table

# Seconds. Further off than this, ID tokens and signatures of webhooks are refused as not yet valid, or as too old.
MOST = 60

KINDS = kind_table(
    ok={"clock_ok": "It agrees with {sources}, within {seconds} s."},
    warnings={
        "clock_unknown": (
            "Nobody who was asked told the time.",
            "Fix what is wrong above, then run this again.",
        ),
    },
    faults={
        "clock_wrong": (
            "This machine's clock is {seconds} s {direction} {sources}. Sign-ins and webhooks are refused.",
            "Turn on time synchronisation (`timedatectl set-ntp true`, or chrony), and look with `timedatectl`.",
        ),
        "clock_of_other": (
            "The clock of {source} is {seconds} s {direction} this machine's, which agrees with {sources}.",
            "Have that server's clock set, with time synchronisation.",
        ),
    },
)


def judge(readings: Sequence[ClockReading]) -> Iterator[CheckResult]:
    """Ours is wrong if no clock that is well kept agrees with it; otherwise those are wrong that do not agree.

    A database or an issuer may run on this machine, and then it always agrees.
    """
    wrong = [one for one in readings if abs(one.ahead) > MOST]
    right = [one for one in readings if one not in wrong]
    reference = [one for one in readings if one.well_kept] or readings
    if not readings:
        yield KINDS["clock_unknown"].of("clock")
    elif any(one in right for one in reference):
        most = max(round(abs(one.ahead)) for one in right)
        yield KINDS["clock_ok"].of("clock", sources=_sources(right), seconds=most)
        for one in wrong:
            facts = {"seconds": round(abs(one.ahead)), "direction": "ahead of" if one.ahead > 0 else "behind"}
            yield KINDS["clock_of_other"].of("clock", source=one.source, sources=_sources(right), **facts)
    else:
        off = min(wrong, key=lambda one: abs(one.ahead)).ahead
        facts = {"seconds": round(abs(off)), "direction": "behind" if off > 0 else "ahead of"}
        yield KINDS["clock_wrong"].of("clock", sources=_sources(wrong), **facts)


def _sources(readings: Sequence[ClockReading]) -> str:
    return ", ".join(dict.fromkeys(one.source for one in readings))
