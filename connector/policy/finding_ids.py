"""The ids by which an override names findings of the policy. A finding of another form never exists."""

import re

from connector.model import State

# By the check. A finding with a cause names it: another text, and for a reason that text's state.
FORMS = {
    "plan": "plan",
    "opt_out": "opt_out",
    "reason": rf"reason:[0-9]+:(?:{'|'.join(State)})",
    "window": r"window:[0-9]+",
    "hours": "hours",
    "content": "content",
    "placeholder": "placeholder",
}
ANY = re.compile("|".join(FORMS.values()))
KNOWN = "hours, placeholder, window:17 or reason:17:sent"


def is_known(finding: str) -> bool:
    """Return whether a finding of the policy can have this id."""
    return ANY.fullmatch(finding) is not None
