"""The frames and control messages of the engine's sockets."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flownb.engine.fork.inside import wire

HEADS = st.dictionaries(
    st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=20), st.none()), max_size=3
)
FRAMES = st.builds(
    wire.Frame,
    kind=st.sampled_from(["message", "request"]),
    head=HEADS,
    content=st.binary(max_size=300),
    buffers=st.lists(st.binary(max_size=50), max_size=4),
)


def through(frame: wire.Frame, incoming: wire.Incoming) -> wire.Frame | None:
    got = None
    for pieces in wire.packets(frame):
        assert got is None
        got = incoming.feed(b"".join(pieces))
    return got


@given(st.lists(FRAMES, max_size=4))
@settings(max_examples=60)
def test_what_is_sent_comes_out_as_it_was(frames: list[wire.Frame]) -> None:
    incoming = wire.Incoming()
    assert [through(frame, incoming) for frame in frames] == frames


@pytest.mark.parametrize("size", [0, 1, (1 << 17) - 20, 1 << 17, (1 << 17) + 1, 5_000_000])
def test_a_frame_may_be_of_any_size(size: int) -> None:
    frame = wire.Frame("message", {"n": size}, b"x" * size, [b"y" * size, b"", b"z"])
    assert through(frame, wire.Incoming()) == frame


def test_a_frame_that_was_broken_off_garbles_none_of_those_behind_it() -> None:
    incoming = wire.Incoming()
    packets = [b"".join(pieces) for pieces in wire.packets(wire.Frame("message", {}, b"x" * 500_000))]
    assert len(packets) > 2
    for packet in packets[:2]:
        assert incoming.feed(packet) is None
    whole = wire.Frame("message", {"a": 1}, b"{}", [])
    assert through(whole, incoming) == whole
    assert incoming.feed(packets[-1]) is None
    assert through(whole, incoming) == whole


def test_a_big_frame_goes_through_a_real_socket() -> None:
    ours, theirs = wire.pair()
    frame = wire.Frame("message", {"a": "ü"}, os.urandom(3_000_000), [os.urandom(1_000_000)])
    sender = threading.Thread(target=wire.send_frame, args=(theirs, frame))
    sender.start()
    incoming, got = wire.Incoming(), None
    while got is None:
        got = incoming.feed(wire.receive(ours))
    sender.join()
    assert got == frame
    theirs.close()
    assert wire.receive(ours) == b""
    ours.close()


def test_descriptors_go_along_with_a_control_message() -> None:
    ours, theirs = wire.pair()
    read, write = os.pipe()
    wire.send_control(ours, {"child": 1}, [write])
    os.close(write)
    message, (arrived,) = wire.recv_control(theirs)
    assert message == {"child": 1}
    assert not os.get_inheritable(arrived)
    os.write(arrived, b"hello")
    os.close(arrived)
    assert os.read(read, 10) == b"hello"
    os.close(read)
    ours.close()
    with pytest.raises(EOFError):
        wire.recv_control(theirs)
    theirs.close()


def test_a_pipe_is_read_for_what_it_holds() -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    assert wire.read_pipe(read) == b""
    os.write(write, b"abc")
    assert wire.read_pipe(read) == b"abc"
    os.close(write)
    assert wire.read_pipe(read) == b""
    os.close(read)
