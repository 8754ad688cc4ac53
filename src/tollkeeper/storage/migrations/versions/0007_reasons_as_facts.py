"""Store reasons as codes with facts, and the invoices of subscriptions. What was written before stays readable."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# An old sentence becomes the fact of the code ``written``. What operators wrote comes after these texts.
OPERATORS = {"operator_granted": "Granted by an operator: ", "operator_revoked": "Revoked by an operator: "}
DELETED = "The account was deleted."

# The audit's words do not change, only their format, and only this once. So its guards are removed during that.
GUARDS = {
    "sqlite": (
        ("DROP TRIGGER audit_is_never_changed",),
        (
            """
            CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
            """,
        ),
    ),
    "postgresql": (
        ("DROP TRIGGER audit_is_never_rewritten ON audit",),
        (
            """
            CREATE TRIGGER audit_is_never_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_audit()
            """,
        ),
    ),
}
JSON_OBJECT = {"sqlite": sa.func.json_object, "postgresql": sa.func.json_build_object}


def upgrade() -> None:
    aside, back = GUARDS[op.get_context().dialect.name]
    op.add_column("findings", sa.Column("remarks", sa.Text))
    op.add_column("findings", sa.Column("invoices", sa.Text))
    for statement in aside:
        op.execute(statement)
    for name in ("grants", "findings", "audit"):
        _rewrite(name, "reason", _as_reason(sa.column("reason")))
    for statement in back:
        op.execute(statement)
    _rewrite("grants", "withheld", _withheld(sa.column("withheld")))
    remark: sa.ColumnElement[str] = sa.column("remark", sa.Text)
    op.execute(sa.update(_table("findings")).where(remark.is_not(None)).values(remarks="[" + _written(remark) + "]"))
    op.drop_index("ix_findings_remarked", "findings")
    op.drop_column("findings", "remark")
    where = sa.text("remarks IS NOT NULL")
    listed = ["provider", "live", "bought_at"]
    op.create_index("ix_findings_remarked", "findings", listed, sqlite_where=where, postgresql_where=where)


def _table(name: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column, sa.Text) for column in ("reason", "withheld", "remark", "remarks")))


def _rewrite(name: str, column: str, value: sa.ColumnElement[str]) -> None:
    op.execute(sa.update(_table(name)).where(sa.column(column).is_not(None)).values({column: value}))


def _object(code: str, fact: str | None = None, value: sa.ColumnElement[str] | None = None) -> sa.ColumnElement[str]:
    parts: list[sa.ColumnElement[str]] = [_text("code"), _text(code)]
    if fact is not None and value is not None:
        parts += [_text(fact), value]
    return sa.cast(JSON_OBJECT[op.get_context().dialect.name](*parts), sa.Text)


def _text(word: str) -> sa.ColumnElement[str]:
    """PostgreSQL does not guess the type of a parameter here."""
    return sa.cast(sa.literal(word), sa.Text)


def _written(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return _object("written", "words", column)


def _as_reason(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Return the reason for a stored sentence, with an operator's note as a fact of its own."""
    cases = [
        (column.startswith(start), _object(code, "note", sa.func.substr(column, len(start) + 1)))
        for code, start in OPERATORS.items()
    ]
    return sa.case(*cases, else_=_written(column))


def _withheld(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.case(
        (column == DELETED, _object("account_deleted")), else_=_object("operator_revoked", "note", column)
    )  # fmt: skip
