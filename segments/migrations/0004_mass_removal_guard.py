import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0004_last_project"),
        ("segments", "0003_more"),
    ]

    operations = [
        migrations.CreateModel(
            name="Hold",
            fields=[
                (
                    "sync",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="hold",
                        serialize=False,
                        to="segments.sync",
                    ),
                ),
                ("held_at", models.DateTimeField()),
                ("guard_pct", models.SmallIntegerField()),
                ("removing", models.BigIntegerField()),
                ("people", models.BigIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("released", "Applied"),
                            ("discarded", "Discarded"),
                            ("superseded", "Replaced by a later list"),
                            ("deleted", "The segment was deleted"),
                        ],
                        max_length=10,
                    ),
                ),
                ("decided_at", models.DateTimeField(null=True)),
                ("decided_by", models.CharField(blank=True, max_length=255)),
            ],
            options={"db_table": "sync_hold"},
        ),
        migrations.AddField(
            model_name="segment",
            name="held_sync",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="segments.sync",
            ),
        ),
        migrations.AddField(
            model_name="syncchange",
            name="held",
            field=models.BinaryField(null=True),
        ),
        migrations.AddIndex(
            model_name="sync",
            index=models.Index(condition=models.Q(("status", "held")), fields=["cohort"], name="sync_held"),
        ),
        migrations.AddIndex(
            model_name="syncchange",
            index=models.Index(condition=models.Q(("held__isnull", False)), fields=["sync"], name="sync_change_held"),
        ),
    ]
