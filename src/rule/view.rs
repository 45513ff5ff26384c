//! An event as rules see it, converted at most once for scripts and once for templates.

use crate::event::Event;

/// The view of one event; hands out the converted forms, making each when it is first asked for.
#[derive(Debug)]
pub struct EventView<'e> {
    event: &'e Event,
}

impl<'e> EventView<'e> {
    /// A view of `event`; converts nothing yet.
    pub fn new(event: &'e Event) -> Self {
        Self { event }
    }

    /// The event itself.
    pub fn event(&self) -> &'e Event {
        self.event
    }
}
