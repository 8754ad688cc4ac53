"""Run the migrations on the connection that ``migrate`` hands over, inside its transaction."""

from alembic import context

from tollkeeper.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    transactional_ddl=True,
)
context.run_migrations()
