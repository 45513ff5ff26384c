//! Text from files made safe to print.

/// Whether a character could move the cursor, change colours, or show text in another order than it has.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `text` with control, bidirectional and invisible characters written as `\u{…}`; a tab becomes a space.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push_printable(&mut shown, c);
    }
    shown
}

/// Appends one character as [`printable`] shows it.
pub(super) fn push_printable(shown: &mut String, c: char) {
    match c {
        '\t' => shown.push(' '),
        c if is_treacherous(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}
