"""How the sets and counts are stored: they are rewritten often and small."""

from django.db import migrations


class Migration(migrations.Migration):
    """Leave room for rewriting in place, and do not compress what is compressed already."""

    dependencies = [("segments", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """
            ALTER TABLE sync SET (fillfactor = 50);
            ALTER TABLE segment SET (fillfactor = 50);
            ALTER TABLE segment_day SET (fillfactor = 50);
            ALTER TABLE segment_chunk ALTER COLUMN bits SET STORAGE EXTERNAL;
            ALTER TABLE sync_change ALTER COLUMN named SET STORAGE EXTERNAL;
            ALTER TABLE event_block ALTER COLUMN counts SET STORAGE EXTERNAL;
            ALTER TABLE event_block ALTER COLUMN rows SET STORAGE EXTERNAL;
            ALTER TABLE event_column ALTER COLUMN "values" SET STORAGE EXTERNAL;
            ALTER TABLE event_value ALTER COLUMN rows SET STORAGE EXTERNAL;
            ALTER TABLE profile_column ALTER COLUMN people SET STORAGE EXTERNAL;
            ALTER TABLE profile_column ALTER COLUMN "values" SET STORAGE EXTERNAL;
            """,
            migrations.RunSQL.noop,
        ),
    ]
