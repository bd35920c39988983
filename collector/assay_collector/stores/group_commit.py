"""Group commit: callers that wait at the same time share one transaction."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")

GROUP_REQUESTS_MAX = 256


class _Ticket(Generic[Request, Result]):
    __slots__ = ("error", "request", "result")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.result: Result | None = None
        self.error: BaseException | None = None

    @property
    def is_open(self) -> bool:
        return self.result is None and self.error is None


class GroupCommit(Generic[Request, Result]):
    """
    Turns concurrent calls into few writes, without a thread of its own.

    Whoever gets the lock first writes for everybody who is waiting; the others find their result ready. A lone caller
    therefore pays nothing, and under load one sync to disk serves many.
    """

    def __init__(self, write: Callable[[Sequence[Request]], Sequence[Result]], retryable: type[Exception]) -> None:
        """
        Args:
            write: Writes all requests in one transaction and returns one result each, never None; or raises, having
                written nothing.
            retryable: The error that concerns the whole group. After any other, each request is written alone, so that
                one that cannot be written costs only itself.
        """
        self._write = write
        self._retryable = retryable
        self._waiting: deque[_Ticket[Request, Result]] = deque()
        self._lock = threading.Lock()

    def submit(self, request: Request) -> Result:
        """Write a request, together with others, and return its result when the transaction is durable."""
        ticket: _Ticket[Request, Result] = _Ticket(request)
        self._waiting.append(ticket)
        while ticket.is_open:
            with self._lock:
                if ticket.is_open:
                    self._write_group(self._take_group())
        if ticket.error is not None:
            raise ticket.error
        assert ticket.result is not None
        return ticket.result

    def _take_group(self) -> list[_Ticket[Request, Result]]:
        count = min(len(self._waiting), GROUP_REQUESTS_MAX)
        return [self._waiting.popleft() for _ in range(count)]

    def _write_group(self, group: list[_Ticket[Request, Result]]) -> None:
        try:
            results = self._write([ticket.request for ticket in group])
        except self._retryable as error:
            for ticket in group:
                ticket.error = error
        except Exception as error:  # noqa: BLE001 - handed to the caller whose request it was
            if len(group) == 1:
                group[0].error = error
                return
            for ticket in group:
                self._write_group([ticket])
        except BaseException as error:
            # The caller's own thread is being ended; whoever waits with it must not wait for ever.
            for ticket in group:
                ticket.error = error
            raise
        else:
            for ticket, result in zip(group, results, strict=True):
                ticket.result = result
