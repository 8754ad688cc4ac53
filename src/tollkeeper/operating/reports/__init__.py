"""What operators are shown: tables for people, JSON for machines."""

from tollkeeper.operating.reports.checks import checks_in_json, checks_in_words
from tollkeeper.operating.reports.events import (
    events_in_json,
    events_in_words,
    reconciled_in_json,
    reconciled_in_words,
    with_progress,
)
from tollkeeper.operating.reports.people import (
    cases_of,
    explanation_in_json,
    explanation_in_words,
    granted_in_json,
    granted_in_words,
    people_in_json,
    people_in_words,
    revoked_in_json,
    revoked_in_words,
)
from tollkeeper.operating.reports.purchases import (
    adopted_in_json,
    adopted_in_words,
    dismissed_in_json,
    dismissed_in_words,
    ended_in_json,
    ended_in_words,
    off_sale_in_words,
    payments_in_json,
    payments_in_words,
)
from tollkeeper.operating.reports.set_up import (
    differences_in_words,
    lines_in_words,
    set_up_in_json,
    set_up_in_words,
    written_in_words,
)

__all__ = [
    "adopted_in_json",
    "adopted_in_words",
    "cases_of",
    "checks_in_json",
    "checks_in_words",
    "differences_in_words",
    "dismissed_in_json",
    "dismissed_in_words",
    "ended_in_json",
    "ended_in_words",
    "events_in_json",
    "events_in_words",
    "explanation_in_json",
    "explanation_in_words",
    "granted_in_json",
    "granted_in_words",
    "lines_in_words",
    "off_sale_in_words",
    "payments_in_json",
    "payments_in_words",
    "people_in_json",
    "people_in_words",
    "reconciled_in_json",
    "reconciled_in_words",
    "revoked_in_json",
    "revoked_in_words",
    "set_up_in_json",
    "set_up_in_words",
    "with_progress",
    "written_in_words",
]
