"""A text's progress, as the agent page shows it: its steps, and whether more is to come."""

from connector.model import State
from connector.store.text_views import TextStatus, WriteBackState

# The state of a step.
DONE, NOW, FAILED, TO_COME = "done", "now", "failed", "to come"


def done(text: TextStatus) -> bool:
    """Whether nothing more happens by itself: there is an outcome, and its write-back is finished or given up."""
    return text.is_final and text.write_back is not WriteBackState.PENDING


def waits(text: TextStatus) -> bool:
    """Whether no change is expected for a while."""
    return bool(text.leaves_at or text.notified_after)


def steps(text: TextStatus) -> list[tuple[str, str]]:
    """A text's progress: a label and a state for each step."""
    final = text.is_final
    outcome = {State.SENT: "Sent", State.UNKNOWN: "Not known"}.get(text.state, "Not sent") if final else "Being sent"
    sent = DONE if text.state is State.SENT else FAILED if final else NOW
    if text.leaves_at:
        outcome, sent = "Waiting for its time", TO_COME
    elif text.pause:
        outcome, sent = "Waiting: sending is paused", TO_COME
    elif not final and not text.worker:
        outcome, sent = "Waiting: nothing is being sent now", TO_COME
    if not final:
        write_back = ("Write back to the ticket", TO_COME)
    elif text.notified_after:
        write_back = (f"The ticket is notified after text {text.notified_after}, which is not settled yet", TO_COME)
    elif not done(text):
        write_back = ("Writing back to the ticket", NOW)
    elif text.write_refused:
        write_back = ("The ticket could not be updated", FAILED)
    else:
        write_back = ("The ticket has the result", DONE)
    return [("Saved", DONE), (outcome, sent), write_back]
