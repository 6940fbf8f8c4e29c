"""The cookie of the agent page, and its protection from other sites."""

import time
from collections.abc import Sequence

from flask import Request, Response

from webhooks.agent_page.sessions import AgentSession
from webhooks.browser_security import BrowserSecurity

COOKIE = "texting"


class PageSecurity(BrowserSecurity):
    """`public_url`: the web process's address for browsers; None: the address of each request.

    `frame_ancestors`: the origins that may show the page in a frame.
    """

    def __init__(self, public_url: str | None, frame_ancestors: Sequence[str]) -> None:
        super().__init__(public_url, frame_ancestors)
        self._framed = bool(frame_ancestors)

    def cookie(self, request: Request) -> str:
        return request.cookies.get(self.cookie_name(request, COOKIE), "")

    def set_cookie(self, request: Request, response: Response, session: AgentSession, sealed: str) -> None:
        """Set the cookie for this page's path. An agent with two open tickets has two cookies, one for each form."""
        secure = self.secure(request)
        in_frames = self._framed and secure
        left = max(int(session.until - time.time()), 0)
        response.set_cookie(
            self.cookie_name(request, COOKIE),
            sealed,
            max_age=left,
            path=f"/agents/text/{session.id}",
            httponly=True,
            secure=secure,
            samesite="None" if in_frames else "Lax",
            partitioned=in_frames,
        )
