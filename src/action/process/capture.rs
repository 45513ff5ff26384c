//! Keeps the beginning and the end of a stream of any length.

use std::collections::VecDeque;

use crate::report::redact::Redactor;

/// The first and the last bytes of a stream, and a count of those between.
///
/// So much more than the limit is held as the longest secret needs: a secret over the edge of what is kept is still
/// recognised as a whole, and replaced.
#[derive(Debug)]
pub(in crate::action) struct Capture {
    limit: usize,
    head_bytes_max: usize,
    tail_bytes_max: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Capture {
    /// Keeps `limit` bytes, the half of them from the beginning.
    pub(in crate::action) fn new(limit: usize, redactor: &Redactor) -> Self {
        let margin = redactor.longest();
        let head_kept = limit / 2;
        Self {
            limit,
            head_bytes_max: head_kept + margin,
            tail_bytes_max: limit - head_kept + margin,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
        }
    }

    /// Takes what comes next.
    pub(in crate::action) fn take(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_bytes_max - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = rest.get(rest.len().saturating_sub(self.tail_bytes_max)..).unwrap_or_default();
        let over = (self.tail.len() + rest.len()).saturating_sub(self.tail_bytes_max);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// How many bytes the text leaves out.
    pub(in crate::action) fn dropped(&self) -> u64 {
        self.total.saturating_sub(self.limit as u64)
    }

    /// How many bytes came so far.
    pub(in crate::action) fn total(&self) -> u64 {
        self.total
    }

    /// At most the last `bytes` of what came so far, without secrets and without broken characters. What could be the
    /// beginning of a secret whose rest has not come yet is left out.
    pub(in crate::action) fn tail(&self, bytes: usize, redactor: &Redactor) -> String {
        let margin = redactor.longest();
        let wanted = bytes + margin;
        let last = self.tail.len().saturating_sub(wanted);
        let mut end: Vec<u8> = self.tail.range(last..).copied().collect();
        // What stands in the head belongs to it only while nothing is missing between the two.
        if self.total <= (self.head.len() + self.tail.len()) as u64 && end.len() < wanted {
            let from = self.head.len().saturating_sub(wanted - end.len());
            end.splice(..0, self.head.iter().skip(from).copied());
        }
        let is_all = end.len() as u64 == self.total;
        let until = end.len() - redactor.unfinished(&end);
        // Where the beginning was cut off, a piece of a secret may stand within the margin, and nowhere behind it.
        let from = until.saturating_sub(bytes).max(if is_all { 0 } else { margin.min(until) });
        lossy(whole_end(whole_start(redactor.redact_part(&end, from..until))))
    }

    /// Everything that came, if all of it is kept.
    pub(in crate::action) fn is_whole(&self) -> bool {
        self.dropped() == 0
    }

    /// The text without secrets and without broken characters; says in its middle how much is missing.
    pub(in crate::action) fn into_text(self, redactor: &Redactor) -> String {
        let dropped = self.dropped();
        let contiguous = self.total <= (self.head.len() + self.tail.len()) as u64;
        let head_kept = self.limit / 2;
        let tail_kept = self.limit - head_kept;
        let (mut start, mut end) = (self.head, Vec::from(self.tail));
        if contiguous {
            start.append(&mut end);
            end.clone_from(&start);
        }
        if dropped == 0 {
            return lossy(redactor.redact_bytes(&start).into_owned());
        }
        let head = redactor.redact_part(&start, 0..head_kept);
        let tail = redactor.redact_part(&end, end.len().saturating_sub(tail_kept)..end.len());
        let text = format!("{}\n[… {dropped} bytes left out …]\n{}", lossy(whole_end(head)), lossy(whole_start(tail)));
        redactor.redact(&text).into_owned()
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Without the beginning of a character at the end, which the cut made.
fn whole_end(mut bytes: Vec<u8>) -> Vec<u8> {
    let from_end = bytes.iter().rev().take(3).position(|byte| *byte >= 0xc0);
    if let Some(from_end) = from_end {
        let at = bytes.len() - 1 - from_end;
        let needed = match bytes.get(at) {
            Some(0xf0..) => 4,
            Some(0xe0..) => 3,
            _ => 2,
        };
        if bytes.len() - at < needed {
            bytes.truncate(at);
        }
    }
    bytes
}

/// Without the rest of a character at the beginning.
fn whole_start(mut bytes: Vec<u8>) -> Vec<u8> {
    let rest = bytes.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    bytes.drain(..rest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "a-secret-of-20-bytes";

    fn text(limit: usize, chunks: &[&[u8]]) -> String {
        let redactor = Redactor::new([SECRET]).expect("it builds");
        let mut capture = Capture::new(limit, &redactor);
        chunks.iter().for_each(|chunk| capture.take(chunk));
        capture.into_text(&redactor)
    }

    #[test]
    fn what_fits_is_kept_whole() {
        assert_eq!(text(10, &[b"01234", b"56789"]), "0123456789");
        assert_eq!(text(10, &[b"", b"\xff"]), "\u{fffd}");
        assert_eq!(text(0, &[]), "");
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        assert_eq!(text(10, &[b"0123456789x"]), "01234\n[… 1 bytes left out …]\n6789x");
        let long = vec![b'y'; 100_000];
        assert_eq!(text(4, &[b"ab", &long, b"cd"]), "ab\n[… 100000 bytes left out …]\ncd");
    }

    #[test]
    fn the_cut_breaks_no_character() {
        assert_eq!(text(6, &["ab€cdefg€yz".as_bytes()]), "ab\n[… 9 bytes left out …]\nyz");
    }

    proptest! {
        #[test]
        fn no_piece_of_a_secret_stays_at_a_cut_or_over_chunks(
            before in 0_usize..200, after in 0_usize..200, limit in 0_usize..120, chunk in 1_usize..50,
        ) {
            let stream = [vec![b'.'; before], SECRET.as_bytes().to_vec(), vec![b'.'; after]].concat();
            let out = text(limit, &stream.chunks(chunk).collect::<Vec<_>>());
            let out = out.replace(" bytes left out ", "");
            prop_assert!(!out.contains(|c: char| c.is_ascii_lowercase()), "{out}");
        }

        #[test]
        fn memory_is_bounded(chunks in proptest::collection::vec(0_usize..5_000, 0..50), limit in 0_usize..500) {
            let redactor = Redactor::none();
            let mut capture = Capture::new(limit, &redactor);
            for len in &chunks {
                capture.take(&vec![b'x'; *len]);
                prop_assert!(capture.head.len() + capture.tail.len() <= limit);
            }
            let total: usize = chunks.iter().sum();
            prop_assert_eq!(capture.dropped(), total.saturating_sub(limit) as u64);
        }
    }
}
