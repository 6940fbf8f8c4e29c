"""Lets every command write to consoles that lack some characters: these are replaced, instead of ending the command."""

import codecs
import io
import sys

# ASCII by a name of ours: click writes UTF-8 to what calls itself ASCII, which such a console cannot show.
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
    """From now on standard output and standard error show ? for what their encoding does not have."""
    codecs.register(_plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            plain = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=PLAIN if plain else None, errors="replace")
