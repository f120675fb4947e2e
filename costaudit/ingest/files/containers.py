"""Read files, pipes and standard input, compressed or not, as a stream of plain bytes."""

import codecs
import gzip
import os
import select
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import zstandard

from costaudit.errors import InputError


class Stream:
    """A stream that can be read from its start several times.

    Everything read is kept in memory until `rewind` announces the last pass.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self._kept = bytearray()
        self._at = 0
        self._is_last = False

    def rewind(self, *, is_last: bool) -> None:
        """Go back to the start; `is_last` marks the last pass, after which this is impossible."""
        self._at, self._is_last = 0, is_last

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        if self._at < len(self._kept):
            end = len(self._kept) if size < 0 else self._at + size
            chunk = bytes(self._kept[self._at : end])
            self._at += len(chunk)
            return chunk
        if self._is_last:
            self._kept.clear()
            self._at = 0
        chunk = self.source.read(size)
        if not self._is_last:
            self._kept += chunk
            self._at += len(chunk)
        return chunk

    def seekable(self) -> bool:
        """Return False."""
        return False


STDIN = "-"
WAIT_MS = 10_000  # how long to wait until somebody writes to a pipe
_open: dict[str, Stream] = {}  # by address; each can be opened only once


def is_stream(address: str) -> bool:
    """Return whether an address is standard input, a pipe, a socket or a character device.

    These can be read only once.
    """
    if address == STDIN:
        return True
    try:
        mode = Path(address).stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def stream_at(address: str, *, is_last: bool, wait_ms: int = WAIT_MS) -> Stream:
    """Open a stream at its start; `is_last` says that it will not be opened again.

    Raises InputError for a device, and for a pipe that nobody writes to within `wait_ms`.
    """
    known = _open.get(address)
    if address == STDIN and (known is None or known.source is not sys.stdin.buffer):
        known = _open[address] = Stream(sys.stdin.buffer)
    elif known is None:
        known = _open[address] = Stream(_pipe(address, wait_ms))
    known.rewind(is_last=is_last)
    if is_last and address != STDIN:
        del _open[address]
    return known


def _pipe(address: str, wait_ms: int) -> IO[bytes]:
    """Open a pipe, waiting at most `wait_ms` for its writer; raises InputError."""
    handle = os.open(address, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISFIFO(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(f"{address} is a device.", hint="Name a file, a folder or a pipe.")
    waiting = select.poll()
    waiting.register(handle, select.POLLIN | select.POLLHUP)
    if not waiting.poll(wait_ms):
        os.close(handle)
        raise InputError(
            f"Nothing is written to the pipe {address}.", hint="Start its writer first."
        )
    os.set_blocking(handle, True)
    return os.fdopen(handle, "rb")


CHUNK = 256 << 10  # bytes; small enough to stay in the CPU cache
BLOCK = 4 << 20  # bytes of a request to an address; s3fs's own 50 MB are too many for first bytes
ZSTD_BITE = 4 << 10
BOMB = "It unpacks to more than {:g} times its size, as decompression bombs do."
FREE_BYTES = 64 << 20  # a small file may unpack to this much at any ratio
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"BZh": "a bzip2 file",
}
MARKS = {  # longer ones first: the UTF-16-LE mark is a prefix of the UTF-32-LE one
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class BrokenStreamError(Exception):
    """A file is truncated or damaged; `reason` is a short class, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@contextmanager
def open_input(address: str, *, is_last: bool = False, exact: bool = False) -> Iterator[IO[bytes]]:
    """Open a path, "-" or an address that fsspec knows; raises InputError.

    Standard input and pipes can be opened repeatedly, until a call with `is_last`. With `exact`,
    nothing is read ahead from an address, so read large parts.
    """
    try:
        if is_stream(address):
            yield cast(IO[bytes], stream_at(address, is_last=is_last))
            return
        if "://" in address:
            import fsspec

            how = {"cache_type": "none"} if exact else {"block_size": BLOCK}
            files, path = fsspec.core.url_to_fs(address)
            with files.open(path, "rb", **how) as file:
                yield cast(IO[bytes], file)
        else:
            with open(address, "rb") as file:  # noqa: PTH123
                yield file
    except ImportError as error:
        raise InputError(
            f"{address} can't be opened: {error}.",
            hint="Install it: pip install 'costaudit[remote]'.",
        ) from None
    except OSError as error:
        raise InputError(
            f"{address} can't be read: {error.strerror or error}.",
            hint="Check the path and its permissions."
            if "://" not in address
            else "Check the address and the rights there, and renew the credentials. Run the "
            "command again: it continues.",
        ) from None
    except Exception as error:
        if not is_of_a_client(error):
            raise
        raise InputError(
            f"{address} can't be read: {error}.",
            hint="Check the address, the credentials and the network.",
        ) from None


