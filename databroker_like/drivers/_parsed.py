"""Files that have been decoded, kept while there is room; a file that grew is decoded from where it had ended."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections import OrderedDict
from operator import length_hint

from databroker_like.drivers._calm import calm
from databroker_like.drivers._column_cache import ColumnCache
from databroker_like.drivers._format import SMALL, FileFormat, Reader, is_gzipped, open_file
from databroker_like.drivers._runs import RunData, RunsBuilder
from databroker_like.drivers._scan import Listing, Signature, signature
from databroker_like.errors import InvalidDocument, InvalidFile, MissingFile, NoSuchRun

__all__ = ["PARSED", "ParsedFile", "ParsedFiles"]

_COMPARED = 4096

#: Smaller files are decoded faster than their columns are found.
WORTH_KEEPING = 1 << 19


class ParsedFile:
    """What one file holds, as far as it has been decoded."""

    def __init__(self, path: str, file_format: FileFormat) -> None:
        self.path = path
        self._format = file_format
        self.signature: Signature | None = None
        self.problem: str | None = None
        self.has_warned = False
        self._builder = RunsBuilder()
        self._offset = 0
        self._decoded_at = 0
        self._ends: tuple[bytes, bytes] = (b"", b"")
        self._runs: dict[str, RunData] = {}

    def run(self, uid: str) -> RunData:
        """One of the runs in the file, as far as it goes."""
        data = self._runs.get(uid)
        if data is None:
            try:
                data = self._runs[uid] = self._builder.run(uid)
            except KeyError:
                raise NoSuchRun(f"run {uid} is no longer in {self.path}; look it up in the catalog again") from None
        return data

    @property
    def may_have_changed(self) -> bool:
        """Whether it was decoded so soon after it was written that an equal signature says nothing."""
        return self.signature is not None and self.signature.size <= SMALL and self.signature.is_fresh(self._decoded_at)

    def continues(self, now: Signature) -> bool:
        """Whether the file is what was decoded, with more behind it."""
        then = self.signature
        if then is None or self.problem or not self._offset or now.inode != then.inode or now.size <= then.size:
            return False
        return self._read_ends(self._offset) == self._ends

    def decode(self, now: Signature) -> None:
        """Decode what has come since the last time."""
        self._decoded_at = time.time_ns()
        reader = self._format.reader(self.path, self._offset)
        try:
            with calm():
                self._take(reader)
        except (InvalidFile, InvalidDocument) as error:
            self.problem = str(error) if isinstance(error, InvalidFile) else f"{reader.where}: {error}"
        except (EOFError, OSError, zlib.error) as error:
            self.problem = f"truncated or unreadable after {reader.where}: {error}"
        self._offset = reader.offset
        self.signature = now
        self._ends = self._read_ends(self._offset)
        self._runs.clear()

    def _take(self, reader: Reader) -> None:
        for batch in reader.batches():
            left = iter(batch)
            try:
                self._builder.feed(left)
            except InvalidDocument:
                reader.stopped_at(len(batch) - length_hint(left) - 1)
                raise

    def restore(self, cache: ColumnCache, now: Signature) -> bool:
        """Take what another process decoded, when that is this file as it is now."""
        if self.signature is not None or now.is_fresh(time.time_ns()):
            return False
        runs = cache.load(self.path, self._format, now)
        if runs is None:
            return False
        self._runs, self.signature = runs, now
        return True

    def keep(self, cache: ColumnCache) -> None:
        """Let other processes take what was decoded, when all of it is finished and sound."""
        if self.signature is None or self.problem or self.signature.is_fresh(self._decoded_at):
            return
        runs = {uid: self.run(uid) for uid in self._builder.uids()}
        if runs and all(run.stop is not None for run in runs.values()) and signature(self.path) == self.signature:
            cache.save(self.path, self._format, self.signature, runs)

    def _read_ends(self, offset: int) -> tuple[bytes, bytes]:
        with open_file(self.path) as file:
            if is_gzipped(file):  # appending to it is another stream; it is decoded anew
                return b"", os.urandom(8)
            first = file.read(min(_COMPARED, offset))
            file.seek(max(0, offset - _COMPARED))
            return first, file.read(min(_COMPARED, offset))


class ParsedFiles:
    """Decoded files, the least recently used forgotten first.

    Parameters
    ----------
    most_bytes : int
        How large the kept files may be together, on disk; the last one used is kept at any size.
    cache : ColumnCache, optional
        Where large ones are kept for other processes; in the user's cache by default.
    """

    def __init__(self, most_bytes: int = 256 << 20, cache: ColumnCache | None = None) -> None:
        self.most_bytes = most_bytes
        self._cache = cache or ColumnCache()
        self._files: OrderedDict[tuple[str, str], ParsedFile] = OrderedDict()
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._unlock)

    def _unlock(self) -> None:
        self._lock = threading.RLock()

    def get(self, path: str, file_format: FileFormat) -> ParsedFile:
        """What a file holds now.

        Parameters
        ----------
        path : str
        file_format : FileFormat

        Returns
        -------
        ParsedFile

        Raises
        ------
        MissingFile
            When it is not there any more.
        """
        now = signature(path)
        if now is None:
            raise MissingFile(f"{path} is not there any more; the run in it cannot be read")
        key = (path, file_format.name)
        with self._lock:
            file = self._files.get(key)
            if file is None or file.signature != now or file.may_have_changed:
                if file is None or not file.continues(now):
                    file = ParsedFile(path, file_format)
                self._fill(file, now)
                self._files[key] = file
            self._files.move_to_end(key)
            self._forget()
        return file

    def _fill(self, file: ParsedFile, now: Signature) -> None:
        if now.size < WORTH_KEEPING or not file.restore(self._cache, now):
            file.decode(now)
            if now.size >= WORTH_KEEPING:
                file.keep(self._cache)

    def problems(self, file_format: FileFormat, listing: Listing) -> dict[str, str]:
        """Path -> problem, of the listed files that are decoded, still as they were, and found to be broken."""
        with self._lock:
            return {
                path: file.problem
                for (path, name), file in self._files.items()
                if name == file_format.name
                and file.problem
                and listing.get(os.path.dirname(path), {}).get(os.path.basename(path)) == file.signature
            }

    def _forget(self) -> None:
        total = sum(file.signature.size for file in self._files.values() if file.signature)
        while total > self.most_bytes and len(self._files) > 1:
            _, file = self._files.popitem(last=False)
            total -= file.signature.size if file.signature else 0

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._files.clear()


#: Shared by all file catalogs of a process, so that a run that was pickled and came back finds what is decoded.
PARSED = ParsedFiles()
