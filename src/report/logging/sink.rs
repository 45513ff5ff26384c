//! The way of log lines to standard error.
//!
//! Under load there are tens of thousands of lines a second, and a system call for each costs more than the line. So a
//! line waits a moment for others, and a thread writes what has gathered. A warning or an error does not wait: it goes out
//! at once, with all that came before it. Lines keep their order, and none is left behind when the process ends in order.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a line waits for others. A person who follows the log does not notice it; what a kill takes from the log is
/// in the journal.
const GATHER: Duration = Duration::from_millis(2);
/// Bytes that may wait. Whoever comes after that writes them, which slows it down to what standard error takes.
const GATHERED_BYTES_MAX: usize = 1 << 20;

/// Takes whole lines.
#[derive(Debug)]
pub(super) struct Sink<W> {
    gathered: Mutex<Gathered>,
    /// Held by who writes, while what it writes is taken; so what gathered first is written first.
    out: Mutex<W>,
}

#[derive(Debug)]
struct Gathered {
    lines: Vec<u8>,
    /// Who writes them; nobody any more once the process ends.
    writer: Option<thread::Thread>,
}

/// The thread that writes. Dropping it writes what has gathered; lines that come later are written at once.
#[must_use = "lines that have gathered are lost unless this is dropped when the process ends"]
#[derive(Debug)]
pub(super) struct Writing<W: Write + Send + 'static> {
    sink: Arc<Sink<W>>,
    thread: Option<JoinHandle<()>>,
}

impl<W: Write + Send + 'static> Sink<W> {
    /// A sink that gathers lines for `out`.
    pub(super) fn start(out: W) -> io::Result<(Arc<Self>, Writing<W>)> {
        let gathered = Mutex::new(Gathered { lines: Vec::new(), writer: None });
        let sink = Arc::new(Self { gathered, out: Mutex::new(out) });
        let writing = Arc::clone(&sink);
        let thread = thread::Builder::new().name("log".into()).spawn(move || writing.write_as_they_come())?;
        sink.gathered().writer = Some(thread.thread().clone());
        Ok((Arc::clone(&sink), Writing { sink, thread: Some(thread) }))
    }

    /// Takes a line. An urgent one is written before this returns.
    pub(super) fn take(&self, line: &[u8], is_urgent: bool) {
        let mut gathered = self.gathered();
        let is_first = gathered.lines.is_empty();
        gathered.lines.extend_from_slice(line);
        match &gathered.writer {
            Some(writer) if !is_urgent && gathered.lines.len() < GATHERED_BYTES_MAX => {
                if is_first {
                    writer.unpark();
                }
            }
            _ => {
                drop(gathered);
                self.write();
            }
        }
    }

    fn write_as_they_come(&self) {
        loop {
            if self.gathered().lines.is_empty() {
                thread::park();
            }
            thread::sleep(GATHER);
            self.write();
            if self.gathered().writer.is_none() {
                return;
            }
        }
    }

    fn write(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut self.gathered().lines);
        // A log that cannot be written must not stop the engine.
        out.write_all(&lines).ok();
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        // A panic cannot leave it half done.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send + 'static> Drop for Writing<W> {
    fn drop(&mut self) {
        let writer = self.sink.gathered().writer.take();
        if let (Some(writer), Some(thread)) = (writer, self.thread.take()) {
            writer.unpark();
            // It ends at its next turn; had it panicked, its lines are written here.
            thread.join().ok();
        }
        self.sink.write();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Tells of each write.
    struct Told(Sender<String>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !bytes.is_empty() {
                self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).ok();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_without_another_one_coming() {
        let (tell, told) = channel();
        let (sink, _writing) = Sink::start(Told(tell)).unwrap();
        for line in ["one\n", "two\n"] {
            sink.take(line.as_bytes(), false);
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), line);
        }
    }

    #[test]
    fn an_urgent_line_goes_out_at_once_after_those_before_it() {
        let (tell, told) = channel();
        let (sink, _writing) = Sink::start(Told(tell)).unwrap();
        sink.take(b"one\n", false);
        sink.take(b"two\n", true);
        assert_eq!(told.try_iter().collect::<String>(), "one\ntwo\n");
    }

    #[test]
    fn nothing_is_left_behind_at_the_end_and_what_comes_later_is_written_at_once() {
        let (tell, told) = channel();
        let (sink, writing) = Sink::start(Told(tell)).unwrap();
        sink.take(b"one\n", false);
        drop(writing);
        assert_eq!(told.try_iter().collect::<String>(), "one\n");
        sink.take(b"late\n", false);
        assert_eq!(told.try_iter().collect::<String>(), "late\n");
    }

    #[test]
    fn lines_of_many_threads_stay_whole_and_those_of_one_in_order() {
        let (tell, told) = channel();
        let (sink, writing) = Sink::start(Told(tell)).unwrap();
        thread::scope(|scope| {
            for name in 0..4 {
                let sink = &sink;
                scope.spawn(move || {
                    (0..5_000).for_each(|number| {
                        sink.take(format!("{name} {number:0200}\n").as_bytes(), number % 1_000 == 0)
                    });
                });
            }
        });
        drop(writing);
        let text: String = told.try_iter().collect();
        let mut next = [0; 4];
        for line in text.lines() {
            let (name, number) = line.split_once(' ').unwrap();
            let next = &mut next[name.parse::<usize>().unwrap()];
            assert_eq!(number.parse::<usize>().unwrap(), *next);
            *next += 1;
        }
        assert_eq!(next, [5_000; 4]);
    }
}
