"""Answers over HTTP: one JSON endpoint, streaming, health."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from apps.chatbot.answers import Answers
from apps.chatbot.engines import Engine
from apps.chatbot.messages import conversation, parse_object
from core.champions import champion
from core.demo import check_port
from core.plain import plain
from data.dialogues import Turn

logger = logging.getLogger(__name__)
MOST_BYTES = 1_000_000  # of a request


def serve(
    run: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    beam_size: int | None = None,
    engine: Engine = "torch",
) -> None:
    """Answer over HTTP until Ctrl-C.

    `POST /reply` takes `{"message": "..."}` or `{"turns": [{"speaker": "user", "text": "..."}]}`
    and gives what `reply --json` prints. With `"stream": true` it sends server-sent events: `token`
    with a piece of the text each, and at the end `reply` with the whole result; where its
    `fallback` is not null, its text replaces the pieces. `GET /health` says which run answers.
    There is no login: to serve others than this machine, put a proxy that has one before it.

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        host: Address to listen on; the default is reached from this machine alone.
        port: 1024 to 65535.
        beam_size: Instead of the run's own; a stream always writes one token after the other.
        engine: What the search runs on; onnx reads the run's onnx/ and makes it where missing,
            int8 reads what `export` kept there.
    """
    check_port(port, host)
    answers = Answers(champion("chatbot", run), beam_size, engine)
    logger.info("answering with %s on http://%s:%d/reply", answers.run.path.name, host, port)
    server = make_server(answers)
    # Without a log of its own, uvicorn's lines go where all others go.
    uvicorn.run(server, host=host, port=port, log_level="warning", log_config=None)


def make_server(answers: Answers) -> Starlette:
    """The web application around a loaded chatbot."""
    one_at_a_time = asyncio.Semaphore(1)  # a reply keeps a core busy; two would slow each other

    async def in_turn(events: Iterator[str]) -> AsyncIterator[str]:
        async with one_at_a_time:
            async for event in iterate_in_threadpool(events):
                yield event

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "run": answers.run.path.name})

    async def reply(request: Request) -> Response:
        body = await _read(request)
        if body is None:
            return _error(f"the request has over {MOST_BYTES} bytes; send less", 413)
        try:
            value = parse_object(body, "the request")
            turns = conversation(value)
            if value.get("stream") is True:
                events = in_turn(_events(answers, turns))
                return StreamingResponse(events, media_type="text/event-stream")
            async with one_at_a_time:
                result = await run_in_threadpool(answers, turns)
        except ValueError as error:
            return _error(str(error), 400)
        return JSONResponse(plain(result))

    return Starlette(
        routes=[Route("/reply", reply, methods=["POST"]), Route("/health", health, methods=["GET"])]
    )


async def _read(request: Request) -> bytes | None:
    """The body; None where it is too long, read to its end so that the sender hears the answer."""
    body, size = b"", 0
    async for chunk in request.stream():
        size += len(chunk)
        body = body + chunk if size <= MOST_BYTES else b""
    return body if size <= MOST_BYTES else None


def _events(answers: Answers, turns: list[Turn]) -> Iterator[str]:
    """Server-sent events of one reply; an error becomes an event, for the status is sent."""
    try:
        for piece in answers.stream(turns):
            is_whole = isinstance(piece, dict)
            value = plain(piece) if is_whole else {"text": piece}
            yield _event("reply" if is_whole else "token", value)
    except ValueError as error:
        yield _event("error", {"error": str(error)})


def _event(name: str, value: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def _error(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status_code=status)
