"""requests over the connector's transport, for libraries that make their calls with it."""

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from connector.http.transport import Caller


def send(caller: Caller, request: requests.PreparedRequest) -> requests.Response:
    """Send the request. Raises NeverSent or NoResponse, which requests passes on."""
    content = request.body or b""
    content = content.encode() if isinstance(content, str) else content
    headers = {**request.headers, "Accept-Encoding": "gzip"}
    answer = caller.call(request.method or "GET", request.path_url, headers, content)
    response = requests.Response()
    response.request, response.url = request, request.url or ""
    response.status_code, response._content = answer.status, answer.content
    response.headers = CaseInsensitiveDict(answer.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    return response
