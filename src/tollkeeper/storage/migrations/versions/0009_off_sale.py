"""What the provider refuses to sell until somebody changes something."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "off_sale",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(always=True), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("product", sa.String(100), nullable=False),
        sa.Column("price_id", sa.String(255), nullable=False),
        sa.Column("person_id", sa.String(40), nullable=False, server_default=""),
        sa.Column("obstacle", sa.String(40), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("tried_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_off_sale"),
        sa.UniqueConstraint(
            "person_id",
            "price_id",
            "product",
            "provider",
            "live",
            name="uq_off_sale_person_id_price_id_product_provider_live",
        ),
    )
