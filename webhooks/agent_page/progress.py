"""A text's progress, as the agent page shows it: its steps, and whether more is to come."""

from collections.abc import Mapping
from typing import Any

from connector.model import OUTCOMES
from connector.store.text_views import WriteBackState, write_back_state

# The state of a step.
DONE, NOW, FAILED, TO_COME = "done", "now", "failed", "to come"


def done(row: Mapping[str, Any]) -> bool:
    """Whether nothing more happens by itself: there is an outcome, and its write-back is finished or given up."""
    return row["state"] in OUTCOMES and write_back_state(row) is not WriteBackState.PENDING


def waits(row: Mapping[str, Any]) -> bool:
    """Whether no change is expected for a while."""
    return bool(row["leaves_at"] or row["told_after"])


def steps(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A text's progress: a label and a state for each step."""
    final = row["state"] in OUTCOMES
    outcome = {"sent": "Sent", "unknown": "Not known"}.get(row["state"], "Not sent") if final else "Being sent"
    sent = DONE if row["state"] == "sent" else FAILED if final else NOW
    if row["leaves_at"]:
        outcome, sent = "Waiting for its time", TO_COME
    elif not final and not row["worker"]:
        outcome, sent = "Waiting: nothing is being sent now", TO_COME
    if not final:
        told = ("Write back to the ticket", TO_COME)
    elif row["told_after"]:
        told = (f"The ticket is told after text {row['told_after']}, which is not settled yet", TO_COME)
    elif not done(row):
        told = ("Writing back to the ticket", NOW)
    elif row["write_refused"]:
        told = ("The ticket could not be updated", FAILED)
    else:
        told = ("The ticket has the result", DONE)
    return [("Saved", DONE), (outcome, sent), told]
