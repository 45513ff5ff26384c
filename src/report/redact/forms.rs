//! The forms in which a secret may be printed.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Kept by what follows RFC 3986 to the letter.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Kept by JavaScript's `encodeURIComponent`.
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// Kept in the path of a URL.
const PATH: &AsciiSet = &COMPONENT
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'|');
/// Kept in the query of a URL, where more is left alone than in a path.
const QUERY: &AsciiSet = &PATH.remove(b'/').remove(b'?').remove(b'%').remove(b'`').remove(b'{').remove(b'}');

/// All forms of `secret`, itself first; some may be equal.
pub(super) fn of(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    forms.extend(base64(secret.as_bytes()));
    forms.extend(percent(secret));
    forms.extend(json(secret));
    let in_html: Vec<_> = forms.iter().map(|form| html(form)).collect();
    forms.extend(in_html);
    forms
}

/// A form as it stands on a page of HTML, in its text as in an attribute.
fn html(form: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(form.len());
    for byte in form {
        match byte {
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            b'"' => escaped.extend_from_slice(b"&quot;"),
            other => escaped.push(*other),
        }
    }
    escaped
}

/// The characters of a base64 text that depend on the secret alone, for each of the three places that its first
/// byte can have in a group: so it is found with anything before and after it.
fn base64(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let mut padded = vec![0; before];
        padded.extend_from_slice(secret);
        // The first characters also hold bits of what comes before, the last one of what comes after.
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(text.as_bytes().get(first..last).unwrap_or_default().to_vec());
        }
    }
    forms
}

/// Percent-encoded as the usual encoders do it, which differ in what they leave alone and in the case of the digits.
fn percent(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for set in [NON_ALPHANUMERIC, UNRESERVED, COMPONENT, PATH, QUERY] {
        forms.push(utf8_percent_encode(secret, set).to_string());
    }
    forms.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    forms.into_iter().flat_map(|form| [lower_digits(&form), form.into_bytes()]).collect()
}

/// The same percent-encoded text with `%2f` in place of `%2F`.
fn lower_digits(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'%')) {
        let digits = at + found + 1;
        let end = (digits + 2).min(bytes.len());
        if let Some(digits) = bytes.get_mut(digits..end) {
            digits.make_ascii_lowercase();
        }
        at = end;
    }
    bytes
}

/// Inside a JSON text: as most write it, with `\/`, and with everything beyond ASCII escaped.
fn json(secret: &str) -> Vec<Vec<u8>> {
    let quoted = serde_json::Value::from(secret).to_string();
    let plain = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
    let mut ascii = String::with_capacity(plain.len());
    let mut units = [0_u16; 2];
    for c in plain.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            ascii.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    vec![plain.replace('/', "\\/").into_bytes(), plain.into_bytes(), ascii.into_bytes()]
}
