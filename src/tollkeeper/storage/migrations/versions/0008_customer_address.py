"""The e-mail address that the provider was told of each customer, and an index on addresses.

Customers of before are taken to have been told the address that the person has now: else all of them would be told once
more, and whatever they have changed at the provider since would be undone.
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
