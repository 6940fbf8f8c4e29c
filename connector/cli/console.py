"""Output for consoles of limited encodings: replace missing characters instead of failing."""

import codecs
import io
import sys

# A private name for ASCII: click writes UTF-8 to a stream named "ascii", which such a console cannot show.
PLAIN = "connector_ascii"


def _plain(name: str) -> codecs.CodecInfo | None:
    ascii_only = codecs.lookup("ascii")
    return (
        codecs.CodecInfo(
            ascii_only.encode,
            ascii_only.decode,
            ascii_only.streamreader,
            ascii_only.streamwriter,
            ascii_only.incrementalencoder,
            ascii_only.incrementaldecoder,
            name=PLAIN,
        )
        if name == PLAIN
        else None
    )


def forgiving() -> None:
    """Make standard output and standard error print ? for characters that their encoding lacks."""
    codecs.register(_plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            plain = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=PLAIN if plain else None, errors="replace")
