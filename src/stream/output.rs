//! What the owner has to do, in one queue; bytes that stand side by side become one piece.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::stream::{Output, StreamEvent};

/// The queue behind [`crate::stream::Stream::poll_output`].
#[derive(Default)]
pub(super) struct Outputs {
    queue: VecDeque<Output>,
    /// Bytes behind everything in `queue`.
    bytes: Vec<u8>,
}

impl Outputs {
    /// Where bytes for the peer are appended.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn event(&mut self, event: StreamEvent) {
        self.push(Output::Event(event));
    }

    pub fn push(&mut self, output: Output) {
        self.flush();
        self.queue.push_back(output);
    }

    /// The next output. An empty queue holds no memory: most streams are idle most of the time.
    pub fn pop(&mut self) -> Option<Output> {
        if self.queue.is_empty() {
            self.flush();
        }
        let output = self.queue.pop_front();
        if output.is_none() {
            self.queue = VecDeque::new();
        }
        output
    }

    /// Nothing is appended to the bytes so far: they are one message.
    pub fn cut(&mut self) {
        self.flush();
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            let bytes = std::mem::take(&mut self.bytes);
            self.queue.push_back(Output::Transmit(Bytes::from(bytes)));
        }
    }
}
