"""What makes the second look at people cheap."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the digest of what was said last, and when an id was learnt."""

    dependencies = [("profiles", "0002_event_log")]

    operations = [
        migrations.AddField("profile", "said", models.BigIntegerField(null=True)),
        migrations.RunSQL(
            """
            ALTER TABLE profile_alias ADD COLUMN transaction xid8 NOT NULL DEFAULT pg_current_xact_id();
            CREATE INDEX profile_alias_learnt ON profile_alias (transaction);
            """,
            "ALTER TABLE profile_alias DROP COLUMN transaction;",
        ),
    ]
