"""Keeps other sites away from the hosted page: its headers, its cookie, and where a form may come from."""

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Request, Response

from webhooks.agent_page.sessions import AgentSession
from webhooks.problems import Problem

COOKIE = "texting"


class PageSecurity:
    """`public_url`: what browsers call this web process; None: as they do in each request.

    `frame_ancestors`: the origins that may show the page in a frame.
    """

    def __init__(self, public_url: str | None, frame_ancestors: Sequence[str]) -> None:
        self._public_url = public_url
        self._framed = bool(frame_ancestors)
        self._headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors {' '.join(frame_ancestors) or chr(39) + 'none' + chr(39)}",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if not self._framed:
            self._headers["X-Frame-Options"] = "DENY"  # for browsers that know no frame-ancestors

    def protect(self, response: Response, kept: bool = False) -> Response:
        """`kept`: the browser may keep it; what shows a person may not be."""
        response.headers.update(self._headers)
        if not kept:
            response.headers["Cache-Control"] = "no-store"
        return response

    def base(self, request: Request) -> str:
        """The address of this web process, without a slash at its end."""
        return self._public_url or request.host_url.rstrip("/")

    def cookie(self, request: Request) -> str:
        return request.cookies.get(self._name(request), "")

    def set_cookie(self, request: Request, response: Response, visit: AgentSession, sealed: str) -> None:
        """For this page only: who has two tickets open has two cookies, and neither form can reach the other's."""
        secure = self._secure(request)
        in_frames = self._framed and secure
        left = max(int(visit.until - time.time()), 0)
        response.set_cookie(
            self._name(request),
            sealed,
            max_age=left,
            path=f"/agents/text/{visit.id}",
            httponly=True,
            secure=secure,
            samesite="None" if in_frames else "Lax",
            partitioned=in_frames,
        )

    def refuse_strangers(self, request: Request) -> None:
        """A form comes from a page of ours. Raises Problem 403."""
        if not self.from_us(request):
            raise Problem(403, "This form was sent by a page of somebody else. Nothing was sent to anybody.")

    def from_us(self, request: Request) -> bool:
        """Whether a page of ours has sent this form.

        Under our Referrer-Policy browsers give a form's origin as "null"; then Sec-Fetch-Site has to vouch for it.
        """
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        ours = {request.host, urlsplit(self.base(request)).netloc}
        from_us = site == "same-origin" or (site is None and origin != "null")
        return from_us and (origin in (None, "null") or urlsplit(origin).netloc in ours)

    def _name(self, request: Request) -> str:
        # With this prefix browsers keep it only where it came by https. __Host- would demand the path of all pages.
        return f"__Secure-{COOKIE}" if self._secure(request) else COOKIE

    def _secure(self, request: Request) -> bool:
        return request.is_secure or (self._public_url or "").startswith("https:")
