import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("profiles", "0002_event_log"),
        ("segments", "0002_storage"),
    ]

    operations = [
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("partner", models.CharField(max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting for the first call"), ("connected", "Connected"), ("error", "Refused")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("connected_at", models.DateTimeField(null=True)),
                ("last_call_at", models.DateTimeField(null=True)),
                ("error_at", models.DateTimeField(null=True)),
                ("error_since", models.DateTimeField(null=True)),
                ("error_count", models.IntegerField(default=0)),
                ("error_status", models.IntegerField(null=True)),
                ("error_message", models.TextField(blank=True)),
                ("error_from", models.GenericIPAddressField(null=True)),
                ("mass_removal_guard_pct", models.SmallIntegerField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="connections",
                        to="profiles.project",
                    ),
                ),
            ],
            options={
                "db_table": "connection",
                "constraints": [models.UniqueConstraint(fields=("project", "partner"), name="connection_once")],
            },
        ),
        migrations.CreateModel(
            name="Page",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("cohort_id", models.BigIntegerField()),
                ("action", models.CharField(max_length=16)),
                ("number", models.IntegerField()),
                ("total", models.IntegerField(null=True)),
                ("digest", models.BinaryField(max_length=16)),
                ("body", models.BinaryField(null=True)),
                ("received_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "state",
                    models.SmallIntegerField(
                        choices=[(0, "Waiting"), (1, "Applied"), (2, "Ignored"), (3, "Set aside")], default=0
                    ),
                ),
                ("applied_at", models.DateTimeField(null=True)),
                ("attempts", models.SmallIntegerField(default=0)),
                ("retry_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="profiles.project",
                    ),
                ),
                (
                    "sync",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="pages", to="segments.sync"
                    ),
                ),
            ],
            options={
                "db_table": "page",
                "indexes": [
                    models.Index(condition=models.Q(("state", 0)), fields=["cohort_id", "id"], name="page_pending"),
                    models.Index(condition=models.Q(("body__isnull", False)), fields=["received_at"], name="page_kept"),
                ],
                "constraints": [models.UniqueConstraint(fields=("sync", "action", "number", "digest"), name="page_once")],
            },
        ),
        migrations.CreateModel(
            name="PartnerCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("partner", models.CharField(max_length=16)),
                ("at", models.DateTimeField()),
                ("action", models.CharField(max_length=32, null=True)),
                ("cohort", models.CharField(blank=True, max_length=255)),
                ("page", models.IntegerField(null=True)),
                ("pages", models.IntegerField(null=True)),
                ("people", models.IntegerField(null=True)),
                ("status", models.SmallIntegerField()),
                ("message", models.TextField(blank=True)),
                ("took_us", models.IntegerField()),
                ("address", models.GenericIPAddressField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="profiles.project",
                    ),
                ),
            ],
            options={
                "db_table": "partner_call",
                "indexes": [models.Index(fields=["project", "-id"], name="partner_call_newest")],
            },
        ),
    ]
