"""The page that breaks things: faults of the next call, the tenant's hours, and a fresh start, each with a button."""

from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for

from connector.sandbox import journal, page

routes = Blueprint("controls", __name__, url_prefix="/controls")

# What the next call meets, by the button's name: words for people, and the fault.
BREAKS: dict[str, tuple[str, dict[str, Any]]] = {
    "busy": (
        "The customer is in another conversation",
        {
            "kind": "status",
            "side": "ccaip",
            "route": "sms",
            "status": 400,
            "body": {"message": "Outbound SMS failed. Consumer is already in an active SMS session."},
        },
    ),
    "number": (
        "CCAI Platform refuses the number",
        {
            "kind": "status",
            "side": "ccaip",
            "route": "sms",
            "status": 400,
            "body": {"message": "end_user_number is invalid"},
        },
    ),
    "settings": (
        "CCAI Platform refuses a setting",
        {
            "kind": "status",
            "side": "ccaip",
            "route": "sms",
            "status": 400,
            "body": {"message": "outbound_number is not found"},
        },
    ),
    "limit": (
        "CCAI Platform asks for five seconds",
        {"kind": "status", "side": "ccaip", "route": "sms", "status": 429, "headers": {"Retry-After": "5"}},
    ),
    "no_answer": (
        "CCAI Platform sends the text and does not answer",
        {"kind": "drop_after", "side": "ccaip", "route": "sms"},
    ),
    "crm_down": (
        "Salesforce does not answer three times",
        {"kind": "status", "side": "salesforce", "status": 503, "times": 3},
    ),
    "crm_locked": (
        "Salesforce has locked the case",
        {"kind": "lock_row", "side": "salesforce"},
    ),
}


@routes.after_request
def protect(response: Response) -> Response:
    response.headers.update(page.HEADERS)
    return response


@routes.get("")
def show() -> str:
    """The page, with what was done last."""
    box = journal.box()
    return render_template(
        "controls.html",
        breaks={name: words for name, (words, _) in BREAKS.items()},
        waiting=box.faults.waiting(),
        closed=box.ccaip.settings.closed,
        done=request.args.get("done", ""),
    )


@routes.post("/break/<name>")
def break_next(name: str) -> Any:
    """Let the next call meet this."""
    if name not in BREAKS:
        abort(404, f"There is no fault {name}.")
    words, fault = BREAKS[name]
    journal.box().faults.add(**fault)
    return _done(f"Next: {words}.")


@routes.post("/mend")
def mend() -> Any:
    """Forget the faults that were not met."""
    journal.box().faults.clear()
    return _done("Nothing is broken any more.")


@routes.post("/tenant/<any(open, close):act>")
def tenant(act: str) -> Any:
    """Open or close the tenant: outside its hours."""
    ccaip = journal.box().ccaip
    ccaip.settings = ccaip.settings.model_copy(update={"closed": act == "close"})
    return _done("The tenant is closed." if act == "close" else "The tenant is open.")


@routes.post("/reset")
def reset() -> Any:
    """Everything as it was at the start."""
    journal.box().reset()
    return _done("Everything is as it was at the start.")


def _done(words: str) -> Any:
    return redirect(url_for("controls.show", done=words), 303)
