//! Cutting.

use proptest::prelude::*;

use super::super::chunker::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};
use super::*;

fn lengths(bytes: &[u8]) -> Vec<usize> {
    Chunker::new(bytes, ChunkerParameters::DEFAULT).map(|chunk| chunk.expect("a slice").blob.bytes().len()).collect()
}

#[test]
fn edge_z03_an_empty_document_has_no_chunk_and_a_name_of_its_own() {
    let mut blobs = Blobs::default();
    let empty = blobs.split(b"");
    assert_eq!((empty.height, empty.size_bytes), (0, 0));
    assert_eq!(empty.root.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    assert!(blobs.0.is_empty());

    let big = blobs.split(&noise(1, 3_000_000));
    assert_eq!(blobs.difference(Some(&big), &empty), (0, vec![], vec![]));
    let (_, pages, chunks) = blobs.difference(None, &big);
    let (_, pages_to_send, chunks_to_send) = blobs.difference(Some(&empty), &big);
    assert_eq!((pages, chunks), (pages_to_send, chunks_to_send));
    assert_eq!(blobs.read(&empty), b"");
}

#[test]
fn edge_z04_documents_around_the_borders_of_chunk_lengths_come_back() {
    let (min, max) = (CHUNK_BYTES_MIN as usize, CHUNK_BYTES_MAX as usize);
    for around in [1, min, 2 * min, max, 2 * max, 3 * max] {
        for length in [around - 1, around, around + 1] {
            // Zeros have no border of their own: every chunk has the maximum length.
            for bytes in [vec![0; length], noise(length as u64, length)] {
                let mut blobs = Blobs::default();
                let content = blobs.split(&bytes);
                assert_eq!(content.size_bytes, length as u64);
                assert!(blobs.read(&content) == bytes, "{length} bytes");
                assert!(length > min || content.height == 0, "up to the minimum a document is one chunk");
            }
        }
    }
    assert_eq!(lengths(&vec![0; 2 * max + 1]), [max, max, 1]);
    assert_eq!(lengths(&vec![0; max]), [max]);
}

#[test]
fn chunks_keep_the_lengths_that_are_promised() {
    let lengths = lengths(&noise(2, 16 << 20));
    let (last, inner) = lengths.split_last().expect("some chunks");
    assert!(inner.iter().all(|length| (CHUNK_BYTES_MIN as usize..=CHUNK_BYTES_MAX as usize).contains(length)));
    assert!(*last <= CHUNK_BYTES_MAX as usize);
    let average = inner.iter().sum::<usize>() / inner.len();
    assert!((48 << 10..112 << 10).contains(&average), "average of {average}");
}

#[test]
fn borders_are_the_same_for_ever() {
    // Other borders would store and send everything anew once.
    assert_eq!(lengths(&noise(3, 1 << 20))[..4], [38459, 60016, 99678, 58490]);
}

#[test]
fn how_a_reader_hands_out_the_bytes_does_not_matter() {
    let bytes = noise(4, 3_000_000);
    let whole: Vec<_> = Chunker::new(bytes.as_slice(), ChunkerParameters::DEFAULT).map(|chunk| chunk.expect("a slice")).collect();
    for at_once in [1000, 65_536, 1 << 20] {
        let chunks: Vec<_> =
            Chunker::new(Trickle(&bytes, at_once, false), ChunkerParameters::DEFAULT).map(|chunk| chunk.expect("a slice")).collect();
        assert!(chunks == whole);
    }
    let mut cutter = Cutter::new(ChunkerParameters::DEFAULT);
    let mut fed = Vec::new();
    for piece in bytes.chunks(100_000) {
        cutter.feed(piece);
        fed.extend(std::iter::from_fn(|| cutter.take(false)));
    }
    fed.extend(std::iter::from_fn(|| cutter.take(true)));
    assert!(fed == whole);
}

#[test]
fn a_reader_that_fails_ends_the_chunks_with_its_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let source = noise(5, 3 << 20);
    let results: Vec<_> = Chunker::new(source.as_slice().chain(Broken), ChunkerParameters::DEFAULT).collect();
    let (last, chunks) = results.split_last().expect("some results");
    assert!(last.is_err(), "no chunk is made up from what was read before the error");
    assert!(chunks.iter().all(Result::is_ok));
}

#[test]
fn a_chunk_and_a_page_of_the_same_bytes_have_different_names() {
    let bytes = Bytes::from_static(b"the same");
    let chunk = Blob::new(BlobKind::Chunk, bytes.clone());
    assert_ne!(chunk.hash(), BlobKind::Page.hash(&bytes));
    assert_eq!(Blob::verified(BlobKind::Page, chunk.hash(), bytes.clone()), None);
    assert_eq!(Blob::verified(BlobKind::Chunk, chunk.hash(), bytes), Some(chunk));
}

#[test]
fn parameters_from_others_are_checked() {
    assert_eq!(ChunkerParameters::new(16 << 10, 64 << 10, 256 << 10), Some(ChunkerParameters::DEFAULT));
    for (min, average, max) in
        [(0, 2, 4), (1024, 4096, 8192), (4097, 8192, 16384), (8192, 8192, 16384), (16384, 8192, 65536), (4096, 8192, 2 << 20)]
    {
        assert_eq!(ChunkerParameters::new(min, average, max), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_document_comes_back_and_has_one_name(seed: u64, length in 0..600_000_usize, repeats in 1..4_usize) {
        let bytes = noise(seed, length).repeat(repeats);
        let mut blobs = Blobs::default();
        let content = blobs.split(&bytes);
        prop_assert_eq!(content, Blobs::default().split(&bytes));
        prop_assert!(blobs.read(&content) == bytes);
    }
}

/// Notes how large the buffers are that it is given.
struct Noting<'a>(&'a [u8], &'a mut usize);

impl std::io::Read for Noting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        *self.1 = (*self.1).max(buffer.len());
        self.0.read(buffer)
    }
}

#[test]
fn the_memory_to_read_with_goes_by_the_length_of_the_document() {
    let largest = |length| {
        let (bytes, mut largest) = (vec![0; length], 0);
        Chunker::new(Noting(&bytes, &mut largest), ChunkerParameters::DEFAULT).for_each(drop);
        largest
    };
    assert_eq!([largest(100), largest(10_000), largest(8 << 20)], [16 << 10, 16 << 10, 1 << 20]);
}
