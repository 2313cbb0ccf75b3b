//! A body that is sent while it comes, and is whole only if it is what was described.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest as _, Sha256};
use store::{ObjectBytes, ObjectCopy, StoreError};
use tokio::sync::mpsc;

/// Chunks that wait to be sent.
const CHUNKS_MAX: usize = 4;

/// The receiving end, as a request sends it.
pub(crate) struct Upload {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
}

/// The sending end.
pub(crate) struct Feed {
    chunks: mpsc::Sender<io::Result<Bytes>>,
}

/// Both ends of a body of `size` bytes.
pub(crate) fn upload(size: u64) -> (Feed, Upload) {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let upload = Upload {
        chunks: receiver,
        left: size,
    };
    (Feed { chunks: sender }, upload)
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(context));
        Poll::Ready(chunk.map(|chunk| {
            chunk.map(|chunk| {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                Frame::data(chunk)
            })
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Feed {
    /// Sends `bytes` on. The last chunk goes when all of them are known to be what `copy` says; a store that misses it
    /// stores nothing.
    ///
    /// # Errors
    /// What keeps them from coming, or [`StoreError::Corrupt`] when they are others.
    pub(crate) async fn send(
        self,
        copy: &ObjectCopy,
        bytes: ObjectBytes,
    ) -> Result<(), StoreError> {
        let sent = self.send_all(copy, bytes).await;
        if let Err(error) = &sent {
            // Whoever sends the request may have given up already.
            let _ = self
                .chunks
                .send(Err(io::Error::other(error.to_string())))
                .await;
        }
        sent
    }

    async fn send_all(&self, copy: &ObjectCopy, mut bytes: ObjectBytes) -> Result<(), StoreError> {
        let (mut size, mut hash, mut last) = (0_u64, Sha256::new(), None);
        while let Some(chunk) = bytes.try_next().await? {
            size += chunk.len() as u64;
            if size > copy.size {
                return Err(other(copy));
            }
            hash.update(&chunk);
            let before = last.replace(chunk).filter(|chunk| !chunk.is_empty());
            if let Some(before) = before
                && self.chunks.send(Ok(before)).await.is_err()
            {
                // The request has ended, and says why.
                return Ok(());
            }
        }
        if size != copy.size || hash.finalize().as_slice() != copy.sha256 {
            return Err(other(copy));
        }
        if let Some(last) = last.filter(|chunk| !chunk.is_empty()) {
            let _ = self.chunks.send(Ok(last)).await;
        }
        Ok(())
    }
}

fn other(copy: &ObjectCopy) -> StoreError {
    StoreError::Corrupt(format!(
        "the bytes are not the {} that were described",
        copy.size
    ))
}
