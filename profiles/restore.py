"""What a restore into another database cluster leaves askew: numbers of transactions, which begin anew there.

Batches of events bear the number of the transaction that wrote them. After a restore into a younger cluster those numbers
lie ahead of its clock: readers of the outbox would wait for it to catch up, and then miss what was written meanwhile.
"""

from django.db import transaction

from profiles.statements import fetch_one, run

# Uses index: event_batch_outbox. What is visible was written before the snapshot's end, by any
# clock but another cluster's. `before` is the newest number that no running transaction can still write under.
LOOK_AHEAD = """
SELECT ahead::text::bigint, (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1),
    (SELECT max(id) FROM (
        SELECT id FROM event_batch WHERE transaction >= ahead
        UNION ALL SELECT batch_id FROM outbox_position WHERE transaction >= ahead::text::bigint
    ) AS beyond(id)),
    (SELECT coalesce(max(transaction), 0) FROM outbox_position WHERE transaction < ahead::text::bigint)
FROM pg_snapshot_xmax(pg_current_snapshot()) AS ahead
"""

# A reader goes on at the first batch that it has not read; what it read behind that one it gets again, which is harmless.
MOVE_PLACES = """
UPDATE outbox_position place SET transaction = %(before)s, batch_id = coalesce((
    SELECT min(id) - 1 FROM event_batch batch
    WHERE batch.transaction >= %(ahead)s::text::xid8 AND batch.id <= %(last)s
        AND (batch.transaction, batch.id) > (place.transaction::text::xid8, place.batch_id)
), %(last)s)
WHERE transaction >= %(ahead)s
"""

# The restored ones first, then what was written since: by their ids.
RENUMBER_BATCHES = """
UPDATE event_batch SET transaction = %(before)s::text::xid8
WHERE transaction >= %(ahead)s::text::xid8 AND id <= %(last)s OR id > %(last)s AND transaction < %(before)s::text::xid8
"""


def follow() -> bool:
    """Set the numbers right where the database was restored into another cluster; return whether it was.

    No batch is lost to a reader. Costs a probe of an index when there is nothing to do.
    """
    with transaction.atomic():
        ahead, before, last, newest_place = fetch_one(LOOK_AHEAD, {})
        if last is not None and newest_place < before:  # else again, when the clock has moved on
            asked = {"ahead": ahead, "before": before, "last": last}
            run(MOVE_PLACES, asked)
            run(RENUMBER_BATCHES, asked)
    return last is not None
