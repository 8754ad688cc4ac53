"""Let indexes alone answer the gate's query, without the rows of login sessions and grants."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    found = ["token_hash", "host", "expires_at", "person_id", "id"]
    op.create_index("ix_login_sessions_gate", "login_sessions", found)
    op.create_index("ix_grants_gate", "grants", ["person_id", "live", "revoked_at", "until", "product"])
    op.drop_index("ix_grants_person_id", "grants")
