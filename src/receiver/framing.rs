//! Where one request ends and the next begins, as told by the bytes alone.
//!
//! hyper repairs what it could refuse: of `Content-Length` beside `Transfer-Encoding` it drops the former, and
//! two equal `Content-Length` lines it merges, so its headers no longer show what was sent. Two parsers of one
//! stream that disagree on its frames are how requests are smuggled; this one reads along, answers for fewer
//! forms than hyper does, and whatever it does not count as a sound head is refused.
//!
//! It never changes, holds back or answers anything.

/// The longest line that is looked at. hyper gives up on a whole head of this size.
const LINE_BYTES_MAX: usize = super::HEAD_BYTES_MAX;

/// Where in the stream the bytes seen so far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between two requests, or before the first.
    Between,
    /// In a request line or in headers, or in the empty lines that may stand before them.
    Head,
    /// In a body of known length; so many bytes are left.
    Body(u64),
    /// After a head that was refused, or one whose body is chunked: no later request of the connection counts.
    Blind,
}

/// Reads along with one connection.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    /// Whether this head's request line is behind.
    past_request_line: bool,
    /// The part of a line that came so far, where a read ended within one.
    begun: Vec<u8>,
    /// The `Content-Length` lines of this head.
    lengths: Lengths,
    /// How many `Transfer-Encoding` lines this head has.
    encodings: u32,
    /// How many heads began.
    begun_heads: u64,
    /// How many sound heads there were.
    heads: u64,
}

#[derive(Debug, Clone, Copy)]
enum Lengths {
    None,
    One(u64),
    Unsound,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Between,
            past_request_line: false,
            begun: Vec::new(),
            lengths: Lengths::None,
            encodings: 0,
            begun_heads: 0,
            heads: 0,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// How many heads began, sound or not.
    pub(super) fn begun_heads(&self) -> u64 {
        self.begun_heads
    }

    /// How many sound heads the stream had.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Takes the bytes that came next.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.phase {
                Phase::Blind => return,
                Phase::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - here as u64;
                    self.phase = if left == 0 { Phase::Between } else { Phase::Body(left) };
                    bytes.get(here..).unwrap_or_default()
                }
                Phase::Between | Phase::Head => self.read_line(bytes),
            };
        }
    }

    /// Takes one line, or what there is of it, and returns the rest.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.phase == Phase::Between {
            self.phase = Phase::Head;
            self.begun_heads += 1;
        }
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            if self.begun.len() + bytes.len() > LINE_BYTES_MAX {
                self.go_blind();
            } else {
                self.begun.extend_from_slice(bytes);
            }
            return &[];
        };
        let (line, rest) = bytes.split_at(end);
        if self.begun.is_empty() {
            self.line(line);
        } else {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(line);
            self.line(&whole);
        }
        rest.get(1..).unwrap_or_default()
    }

    /// Takes a whole line, without its line feed.
    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (self.past_request_line, line.is_empty()) {
            // hyper skips empty lines before a request as well.
            (false, true) => {}
            (false, false) => self.past_request_line = true,
            (true, false) => self.header(line),
            (true, true) => self.end_of_head(),
        }
    }

    fn header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths = match (self.lengths, length(value.get(1..).unwrap_or_default())) {
                (Lengths::None, Some(length)) => Lengths::One(length),
                _ => Lengths::Unsound,
            };
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings = self.encodings.saturating_add(1);
        }
    }

    fn end_of_head(&mut self) {
        match (self.lengths, self.encodings) {
            (Lengths::None, 0) => self.next(Phase::Between),
            (Lengths::One(0), 0) => self.next(Phase::Between),
            (Lengths::One(length), 0) => self.next(Phase::Body(length)),
            // Where chunks end is not followed: the connection is closed after this request instead.
            (Lengths::None, 1) => self.next(Phase::Blind),
            _ => self.go_blind(),
        }
    }

    fn next(&mut self, phase: Phase) {
        self.heads += 1;
        self.phase = phase;
        self.past_request_line = false;
        self.lengths = Lengths::None;
        self.encodings = 0;
    }

    fn go_blind(&mut self) {
        self.phase = Phase::Blind;
        self.begun = Vec::new();
    }
}

fn length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    // `parse` would take a plus sign.
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(bytes: &[u8]) -> (u64, Phase) {
        let mut framing = Framing::new();
        framing.read(bytes);
        (framing.heads(), framing.phase())
    }

    #[test]
    fn follows_requests_one_after_another() {
        let one = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(after(one.as_bytes()), (1, Phase::Between));
        assert_eq!(after(&one.as_bytes()[..one.len() - 1]), (1, Phase::Body(1)));
        assert_eq!(after(format!("{one}{one}P").as_bytes()), (2, Phase::Head));
        assert_eq!(after(b"GET / HTTP/1.1\n\nGET / HTTP/1.1\r\n\r\n"), (2, Phase::Between));
        assert_eq!(after(b"\r\n\r\nGET / HTTP/1.1\r\n\r"), (0, Phase::Head));
        assert_eq!(after(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), (1, Phase::Between));
    }

    #[test]
    fn a_chunked_request_is_the_last_that_counts() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(after(format!("{chunked}{chunked}").as_bytes()), (1, Phase::Blind));
    }

    #[test]
    fn heads_with_two_framings_do_not_count() {
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-LENGTH: 3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: 3, 3",
            "Content-Length: +3",
            "Content-Length: -1",
            "Content-Length: 0x3",
            "Content-Length:",
            "Content-Length: 99999999999999999999999",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            let request = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\nGET / HTTP/1.1\r\n\r\n");
            assert_eq!(after(request.as_bytes()), (0, Phase::Blind), "{headers}");
        }
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let mut framing = Framing::new();
        for _ in 0..100 {
            framing.read(&[b'a'; 1000]);
        }
        assert_eq!(framing.phase(), Phase::Blind);
        assert_eq!(framing.begun.capacity(), 0);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_into_reads_changes_nothing(
            bytes in prop::collection::vec(prop_oneof![
                Just(b"POST / HTTP/1.1\r\n".to_vec()), Just(b"Content-Length: 2\r\n".to_vec()),
                Just(b"\r\n".to_vec()), Just(b"\n".to_vec()), Just(b"Transfer-Encoding: chunked\n".to_vec()),
                prop::collection::vec(any::<u8>(), 0..4),
            ], 0..20),
            cut in 1_usize..8,
        ) {
            let bytes = bytes.concat();
            let mut framing = Framing::new();
            for part in bytes.chunks(cut) {
                framing.read(part);
            }
            prop_assert_eq!((framing.heads(), framing.phase()), after(&bytes));
        }
    }
}
