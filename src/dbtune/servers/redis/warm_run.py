"""One warm-up under way: sends what was packed, reads what became of it, keeps the ledger."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import redis
from redis import exceptions

from dbtune.cache.generations import TOMBSTONE_MS
from dbtune.cache.tags import PRUNED_AT_ONCE, tag_key
from dbtune.core.actions import WarmKeys
from dbtune.core.errors import ChangeFailed, DbtuneError
from dbtune.core.warm_marker import WarmMarker
from dbtune.core.warm_tally import Tally
from dbtune.core.warming import CacheAway, Overtaken, Progress, Warmed, WarmStopped
from dbtune.servers.redis.announcement import Announcement
from dbtune.servers.redis.checkpoint import Checkpoint
from dbtune.servers.redis.commands import Command, filing, pieces
from dbtune.servers.redis.errors import warming_error
from dbtune.servers.redis.lines import Line, opened_line
from dbtune.servers.redis.pace import Pace
from dbtune.servers.redis.packing import LARGEST_VALUE, Batch, Setting
from dbtune.servers.redis.room import ENOUGH_KEYS, Room
from dbtune.servers.redis.session import Address, primary_address
from dbtune.servers.redis.wire import Reply

# After these every further command would be answered alike.
FINAL = (
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.NoPermissionError,
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.TryAgainError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
)
_STALE = b"stale"


class Run:
    """A key counts as failed from when it is tried until Redis has said OK."""

    def __init__(  # noqa: PLR0917 - one caller
        self,
        action: WarmKeys,
        client: redis.Redis,
        setting: Setting,
        latest_ms: int,
        pace: Pace,
        progress: Progress | None,
        checkpoint: Checkpoint | None,
        resumed: int = 0,
        room: Room | None = None,
    ) -> None:
        self._action, self._client, self._setting = action, client, setting
        self._latest_ms, self._pace, self._progress, self._checkpoint = latest_ms, pace, progress, checkpoint
        lists = [kept_under(action.marker).encode()] if action.listed else []
        self._tags = tuple(tag_key(tag) for tag in action.tags)
        self._lists = tuple(lists)
        self._started_s = time.monotonic()
        self._resumed = resumed
        self._room = room
        self._keys = self._bytes = self._skipped = self._failed = self._duplicates = self._kept = self._expired = 0
        self._tried = self._tried_bytes = 0
        self._tally = Tally()
        self._written_keys: list[bytes] = []
        self._unfiled: list[bytes] = []
        self._is_over = self._overtaken = False
        is_blind = setting.in_cluster and setting.generation
        self._announcement = Announcement(client, action, setting) if is_blind else None
        self._refusal: exceptions.ResponseError | None = None
        self._shortest_s = action.ttl_s * (1 - action.jitter)
        if action.mode == "newer":
            self._shortest_s = min(self._shortest_s, TOMBSTONE_MS / 1000)

    def ledger(self) -> Warmed:
        return Warmed(
            keys=self._keys - self._duplicates,
            bytes=self._bytes,
            skipped=self._skipped,
            failed=self._failed,
            duplicates=self._duplicates,
            duration_s=time.monotonic() - self._started_s,
            kept=self._kept,
            expired=self._expired,
            resumed=self._resumed,
            tally=self._tally,
        )

    def warm(self, batches: Iterable[Batch]) -> None:
        try:
            primary = primary_address(self._client)
            with opened_line(self._client, self._done) as line:
                self._prepare()
                self._write_all(line, batches)
            self._refuse_overtaken()
            self._announce(())
            self._refuse_replaced(primary)
            if self._progress is not None:
                self._progress(self._keys)
            if self._refusal is None:
                self._mark()
        except exceptions.RedisError as error:
            raise self._stopped(self._translated(error)) from error
        except Overtaken:
            self._start_over_next_time()
            raise
        except DbtuneError as error:
            raise self._stopped(error) from error
        if self._refusal is not None:
            self._start_over_next_time()
            raise self._stopped(self._translated(self._refusal)) from self._refusal

    def _write_all(self, line: Line, batches: Iterable[Batch]) -> None:
        """Whatever ends it, what is under way is waited for, so that the ledger is true."""
        try:
            for batch in batches:
                self._write(line, batch)
                if self._is_over:
                    break
        except DbtuneError:
            with contextlib.suppress(exceptions.RedisError):
                line.settle()
                self._take_back()
            raise
        line.settle()
        self._take_back()

    def _take_back(self) -> None:
        """Keys that could not be filed and yet were written: a full server refuses one command and takes the next."""
        unfiled = list(dict.fromkeys(self._unfiled))
        for at in range(0, len(unfiled), PRUNED_AT_ONCE):
            some = unfiled[at : at + PRUNED_AT_ONCE]
            gone = (
                sum(self._client.unlink(key) for key in some)
                if self._setting.in_cluster
                else self._client.unlink(*some)
            )
            self._keys -= gone
            self._failed += gone

    def _translated(self, error: exceptions.RedisError) -> DbtuneError:
        return warming_error(error, "writing", has_others=self._setting.has_others)

    def _start_over_next_time(self) -> None:
        """What was not written lies somewhere before the end: nobody may go on behind it."""
        if self._checkpoint is not None:
            with contextlib.suppress(DbtuneError):
                self._checkpoint.clear()

    def _stopped(self, cause: DbtuneError) -> DbtuneError:
        """The cause itself when nothing had been tried yet."""
        if not self._keys + self._failed + self._kept:
            return cause
        told = f"{self._keys - self._duplicates:,} keys were written, {self._failed:,} failed"
        return WarmStopped(f"warming {self._action.key}: {told}: {cause.message}", self.ledger(), cause)

    def _prepare(self) -> None:
        """No marker while it runs, and no dead members in the lists."""
        self._client.unlink(self._action.marker)
        for index in (*self._tags, *self._lists):
            dead = int(self._client.zcount(index, "-inf", self._setting.snapshot_ms))
            for done in range(0, dead, PRUNED_AT_ONCE):
                self._client.zremrangebyrank(index, 0, min(PRUNED_AT_ONCE, dead - done) - 1)

    def _mark(self) -> None:
        warmed_at = datetime.fromtimestamp(self._setting.snapshot_ms / 1000, UTC)
        keys = self._keys - self._duplicates + self._resumed
        marker = WarmMarker(self._action.fingerprint, keys, warmed_at).dump()
        due_ms = self._setting.snapshot_ms + round(self._action.fresh_for_s * 1000)
        self._client.set(self._action.marker, marker, pxat=due_ms)
        self._start_over_next_time()

    def _write(self, line: Line, batch: Batch) -> None:
        if time.monotonic() - self._started_s > self._shortest_s:
            raise ChangeFailed("it takes longer than its keys live", hint="give them a longer ttl, or warm fewer rows")
        first, *others = pieces(batch.commands, self._setting.piece_keys)
        self._pace.wait(_key_count(first))
        self._skipped += batch.skipped
        self._expired += batch.expired
        self._failed += _key_count(batch.commands) + batch.too_large
        self._duplicates += batch.duplicates
        self._tried += _key_count(batch.commands)
        self._tried_bytes += sum(command.size_bytes for command in batch.commands)
        self._tally.add(batch.rows, self._tried, self._tried_bytes, self._skipped, self._expired, self._duplicates)
        if batch.too_large:
            self._refusal = exceptions.ResponseError(f"a value is larger than {LARGEST_VALUE >> 20} MB")
        if batch.keys:
            # Before the keys are written: whatever happens then, no key lives that is not found there.
            for index in self._filed_before:
                line.send(filing(index, batch.keys, self._latest_ms))
        self._announce([key for command in batch.commands for key in command.keys])
        line.send(first)
        for piece in others:
            # The batch is one: whatever stops the run, its ledger is of whole batches.
            self._pace.space(_key_count(piece))
            line.send(piece)
        if self._lists and self._action.mode != "overwrite":
            self._list_written(line, batch)
        if self._room is not None and self._keys >= ENOUGH_KEYS:
            self._room.check(self._keys, self._resumed)
            self._room = None
        if self._checkpoint is not None and self._refusal is None:
            line.send(self._checkpoint.reached(batch.rows, batch.last_key))
        if self._progress is not None:
            self._progress(self._keys)

    def _list_written(self, line: Line, batch: Batch) -> None:
        """With a condition, only the server says which keys are ours to remove again."""
        line.settle()
        expiries_ms = {key: expiry_ms for expiry_ms, key in batch.keys}
        written = [(expiries_ms[key], key) for key in self._written_keys]
        self._written_keys.clear()
        for index in self._lists if written else ():
            line.send(filing(index, written, self._latest_ms))

    def _announce(self, keys: Sequence[bytes]) -> None:
        """Behind their filing under tags, before they are written; none: all of them have been."""
        if self._announcement is not None and not self._announcement.make(keys):
            self._overtaken = True
            self._refuse_overtaken()

    def _refuse_overtaken(self) -> None:
        if self._overtaken:
            told = f"warming {self._action.key}: what it had read was invalidated meanwhile"
            raise Overtaken(told, hint="run it again; it reads anew")

    def _refuse_replaced(self, primary: Address | None) -> None:
        """After a failover the old primary takes writes for some seconds more, and loses them: nobody says READONLY."""
        if primary is not None and primary_address(self._client) != primary:
            told = f"{primary[0]}:{primary[1]} is not the primary any more: another server took over meanwhile"
            raise CacheAway(told, hint="run it again; it goes on after what is there")

    @property
    def _filed_before(self) -> Sequence[bytes]:
        """With a condition, what is to be undone is known only afterwards."""
        return (*self._tags, *(self._lists if self._action.mode == "overwrite" else ()))

    def _done(self, command: Command, replies: list[Reply]) -> None:
        """Every command's replies come here, in the order in which it was sent."""
        if not command.keys_each:
            for reply in replies:
                if isinstance(reply, exceptions.ResponseError):
                    # The lists cannot be kept, so no key may be written either.
                    self._refusal, self._is_over = reply, True
                    self._unfiled += command.keys
            return
        for reply in replies:
            if isinstance(reply, exceptions.ResponseError):
                self._refused(command, reply)
            elif reply == _STALE:
                self._is_over = self._overtaken = True
            elif isinstance(reply, list):
                self._some_written(command, reply)
            else:
                self._failed -= command.keys_each
                self._keys += command.keys_each
        good = sum(not isinstance(reply, exceptions.ResponseError) for reply in replies)
        self._bytes += command.size_bytes * good // len(replies)

    def _refused(self, command: Command, reply: exceptions.ResponseError) -> None:
        """A server that says that it will not take any is left alone."""
        self._refusal = reply
        self._is_over |= isinstance(reply, FINAL) or not self._keys + self._kept

    def _some_written(self, command: Command, answers: list[Reply]) -> None:
        written = sum(answer == 1 for answer in answers)
        self._failed -= command.keys_each
        self._keys += written
        self._kept += command.keys_each - written
        self._tally.answer(self._keys + self._kept, self._kept)
        if self._lists and self._action.mode != "overwrite":
            self._written_keys += [key for key, answer in zip(command.keys, answers, strict=True) if answer == 1]


def _key_count(commands: Sequence[Command]) -> int:
    return sum(command.key_count for command in commands)


def kept_under(marker: str) -> str:
    return f"{marker}:keys"
