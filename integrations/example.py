"""The call that the settings page offers to try from a terminal."""

import json
from typing import Any, Final

# One member of each kind: both ids, a distinct id with an address, a distinct id alone.
SAMPLE: Final[dict[str, Any]] = {
    "action": "members",
    "parameters": {
        "mixpanel_project_id": "2195193",
        "mixpanel_cohort_id": "1638361188",
        "mixpanel_cohort_name": "Cart Drop off",
        "mixpanel_cohort_description": "Added to cart, did not buy",
        "mixpanel_session_id": "8d1d9a9e-0c8e-4b39-a6b4-6b1f1f1f0001",
        "page_info": {"total_pages": 1, "page_count": 1},
        "members": [
            {
                "mixpanel_distinct_id": "986791",
                "$CleverTap_user_id": "123456",
                "email": "asha@example.com",
                "first_name": "Asha",
                "last_name": "Rao",
                "phone_number": "+918025551234",
                "City": "Bangalore",
                "Plan": "Gold",
            },
            {"mixpanel_distinct_id": "123457", "email": "ben@example.com", "first_name": "Ben", "last_name": "Ode"},
            {"mixpanel_distinct_id": "123458"},
        ],
    },
}


def curl_command(*, webhook_url: str, public_id: str) -> str:
    """Return a command for a POSIX shell. Nothing in it needs escaping: the body holds no single quote."""
    parameters = SAMPLE["parameters"]
    facts = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in parameters.items() if key != "members")
    members = ",\n   ".join(json.dumps(member) for member in parameters["members"])
    body = f'{{"action": "{SAMPLE["action"]}",\n "parameters": {{\n  {facts},\n  "members": [\n   {members}]}}}}'
    return f"curl '{webhook_url}' \\\n -u '{public_id}:PASSCODE' \\\n -H 'Content-Type: application/json' -d '{body}'"
