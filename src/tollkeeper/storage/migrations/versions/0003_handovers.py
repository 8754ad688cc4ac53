"""Store login sessions of hosts that the login cookie does not reach, and the handovers to them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # While nothing refers to it: on SQLite the table is made anew, and dropping the old one deletes what refers to it.
    with op.batch_alter_table("login_sessions") as table:
        table.add_column(sa.Column("host", sa.String(255), nullable=False, server_default=""))
        table.add_column(sa.Column("parent_id", sa.String(40)))
        table.create_foreign_key(
            "fk_login_sessions_parent_id", "login_sessions", ["parent_id"], ["id"], ondelete="CASCADE"
        )
    op.create_index("ix_login_sessions_parent_id", "login_sessions", ["parent_id"])
    op.create_table(
        "handovers",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("login_session_id", sa.String(40), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_handovers"),
        sa.ForeignKeyConstraint(
            ["login_session_id"], ["login_sessions.id"], name="fk_handovers_login_session_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_handovers_login_session_id", "handovers", ["login_session_id"])
    op.create_index("ix_handovers_expires_at", "handovers", ["expires_at"])
