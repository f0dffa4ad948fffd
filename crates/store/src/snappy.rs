//! The framing of snappy-java: a header of 16 bytes, then blocks of raw snappy, each behind its
//! length. It is not the framing that snappy itself defines.

use crate::limits::{SNAPPY_BLOCK_BYTES, SNAPPY_BLOCK_BYTES_MAX};
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
/// Version and the oldest version that can read it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];

/// Decompresses.
pub(crate) struct SnappyReader<R> {
    input: R,
    block: Vec<u8>,
    at: usize,
    compressed: Vec<u8>,
}

impl<R: Read> SnappyReader<R> {
    /// Reads the header.
    pub(crate) fn new(mut input: R) -> io::Result<SnappyReader<R>> {
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header)?;
        if !header.starts_with(&MAGIC) {
            return Err(invalid("this is not the beginning of a snappy-java stream"));
        }
        Ok(SnappyReader { input, block: Vec::new(), at: 0, compressed: Vec::new() })
    }

    /// Reads the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        match self.input.read(&mut length)? {
            0 => return Ok(false),
            got => self.input.read_exact(length.get_mut(got..).unwrap_or_default())?,
        }
        if MAGIC.starts_with(&length) {
            // Streams can be concatenated: another header stands between two blocks.
            let mut rest = [0; HEADER_BYTES - 4];
            self.input.read_exact(&mut rest)?;
            self.block.clear();
            self.at = 0;
            return Ok(true);
        }
        let length = i32::from_be_bytes(length);
        let length = usize::try_from(length).ok().filter(|n| *n <= SNAPPY_BLOCK_BYTES_MAX);
        let length = length.ok_or_else(|| invalid("a snappy block has an impossible length"))?;
        self.compressed.clear();
        let got = (&mut self.input).take(length as u64).read_to_end(&mut self.compressed)?;
        if got < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = snap::raw::decompress_len(&self.compressed).map_err(io::Error::other)?;
        if bytes > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid("a snappy block is larger than any writer makes"));
        }
        self.block =
            snap::raw::Decoder::new().decompress_vec(&self.compressed).map_err(io::Error::other)?;
        self.at = 0;
        Ok(true)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let mut rest = self.block.get(self.at..).unwrap_or_default();
        let got = rest.read(into)?;
        self.at += got;
        Ok(got)
    }
}

/// Compresses.
pub(crate) struct SnappyWriter<W> {
    output: W,
    block: Vec<u8>,
}

impl<W: Write> SnappyWriter<W> {
    /// Writes the header.
    pub(crate) fn new(mut output: W) -> io::Result<SnappyWriter<W>> {
        output.write_all(&MAGIC)?;
        output.write_all(&VERSIONS)?;
        Ok(SnappyWriter { output, block: Vec::with_capacity(SNAPPY_BLOCK_BYTES) })
    }

    fn write_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let compressed =
            snap::raw::Encoder::new().compress_vec(&self.block).map_err(io::Error::other)?;
        let length = i32::try_from(compressed.len()).map_err(io::Error::other)?;
        self.output.write_all(&length.to_be_bytes())?;
        self.output.write_all(&compressed)?;
        self.block.clear();
        Ok(())
    }

    /// Writes the last block and gives the output back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        Ok(self.output)
    }
}

impl<W: Write> Write for SnappyWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = SNAPPY_BLOCK_BYTES - self.block.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.block.extend_from_slice(taken);
        if self.block.len() == SNAPPY_BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A block ends when it is full: flushing early would only compress worse.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(parts: &[&[u8]]) -> Vec<u8> {
        let mut writer = SnappyWriter::new(Vec::new()).expect("a vector takes everything");
        for part in parts {
            writer.write_all(part).expect("a vector takes everything");
        }
        writer.finish().expect("a vector takes everything")
    }

    #[test]
    fn streams_of_any_length_round_trip_and_can_be_concatenated() {
        for len in [0, 1, SNAPPY_BLOCK_BYTES - 1, SNAPPY_BLOCK_BYTES, 3 * SNAPPY_BLOCK_BYTES + 5] {
            let content: Vec<u8> = (0..len).map(|i| i.to_le_bytes()[0]).collect();
            let mut stream = compress(&[&content, b"more"]);
            stream.extend(compress(&[b"again"]));
            let mut out = Vec::new();
            SnappyReader::new(&stream[..]).unwrap().read_to_end(&mut out).unwrap();
            assert_eq!(out, [&content[..], b"moreagain"].concat(), "{len}");
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let stream = compress(&[&[3; 1000]]);
        for cut in 17..stream.len() {
            let mut out = Vec::new();
            let got = SnappyReader::new(&stream[..cut]).unwrap().read_to_end(&mut out);
            assert!(got.is_err(), "{cut}");
        }
    }
}