def is_of_a_client(error: Exception) -> bool:
    """Return whether an exception comes from a client of object storage or of the web."""
    package = type(error).__module__.partition(".")[0]
    return package in ("aiobotocore", "botocore", "aiohttp", "fsspec", "gcsfs", "google", "adlfs")


class Ahead:
    """A file reader that can look ahead and counts the bytes that were read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ahead = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        """Return up to `size` of the next bytes without consuming them."""
        while len(self._ahead) < size and (more := self._file.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        chunk = self._ahead if size < 0 else self._ahead[:size]
        self._ahead = self._ahead[len(chunk) :]
        if size < 0 or len(chunk) < size:
            chunk += self._file.read(size if size < 0 else size - len(chunk))
        self.count += len(chunk)
        return chunk


def is_compressed(head: bytes) -> bool:
    """Return whether a file's first bytes are those of gzip or zstd; its name is not used."""
    return head[:2] == GZIP or head[:4] == ZSTD


def plain_chunks(file: IO[bytes] | Ahead, max_ratio: float) -> Iterator[bytes]:
    """Yield the decompressed content as UTF-8; a UTF-8 byte order mark is kept.

    UTF-16 and UTF-32 are transcoded. Raises BrokenStreamError where the file is damaged or
    truncated, and where it unpacks to more than `max_ratio` times its size.
    """
    chunks = _decompressed(file, max_ratio)
    first = next(chunks, b"")
    encoding, mark = wide_encoding(first)
    if encoding:
        yield from _transcoded(first[len(mark) :], chunks, encoding)
        return
    yield first
    yield from chunks


def wide_encoding(first: bytes) -> tuple[str, bytes]:
    """Return the name of a UTF-16 or UTF-32 encoding and its byte order mark; "" for any other.

    Without a mark, UTF-16 is recognised by zeros in every second byte, as in Latin text.
    """
    for mark, encoding in MARKS.items():
        if first.startswith(mark):
            return encoding, mark
    head = first[: 4 << 10]
    half = len(head) // 2
    zeros = head[::2].count(0), head[1::2].count(0)
    if half < 8 or max(zeros) < 0.8 * half or min(zeros) > 0.05 * half:
        return "", b""
    return ("utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"), b""


def _transcoded(first: bytes, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(first).encode("utf-8", "replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")


def _decompressed(file: IO[bytes] | Ahead, max_ratio: float) -> Iterator[bytes]:
    """Yield the content in large chunks; what was read before an error is yielded first."""
    source = file if isinstance(file, Ahead) else Ahead(file)
    head = source.peek(4)
    pieces = _gunzipped(source) if head[:2] == GZIP else _plain(source)
    if head == ZSTD:
        pieces = _unzstd(source)
    given = 0
    held: list[bytes] = []
    size = 0
    broken: BrokenStreamError | None = None
    while broken is None:
        try:
            piece = next(pieces)
        except StopIteration:
            break
        except (EOFError, zlib.error, zstandard.ZstdError, OSError) as error:
            broken = BrokenStreamError("broken-compression", _why(error))
            break
        given += len(piece)
        if given > FREE_BYTES and given > max_ratio * source.count:
            broken = BrokenStreamError("unpacks-too-far", BOMB.format(max_ratio))
            break
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
    if broken is not None:
        raise broken


def _plain(source: Ahead) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk


def _gunzipped(source: Ahead) -> Iterator[bytes]:
    reader = gzip.GzipFile(fileobj=cast(IO[bytes], source))
    while chunk := reader.read1(1 << 20):
        yield chunk


def _unzstd(source: Ahead) -> Iterator[bytes]:
    """Unpack consecutive frames, reading few bytes at a time to limit decompression bombs."""
    frame = None
    bite = source.read(ZSTD_BITE)
    while bite:
        frame = frame or zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        yield frame.decompress(bite)
        bite = frame.unused_data if frame.eof else b""
        if frame.eof:
            frame = None
        bite = bite or source.read(ZSTD_BITE)
    if frame is not None:
        raise EOFError


def _why(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "The compressed file ends before its content does."
    return "The compressed data is damaged from here on."
