//! The places of the outbox; what it sends is tested with the whole daemon.

use super::*;
use crate::journal::history::WRITE_BACKS_MAX;

#[test]
fn the_outbox_has_so_many_places_and_says_when_it_has_none() {
    let room = Room::beside(WRITE_BACKS_MAX - 2);
    assert!(room.take(3).is_err(), "all or none");
    assert!(room.take(2).is_ok());
    assert_eq!(room.take(1), Err(Full));
    room.give_back();
    assert!(room.take(1).is_ok());
    assert!(Full.to_string().contains("the outbox is full"));
    assert_eq!(Room::beside(WRITE_BACKS_MAX + 5).take(1), Err(Full));
}
