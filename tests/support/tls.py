"""One TLS context for the calls of tests: httpx would load all authorities for each call, 26 ms of CPU."""

import ssl

TLS = ssl.create_default_context()
