"""The e-mail address that was sent to the provider for each customer, and an index on addresses.

For existing customers, the person's current address counts as sent. Otherwise all addresses would be sent again, and
would overwrite those that customers have changed at the provider.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_people_email", "people", [sa.text("lower(email)")])
    op.add_column("customers", sa.Column("told_email", sa.Text))
    op.execute(
        "UPDATE customers SET told_email = (SELECT email FROM people WHERE people.id = customers.person_id)"
        " WHERE replaced_at IS NULL"
    )
