//! One end of a connection.

use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Net;

/// Bytes that are on their way in one direction before the writer waits.
const IN_FLIGHT_MAX: usize = 256 * 1024;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    net: Net,
    reads: u64,
    writes: u64,
    arrival: Pin<Box<Sleep>>,
    shut: bool,
}

impl End {
    pub(super) fn new(net: Net, reads: u64, writes: u64) -> Self {
        Self { net, reads, writes, arrival: Box::pin(sleep_until(Instant::now())), shut: false }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.shut, true) {
            self.net.state().send(self.writes, b"");
        }
    }
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let net = self.net.clone();
        loop {
            let mut state = net.state();
            let blocked = state.pipes.get(&self.reads).is_some_and(|pipe| state.is_blocked(pipe.from, pipe.to));
            let Some(pipe) = state.pipes.get_mut(&self.reads) else { return Poll::Ready(Err(ErrorKind::ConnectionReset.into())) };
            if pipe.reader_reset {
                return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
            }
            pipe.reader = Some(context.waker().clone());
            let Some((arrives, bytes)) = pipe.segments.front_mut().filter(|_| !blocked && !pipe.lost && !pipe.held) else {
                return Poll::Pending;
            };
            if *arrives > Instant::now() {
                let arrives = *arrives;
                drop(state);
                self.arrival.as_mut().reset(arrives);
                match self.arrival.as_mut().poll(context) {
                    Poll::Ready(()) => continue,
                    Poll::Pending => return Poll::Pending,
                }
            }
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            bytes.drain(..count);
            if bytes.is_empty() {
                pipe.segments.pop_front();
            }
            pipe.in_flight -= count;
            if let Some(writer) = pipe.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.net.state();
        let Some(pipe) = state.pipes.get_mut(&self.writes) else { return Poll::Ready(Err(ErrorKind::BrokenPipe.into())) };
        if pipe.writer_reset || (pipe.ends < 2 && !pipe.lost) {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let room = IN_FLIGHT_MAX - pipe.in_flight.min(IN_FLIGHT_MAX);
        if room == 0 {
            pipe.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = bytes.len().min(room);
        if count > 0 {
            state.send(self.writes, &bytes[..count]);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.end();
        let mut state = self.net.state();
        let (reads, writes) = (self.reads, self.writes);
        state.leave(reads);
        state.leave(writes);
    }
}
