"""How raw pages are stored: as they came. Compressing them cost more than writing them (docs/adr)."""

from django.db import migrations


class Migration(migrations.Migration):
    """Keep the bodies outside the rows, uncompressed."""

    dependencies = [("integrations", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE page ALTER COLUMN body SET STORAGE EXTERNAL; ALTER TABLE page SET (fillfactor = 80);",
            migrations.RunSQL.noop,
        ),
    ]
