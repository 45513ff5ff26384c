//! The windows of schedules, over midnight and over changes of the clocks.

use jiff::civil::{Weekday, date, time};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::config::Schedule;
use crate::guard::window_at;

fn schedule(from: (i8, i8), to: (i8, i8), zone: &str) -> Schedule {
    let zone = TimeZone::get(zone).unwrap();
    let (from, to) = (time(from.0, from.1, 0, 0), time(to.0, to.1, 0, 0));
    Schedule { days: Default::default(), dates: Default::default(), from, to, zone }
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let mut night = schedule((22, 0), (7, 0), "UTC");
    night.days = [Weekday::Friday].into_iter().collect();
    // 2026-03-06 is a Friday.
    let window = Some((at("2026-03-06T22:00:00Z"), at("2026-03-07T07:00:00Z")));
    assert_eq!(window_at(&night, at("2026-03-06T22:00:00Z")), window);
    assert_eq!(window_at(&night, at("2026-03-07T06:59:59Z")), window);
    for outside in ["2026-03-06T06:00:00Z", "2026-03-06T21:59:59Z", "2026-03-07T07:00:00Z", "2026-03-07T23:00:00Z"] {
        assert_eq!(window_at(&night, at(outside)), None, "{outside}");
    }
    let mut once = schedule((22, 0), (7, 0), "UTC");
    once.dates = [date(2026, 12, 31)].into_iter().collect();
    assert!(window_at(&once, at("2027-01-01T06:00:00Z")).is_some());
    assert_eq!(window_at(&once, at("2026-12-31T06:00:00Z")), None);
}

#[test]
fn a_window_is_of_its_own_time_zone_also_where_clocks_are_set() {
    let day = schedule((9, 0), (18, 0), "Asia/Shanghai");
    assert_eq!(
        window_at(&day, at("2026-03-04T01:30:00Z")),
        Some((at("2026-03-04T01:00:00Z"), at("2026-03-04T10:00:00Z")))
    );
    assert_eq!(window_at(&day, at("2026-03-04T00:59:59Z")), None);
    // Clocks in Berlin go from 2:00 to 3:00 on 2026-03-29: that night is an hour shorter.
    let night = schedule((22, 0), (7, 0), "Europe/Berlin");
    assert_eq!(
        window_at(&night, at("2026-03-29T00:00:00Z")),
        Some((at("2026-03-28T21:00:00Z"), at("2026-03-29T05:00:00Z")))
    );
}

#[test]
fn a_window_is_told_by_the_wall_also_where_an_hour_is_missing_or_comes_twice() {
    // Clocks in Berlin go from 3:00 back to 2:00 on 2026-10-25, so 2:00 to 3:00 comes twice: the window lasts two hours.
    let twice = schedule((2, 0), (3, 0), "Europe/Berlin");
    assert_eq!(
        window_at(&twice, at("2026-10-25T01:30:00Z")),
        Some((at("2026-10-25T00:00:00Z"), at("2026-10-25T02:00:00Z")))
    );
    // On 2026-03-29 there is no 2:15 and no 2:45: the window comes as late after midnight as ever, which is from 3:15 on.
    let missing = schedule((2, 15), (2, 45), "Europe/Berlin");
    assert_eq!(
        window_at(&missing, at("2026-03-29T01:20:00Z")),
        Some((at("2026-03-29T01:15:00Z"), at("2026-03-29T01:45:00Z")))
    );
    assert_eq!(window_at(&missing, at("2026-03-29T00:59:59Z")), None);
    // A night that begins before the clocks are set ends by the new time.
    let night = schedule((22, 0), (7, 0), "Europe/Berlin");
    assert_eq!(
        window_at(&night, at("2026-10-25T05:30:00Z")),
        Some((at("2026-10-24T20:00:00Z"), at("2026-10-25T06:00:00Z")))
    );
}
