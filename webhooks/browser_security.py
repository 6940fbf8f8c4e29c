"""Protection of pages from other sites: headers, and the origin of forms."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Request, Response

from webhooks.problems import Problem


class BrowserSecurity:
    """`public_url`: the web process's address for browsers; None: the address of each request.

    `frame_ancestors`: the origins that may show the pages in a frame.
    """

    def __init__(self, public_url: str | None, frame_ancestors: Sequence[str]) -> None:
        self._public_url = public_url
        self._headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors {' '.join(frame_ancestors) or chr(39) + 'none' + chr(39)}",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if not frame_ancestors:
            self._headers["X-Frame-Options"] = "DENY"  # for browsers without frame-ancestors

    def protect(self, response: Response, kept: bool = False) -> Response:
        """Add the headers. `kept`: browsers may cache the response, which must then hold no personal data."""
        response.headers.update(self._headers)
        if not kept:
            response.headers["Cache-Control"] = "no-store"
        return response

    def base(self, request: Request) -> str:
        """The address of this web process, without a trailing slash."""
        return self._public_url or request.host_url.rstrip("/")

    def refuse_strangers(self, request: Request) -> None:
        """Refuse a form from another site. Raises Problem 403."""
        if not self.from_us(request):
            raise Problem(403, "This form was sent by a page of somebody else. Nothing was done.")

    def from_us(self, request: Request) -> bool:
        """Whether a page of ours sent the form.

        Under this Referrer-Policy browsers send a form's origin as "null". Sec-Fetch-Site must then say same-origin.
        """
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        ours = {request.host, urlsplit(self.base(request)).netloc}
        from_us = site == "same-origin" or (site is None and origin != "null")
        return from_us and (origin in (None, "null") or urlsplit(origin).netloc in ours)

    def cookie_name(self, request: Request, name: str) -> str:
        # Browsers accept this prefix over https only. __Host- would require the path / for all pages.
        return f"__Secure-{name}" if self.secure(request) else name

    def secure(self, request: Request) -> bool:
        """Whether browsers reach this process over https."""
        return request.is_secure or (self._public_url or "").startswith("https:")
