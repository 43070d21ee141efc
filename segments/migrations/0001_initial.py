import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("profiles", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Sync",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("full", "Full list"), ("diff", "Differences")], max_length=4)),
                ("session_id", models.TextField(blank=True)),
                ("session_key", models.TextField(db_collation="C")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("receiving", "Receiving"),
                            ("applying", "Applying"),
                            ("complete", "Done"),
                            ("incomplete", "Incomplete"),
                            ("failed", "Failed"),
                            ("held", "Held"),
                        ],
                        default="receiving",
                        max_length=10,
                    ),
                ),
                ("members_pages", models.IntegerField(default=0, null=True)),
                ("add_pages", models.IntegerField(default=0, null=True)),
                ("remove_pages", models.IntegerField(default=0, null=True)),
                ("pages_received", models.IntegerField(default=0)),
                ("pages_applied", models.IntegerField(default=0)),
                ("pages_failed", models.IntegerField(default=0)),
                ("numbers_applied", models.IntegerField(default=0)),
                ("received", models.BigIntegerField(default=0)),
                ("matched", models.BigIntegerField(default=0)),
                ("created", models.BigIntegerField(default=0)),
                ("unknown", models.BigIntegerField(default=0)),
                ("updated", models.BigIntegerField(default=0)),
                ("added", models.BigIntegerField(default=0)),
                ("removed", models.BigIntegerField(default=0)),
                ("unchanged", models.BigIntegerField(default=0)),
                ("rejected", models.BigIntegerField(default=0)),
                ("warned", models.BigIntegerField(default=0)),
                ("added_since", models.BinaryField(null=True)),
                ("removed_since", models.BinaryField(null=True)),
                ("removed_unknown", models.JSONField(null=True)),
                ("received_at", models.DateTimeField()),
                ("last_page_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "sync",
            },
        ),
        migrations.CreateModel(
            name="Segment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("type", models.CharField(choices=[("partner", "Partner - Mixpanel")], default="partner", max_length=16)),
                ("name", models.CharField(max_length=255)),
                ("size", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("description", models.TextField(blank=True)),
                (
                    "sync_mode",
                    models.CharField(
                        choices=[("one_time", "One-time"), ("dynamic", "Dynamic")], default="one_time", max_length=8
                    ),
                ),
                ("last_sync_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "segment",
            },
        ),
        migrations.CreateModel(
            name="Cohort",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("partner", models.CharField(max_length=16)),
                ("partner_project_id", models.TextField(db_collation="C")),
                ("partner_segment_id", models.TextField(db_collation="C")),
                ("name", models.CharField(blank=True, max_length=255)),
                ("is_deleted", models.BooleanField(default=False)),
                ("deleted_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="cohorts",
                        to="profiles.project",
                    ),
                ),
            ],
            options={
                "db_table": "cohort",
            },
        ),
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
            options={
                "db_table": "sync_hold",
            },
        ),
        migrations.AddField(
            model_name="sync",
            name="cohort",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="syncs", to="segments.cohort"
            ),
        ),
        migrations.AddField(
            model_name="sync",
            name="project",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="syncs", to="profiles.project"
            ),
        ),
        migrations.AddField(
            model_name="sync",
            name="replay_of",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="replays", to="segments.sync"
            ),
        ),
        migrations.AddField(
            model_name="sync",
            name="segment",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="syncs", to="segments.segment"
            ),
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
            model_name="segment",
            name="last_sync",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="segments.sync",
            ),
        ),
        migrations.AddField(
            model_name="segment",
            name="list_sync",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="segments.sync",
            ),
        ),
        migrations.AddField(
            model_name="segment",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="segments", to="profiles.project"
            ),
        ),
        migrations.AddField(
            model_name="cohort",
            name="segment",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="cohort", to="segments.segment"
            ),
        ),
        migrations.CreateModel(
            name="SegmentChunk",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "segment_id", "chunk", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("chunk", models.IntegerField()),
                ("bits", models.BinaryField()),
                ("size", models.IntegerField()),
                (
                    "segment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="segments.segment",
                    ),
                ),
            ],
            options={
                "db_table": "segment_chunk",
            },
        ),
        migrations.CreateModel(
            name="SegmentDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "segment_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField()),
                ("added", models.BigIntegerField(default=0)),
                ("removed", models.BigIntegerField(default=0)),
                ("size", models.BigIntegerField(default=0)),
                (
                    "segment",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="days", to="segments.segment"
                    ),
                ),
            ],
            options={
                "db_table": "segment_day",
            },
        ),
        migrations.CreateModel(
            name="SyncChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("action", models.CharField(max_length=16)),
                ("number", models.IntegerField(null=True)),
                ("named", models.BinaryField()),
                ("created", models.BinaryField(null=True)),
                ("added", models.BinaryField(null=True)),
                ("removed", models.BinaryField(null=True)),
                ("held", models.BinaryField(null=True)),
                ("at", models.DateTimeField()),
                (
                    "sync",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="changes", to="segments.sync"
                    ),
                ),
            ],
            options={
                "db_table": "sync_change",
            },
        ),
        migrations.CreateModel(
            name="SyncReject",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("severity", models.SmallIntegerField(choices=[(1, "Rejected"), (2, "Value left out")])),
                ("page", models.IntegerField(null=True)),
                ("position", models.IntegerField()),
                ("member", models.TextField()),
                ("code", models.CharField(max_length=32)),
                ("reason", models.TextField()),
                (
                    "sync",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="rejects", to="segments.sync"
                    ),
                ),
            ],
            options={
                "db_table": "sync_reject",
            },
        ),
        migrations.AddIndex(
            model_name="sync",
            index=models.Index(fields=["project", "-id"], name="sync_newest"),
        ),
        migrations.AddIndex(
            model_name="sync",
            index=models.Index(fields=["segment", "-id"], name="sync_of_segment"),
        ),
        migrations.AddIndex(
            model_name="sync",
            index=models.Index(
                condition=models.Q(("status__in", ["receiving", "applying"])), fields=["status"], name="sync_open"
            ),
        ),
        migrations.AddIndex(
            model_name="sync",
            index=models.Index(condition=models.Q(("status", "held")), fields=["cohort"], name="sync_held"),
        ),
        migrations.AddConstraint(
            model_name="sync",
            constraint=models.UniqueConstraint(fields=("cohort", "session_key", "kind"), name="sync_once"),
        ),
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(fields=["project", "-created_at"], name="segment_newest"),
        ),
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(fields=["project", "name"], name="segment_by_name"),
        ),
        migrations.AddConstraint(
            model_name="cohort",
            constraint=models.UniqueConstraint(
                fields=("project", "partner", "partner_project_id", "partner_segment_id"), name="cohort_once"
            ),
        ),
        migrations.AddIndex(
            model_name="syncchange",
            index=models.Index(fields=["sync", "action", "number"], name="sync_change_page"),
        ),
        migrations.AddIndex(
            model_name="syncchange",
            index=models.Index(condition=models.Q(("held__isnull", False)), fields=["sync"], name="sync_change_held"),
        ),
        migrations.AddIndex(
            model_name="syncreject",
            index=models.Index(fields=["sync", "severity", "id"], name="sync_reject_list"),
        ),
    ]
